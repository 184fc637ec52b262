"""A client who leaves words in every table, and the search for them."""

from __future__ import annotations

from uuid import UUID, uuid4

from tests.support import World, run
from tests.support.life import begin, call

# Each stands in a place of its own; none is part of another.
WORDS = {
    "name": "Wilhelmina Quastenflosser",
    "email": "quastenflosser@example.org",
    "title": "Panzernashorn",
    "old_title": "Schnabeltier",
    "notes": "Zwergspitzmaus",
    "type": "Ameisenigel",
    "cancelled": "Nacktmull",
    "reopened": "Blobfisch",
    "adjusted": "Fetzenfisch",
    "payment": "pi_Wombat",
    "key": "key_Tapir",
    "event": "Erdferkel",
    "legacy": "Okapi",
    "rewritten": "Axolotl",
    "adopted": "Kakapo",
}
# Everybody reads their own tables whole; a dump has nothing else.
DUMP = """
    select format('select %L, t::text from %s as t', c.oid::regclass, c.oid::regclass)
    from pg_class as c
    where c.relnamespace in ('public'::regnamespace, 'bookingdb'::regnamespace) and c.relkind = 'r'
"""


def dump(world: World) -> str:
    """Every row of every table, as a superuser reads them."""
    with world.connect(user=world.superuser) as superuser:
        return "\n".join(
            f"{table} {row}" for (statement,) in run(superuser, DUMP) for table, row in run(superuser, statement)
        )


def found(world: World, words: dict[str, str] = WORDS) -> set[str]:
    """Which words are still there."""
    text = dump(world)
    return {name for name, word in words.items() if word in text}


def live(world: World) -> UUID:
    """A client who leaves words wherever there is room for some."""
    client = world.scalar("select register_client(%s, %s)", WORDS["email"], WORDS["name"])
    therapist = world.therapist()
    world.run("select set_policy('{\"record_refusals\": true}')")
    call(world.connection, "grant_credits", user_id=client, amount=5, payment_reference=WORDS["payment"])
    call(world.connection, "adjust_credits", user_id=client, amount=1, reason=WORDS["adjusted"])
    session = world.book(
        client, therapist, title=WORDS["old_title"], notes=WORDS["notes"], session_type=WORDS["type"],
        idempotency_key=WORDS["key"],
    )["id"]  # fmt: skip
    world.run("update sessions set title = %s where id = %s", WORDS["title"], session)
    call(world.connection, "cancel_session", session_id=session, reason=WORDS["cancelled"])
    call(world.connection, "reopen_session", session_id=session, reason=WORDS["reopened"])
    begin(world.connection, session, 300)
    call(world.connection, "complete_session", session_id=session)
    call(world.connection, "record_refusal", function_name="hold_slot", code="too_soon", user_id=client)
    payload = f'{{"user_id": "{client}", "said": "{WORDS["event"]}"}}'
    world.run("insert into bookingdb.outbox (event, subject_id, payload) values ('app', %s, %s)", uuid4(), payload)
    # Rows as earlier versions wrote them.
    world.run(
        "insert into booking_audit_log (session_id, user_id, action, old_status, new_status, changes, actor)"
        " values (%s, %s, 'updated', 'completed', 'completed', %s, 'owner')",
        session, client, f'{{"title": {{"old": null, "new": "{WORDS["legacy"]}"}}}}',
    )  # fmt: skip
    world.run(
        "insert into bookingdb.adoption (kind, object, row_key, original, adopted)"
        " values ('row', 'public.sessions', %s, %s, '{}')",
        f'{{"id": "{session}"}}', f'{{"title": "{WORDS["adopted"]}", "duration_minutes": 3}}',
    )  # fmt: skip
    with world.connect(user=world.superuser) as superuser:
        run(superuser, "update bookingdb.ledger set reason = %s where kind = 'debit'", WORDS["rewritten"])
    assert found(world) == set(WORDS)
    return UUID(str(client))
