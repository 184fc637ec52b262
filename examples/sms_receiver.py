"""The receiver of a webhook destination that sends text messages: it verifies, asks for consent, and sends once.

Run it with ``SMS_SIGNING=whsec_... uvicorn examples.sms_receiver:app``.
"""

import os
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request, Response
from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["SMS_SIGNING"])
app = FastAPI()
# A receiver with several processes keeps the ids in a table.
done: set[str] = set()
sent: list[tuple[str, str]] = []

TEXTS = {
    "session.reminder": {"en": "Your session is at {at}.", "de": "Ihr Termin ist um {at} Uhr."},
    "session.cancelled": {"en": "Your session at {at} was cancelled.", "de": "Ihr Termin um {at} Uhr fällt aus."},
}


@app.post("/send")
async def receive(request: Request) -> Response:
    """Send the text of an event. 204 ends it; after any other answer the same event comes again."""
    try:
        event: dict[str, Any] = webhook.verify(await request.body(), dict(request.headers))
    except WebhookVerificationError:
        return Response(status_code=401)
    id_ = request.headers["webhook-id"]
    context = event.get("context") or {}
    session, person = context.get("session"), context.get(context.get("recipient") or "client")
    if id_ not in done and session and person and person["phone"] and person["consents"].get("sms"):
        texts = TEXTS.get(event["type"], {})
        if text := texts.get(person["language"] or "en", texts.get("en")):
            zone = ZoneInfo(person["time_zone"] or session["time_zone"])
            at = datetime.fromisoformat(session["start_time"]).astimezone(zone)
            send_sms(person["phone"], text.format(at=f"{at:%H:%M}"))
    done.add(id_)
    return Response(status_code=204)


def send_sms(phone: str, text: str) -> None:
    """Hand a message to your service; where it refuses for now, answer 503 with ``Retry-After``."""
    sent.append((phone, text))
