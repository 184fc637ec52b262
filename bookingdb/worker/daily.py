"""The kind daily: rooms of Daily (https://docs.daily.co/reference/rest-api)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from bookingdb.worker.http import HttpClient, HttpFailure
from bookingdb.worker.senders import Environment, required, secret, setting
from bookingdb.worker.video import VideoError, VideoSender, VideoService
from bookingdb.worker.webhook import retry_after

if TYPE_CHECKING:
    from bookingdb.records import ClaimedDelivery

API_URL: Final = "https://api.daily.co/v1"
# A delivery takes seven calls at most, and they must be over before its lease of a minute is.
_SECONDS: Final = 8.0

Json = Mapping[str, Any]


class Daily:
    """The rooms of one domain of Daily.

    Args:
        http: sends the requests.
        api_key: the domain's; whoever has it enters every room.
        api_url: another address than the service's own.
        allow_private: whether that may be in a private network.
        timeout: seconds for a request.
    """

    def __init__(
        self,
        http: HttpClient,
        api_key: str,
        *,
        api_url: str = API_URL,
        allow_private: bool = False,
        timeout: float = _SECONDS,
    ) -> None:
        """Remember the key; nothing is sent yet."""
        self._http = http
        self._key = api_key
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._api_url = api_url.rstrip("/")
        self._allow_private = allow_private
        self._timeout = timeout

    def ensure_room(self, name: str, opens_at: datetime, closes_at: datetime) -> str:
        """Make the room be there, private, and open from one instant to another; return its https address.

        The room is asked for by its name first: an answer that was lost did its work.

        Raises:
            VideoError: the service did not.
        """
        wanted = {"privacy": "private", "properties": {"nbf": _seconds(opens_at), "exp": _seconds(closes_at)}}
        room = self._find(name) or self._create(name, wanted) or self._find(name) or self._replace(name, wanted)
        if _differs(room, wanted):
            room = self._update(name, wanted)
        address = room.get("url")
        if not isinstance(address, str) or not address.startswith("https://"):
            raise VideoError("the room has no https address", is_final=True)
        return address

    def delete_room(self, name: str) -> None:
        """Make the room be gone.

        Raises:
            VideoError: the service did not.
        """
        status, answer = self._call("DELETE", _path(name))
        if status not in (200, 404):
            raise self._refused(status, answer)

    def meeting_token(
        self, name: str, user_name: str, *, is_owner: bool, opens_at: datetime, closes_at: datetime
    ) -> str:
        """Return what lets one person into the room, from one instant to another.

        Raises:
            VideoError: the service gave none.
        """
        properties = {
            # Without a name it would open every room of the domain.
            "room_name": name,
            "user_name": user_name,
            "is_owner": is_owner,
            "nbf": _seconds(opens_at),
            "exp": _seconds(closes_at),
        }
        status, answer = self._call("POST", "meeting-tokens", {"properties": properties})
        token = answer.get("token")
        if status != 200 or not isinstance(token, str):
            raise self._refused(status, answer)
        return token

    def check(self) -> None:
        """Ask for one room, to see whether the key is right.

        Raises:
            VideoError: it is not, or the service does not answer.
        """
        status, answer = self._call("GET", "rooms?limit=1")
        if status != 200:
            raise self._refused(status, answer)

    def _find(self, name: str) -> Json | None:
        """Return the room, if it is there and has not expired."""
        status, room = self._call("GET", _path(name))
        if status == 404:
            return None
        if status != 200:
            raise self._refused(status, room)
        end = _config(room).get("exp")
        # One that has expired cannot be changed.
        return None if isinstance(end, int | float) and end <= datetime.now(UTC).timestamp() else room

    def _create(self, name: str, wanted: Json) -> Json | None:
        """Return the new room, or None where the name is taken."""
        status, room = self._call("POST", "rooms", {"name": name, **wanted})
        if status == 400 and room.get("error") == "invalid-request-error":
            return None
        if status != 200:
            raise self._refused(status, room)
        return room

    def _replace(self, name: str, wanted: Json) -> Json:
        """Return a new room in place of one that has expired, which has its name until it is deleted."""
        self.delete_room(name)
        status, room = self._call("POST", "rooms", {"name": name, **wanted})
        if status != 200:
            raise self._refused(status, room)
        return room

    def _update(self, name: str, wanted: Json) -> Json:
        status, room = self._call("POST", _path(name), wanted)
        if status == 200:
            return room
        # It expired, or somebody deleted it, since it was asked for.
        if status in (400, 404) and self._find(name) is None:
            return self._replace(name, wanted)
        raise self._refused(status, room)

    def _call(self, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
        """Return status and body of an answer that says what is the case; raise any other."""
        try:
            answer = self._http.request(
                method,
                f"{self._api_url}/{path}",
                headers=self._headers,
                body=None if body is None else json.dumps(body).encode(),
                allow_private=self._allow_private,
                timeout=self._timeout,
            )
        except HttpFailure as error:
            raise VideoError(str(error)) from None
        try:
            said = json.loads(answer.body)
        except ValueError:
            said = None
        said = said if isinstance(said, dict) else {}
        if answer.status == 429 or answer.status >= 500:
            wish = retry_after(answer.headers.get("retry-after"), datetime.now(UTC))
            raise VideoError(self._reason(answer.status, said), answer.status, wish)
        if answer.status == 200 and not said:
            raise VideoError("the answer is no JSON object", answer.status)
        return answer.status, said

    def _refused(self, status: int, answer: Json) -> VideoError:
        return VideoError(self._reason(status, answer), status, is_final=True)

    def _reason(self, status: int, answer: Json) -> str:
        """Return what the service says, without the key if it repeats that."""
        said = ": ".join(str(answer[name]) for name in ("error", "info") if answer.get(name))
        return said.replace(self._key, "***") or f"the service answered {status}"


def _service_of(delivery: ClaimedDelivery, environment: Environment) -> VideoService:
    return Daily(
        environment.http,
        str(required(secret(delivery, "api_key"), "api_key")),
        api_url=str(setting(delivery, "api_url", API_URL)),
        allow_private=setting(delivery, "allow_private") is True,
    )


class DailySender(VideoSender):
    """The sender of the kind daily."""

    def __init__(self) -> None:
        """Use the key of each delivery."""
        super().__init__(_service_of)


def _path(name: str) -> str:
    return f"rooms/{quote(name, safe='')}"


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _config(room: Json) -> Json:
    config = room.get("config")
    return config if isinstance(config, dict) else {}


def _differs(room: Json, wanted: Json) -> bool:
    config = _config(room)
    return room.get("privacy") != wanted["privacy"] or any(
        config.get(name) != value for name, value in wanted["properties"].items()
    )
