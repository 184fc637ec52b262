"""As whom clients make their calls: blocks of with statements, and the thread or task that is in them."""

import sys
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from bookingdb.calls.call import ACTS_ALREADY
from bookingdb.calls.parameters import id_
from bookingdb.errors import InvalidUserId, NotAllowed

Client = TypeVar("Client")

# An argument that is left out. None would not do: a user id that is missing by mistake must not mean a trusted caller.
NOBODY: Final[Any] = object()
# The blocks of `acting_as` that each client is in, in this thread or task; the last one counts.
_blocks: ContextVar[Mapping[object, "tuple[Acting[Any], ...]"]] = ContextVar("bookingdb_acting_as")


class Acting(Generic[Client]):
    """The block in which a client acts as a user; made by :meth:`Bookings.acting_as`."""

    def __init__(self, client: Client, acting: Client, user_id: UUID, always: UUID | None = None) -> None:
        """Remember the client, one that always acts as the user, who that is, and as whom the client always acts."""
        self._client, self._acting, self.user_id, self._always = client, acting, user_id, always
        # The threads and tasks that began it, and those whose block was ended in another context.
        self._begun: list[object] = []
        self._ended: list[object] = []

    def __enter__(self) -> Client:
        """Let the client act as the user in this thread or task; return one that does so everywhere.

        Raises:
            NotAllowed: it acts as somebody else.
        """
        blocks = _blocks_of(self._client)
        if (blocks[-1].user_id if blocks else self._always) not in (None, self.user_id):
            raise NotAllowed({"user_id": str(self.user_id)}, ACTS_ALREADY)
        _enter(self._client, (*blocks, self))
        self._ended = [place for place in self._ended if place != _here()]
        self._begun.append(_here())
        return self._acting

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let the client act as before."""
        # A web framework, or whoever closes a generator, may end the block in another context than it began it in.
        blocks = [*_blocks_of(self._client)]
        if self not in blocks:
            # Nobody knows which of several was ended: they go on acting as the user, which gives no rights.
            if len(self._begun) == 1:
                self._ended.append(self._begun.pop())
        else:
            if _here() in self._begun:
                self._begun.remove(_here())
            del blocks[len(blocks) - 1 - blocks[::-1].index(self)]
            _enter(self._client, tuple(blocks))

    async def __aenter__(self) -> Client:
        """Do the same; nothing is waited for."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Do the same; nothing is waited for."""
        self.__exit__(kind, error, traceback)

    @property
    def is_over(self) -> bool:
        """True where this thread or task began the block, and another one ended it. Tasks that it began still act."""
        return bool(self._ended) and _here() in self._ended


def _here() -> tuple[int, object]:
    """Return the thread and the task that is running."""
    # A program that never imported asyncio runs no task, and need not import it.
    asyncio = sys.modules.get("asyncio")
    try:
        return threading.get_ident(), asyncio.current_task() if asyncio else None
    except RuntimeError:
        return threading.get_ident(), None


def _blocks_of(client: object) -> tuple[Acting[Any], ...]:
    return tuple(block for block in _blocks.get({}).get(client, ()) if not block.is_over)


def user_of(client: object, otherwise: UUID | None) -> UUID | None:
    """Return as whom a client makes a call here and now.

    The client's own blocks come first, then `otherwise`, as whom it always acts, then the blocks of all clients.

    Example: ``user_of(Bookings(db), None)`` is None
    """
    if blocks := _blocks_of(client):
        return blocks[-1].user_id
    everybodys = _blocks_of(None)
    return everybodys[-1].user_id if everybodys and otherwise is None else otherwise


def _enter(client: object, blocks: tuple[Acting[Any], ...]) -> None:
    """Let a client be in these blocks and in no other, in this thread or task."""
    others = {other: its for other, its in _blocks.get({}).items() if other is not client}
    _blocks.set({**others, client: blocks} if blocks else others)


def all_acting_as(user_id: UUID | str) -> Acting[None]:
    """Let every client that does not act as somebody else act as a user, in the block of a with statement.

    Raises:
        InvalidUserId: it is no UUID.

    Example: ``with all_acting_as(ada): Bookings(db).cancel_session(session)``
    """
    return Acting(None, None, checked_user(user_id))


def checked_user(user_id: UUID | str) -> UUID:
    """Return a user's id.

    Raises:
        InvalidUserId: it is no UUID.

    Example: ``checked_user("6f1c5b52-4f0a-4b7e-9d5f-6f5f0e6f7a10").version`` is ``4``
    """
    return UUID(str(id_(user_id, InvalidUserId).value))
