"""What may be done next with a session, said beforehand: what then refuses neither its status nor its start."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.support import TOMORROW, World, run
from tests.support.callers import OWNER, acting, logged_in
from tests.support.databases import on_todays_supabase
from tests.support.life import at, begin, request_session
from tests.support.refusals import outcome

ACTIONS = {
    "approve_session": "select approve_session(%s)",
    "cancel_session": "select cancel_session(%s)",
    "complete_session": "select complete_session(%s)",
    "confirm_session": "select confirm_session(%s)",
    "mark_no_show": "select mark_no_show(%s)",
    "refund_session": "select refund_session(%s, 'why')",
    "reopen_session": "select reopen_session(%s)",
    "reschedule_session": f"select reschedule_session(%s, '{TOMORROW}', '20:00')",
    "start_session": "select start_session(%s)",
    "transfer_session": "select transfer_session(%s, '{other}')",
}
# What the status, the start or the caller's part in it refuses with.
REFUSALS = {"invalid_transition", "not_allowed"}
STATES = (
    "request", "scheduled", "confirmed", "in_progress", "begun", "completed", "no_show", "cancelled", "kept",
    "refunded", "undated", "refused request", "begun request",
)  # fmt: skip


def make_sessions(world: World) -> dict[str, UUID]:
    """A session in each state."""
    client, therapist = world.client(credits=20), world.therapist()
    found = {"request": request_session(world.connection, client, therapist, at(6))}
    for hour, state in enumerate(STATES[1:-3], start=8):
        found[state] = world.book(client, therapist, f"{hour:02}:00")["id"]
    world.run("select confirm_session(%s)", found["confirmed"])
    for minutes, state in ((60, "in_progress"), (130, "begun"), (200, "completed"), (270, "no_show")):
        begin(world.connection, found[state], minutes)
    for state, function in (("in_progress", "start"), ("completed", "complete"), ("cancelled", "cancel")):
        world.run(f"select {function}_session(%s)", found[state])
    world.run("select mark_no_show(%s)", found["no_show"])
    world.run("select cancel_session(%s, p_refund => false)", found["kept"])
    begin(world.connection, found["refunded"], 340)
    world.run("select mark_no_show(%s)", found["refunded"])
    world.run("select refund_session(%s, 'goodwill')", found["refunded"])
    found["undated"] = world.scalar("insert into sessions (user_id, therapist_id) values (%s, %s) returning id",
                                    client, therapist)  # fmt: skip
    found["refused request"] = request_session(world.connection, client, therapist, at(4))
    found["begun request"] = request_session(world.connection, client, therapist, at(5))
    world.run("select cancel_session(%s), cancel_session(%s)", found["refused request"], found["begun request"])
    begin(world.connection, found["begun request"], 410)
    return found


@on_todays_supabase
def test_next_actions_are_what_is_not_refused(hosted_world: World) -> None:
    world = hosted_world
    found = make_sessions(world)
    people = dict(zip(("client", "therapist"), world.run("select user_id, therapist_id from sessions")[0], strict=True))
    other = world.therapist()
    for caller in ("client", "therapist", "trusted"):
        with acting(world, OWNER) if caller == "trusted" else logged_in(world, people[caller]) as connection:
            for state, session in found.items():
                ((said,),) = run(connection, "select next_actions from get_session(%s)", session)
                allowed = [name for name in ACTIONS if ask(connection, name, session, other) not in REFUSALS]
                assert said == allowed, (caller, state)


def ask(connection: Any, name: str, session: UUID, other: UUID) -> str:
    with connection.transaction(force_rollback=True):
        return outcome(lambda: run(connection, ACTIONS[name].format(other=other), session))
