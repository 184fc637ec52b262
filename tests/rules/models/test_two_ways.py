"""A booking's two ways: what book_quickly() books, book_once() books alike, and a plain booking is booked quickly.

Practices with random policies, hours, absences, holds and sessions around clock changes (test_availability_model.py),
clients with random lots, keys and callers. Each way runs under a savepoint. BOOKINGDB_STORM=full tries many more.
"""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from tests.rules.models.test_availability_model import Plan, built, of_availability, plans, weekly_plans
from tests.support import TOMORROW, World
from tests.support.availability import MINUTE, moment

PRACTICES = 150 if os.environ.get("BOOKINGDB_STORM") == "full" else 25

pytestmark = pytest.mark.usefixtures("same_time_zone_data")

# What one way leaves: the answer or the error, the rows it wrote, and the locks it holds. Everything is undone.
TRIED = """
create function pg_temp.tried(p_quickly boolean, p_asked jsonb, p_acting_as text) returns jsonb
language plpgsql as $$
declare
    v_session bookingdb.booked_session;
    a record;
    v_found jsonb;
    v_sqlstate text;
    v_message text;
    v_detail text;
begin
    select * into a from jsonb_to_record(p_asked) as r (
        user_id uuid, therapist_id uuid, session_date date, session_time time, minutes integer, session_type text,
        notes text, title text, time_zone text, key text
    );
    perform set_config('bookingdb.acting_as', p_acting_as, true);
    if p_quickly then
        v_session := bookingdb.book_quickly(
            a.user_id, a.therapist_id, a.session_date, a.session_time, a.minutes, a.session_type, a.notes, a.title,
            a.time_zone, a.key, bookingdb.actor()
        );
    else
        v_session := bookingdb.book_once(
            'create_session_with_credit_deduction', a.user_id, a.therapist_id, a.session_date, a.session_time,
            a.minutes, a.session_type, a.notes, a.title, a.time_zone, a.key, false
        );
    end if;
    v_found := jsonb_build_object(
        'answer', to_jsonb(v_session),
        'session', (select jsonb_agg(s) from public.sessions as s where s.id = v_session.id),
        'calendar', (select jsonb_agg(c) from bookingdb.calendar as c where c.id = v_session.id),
        'ledger', (
            select jsonb_agg(to_jsonb(l) - 'id' order by l.id)
            from bookingdb.ledger as l where l.session_id = v_session.id
        ),
        'lots', (select jsonb_agg(c order by c.id) from public.user_credits as c where c.user_id = a.user_id),
        'audit', (
            select jsonb_agg(to_jsonb(l) - 'id' - 'entry' order by l.id)
            from public.booking_audit_log as l where l.session_id = v_session.id
        ),
        'events', (
            select jsonb_agg(to_jsonb(o) - 'id' order by o.id)
            from bookingdb.outbox as o where o.subject_id = v_session.id
        ),
        'keys', (select jsonb_agg(k order by k.key) from bookingdb.idempotency_keys as k where k.user_id = a.user_id),
        'locks', (
            select jsonb_agg(jsonb_build_array(l.classid, l.objid, l.mode) order by l.classid, l.objid, l.mode)
            from pg_locks as l where l.pid = pg_backend_pid() and l.locktype = 'advisory'
        )
    );
    v_found := replace(
        regexp_replace(v_found::text, '"(created_at|updated_at)": "[^"]*"', '"\\1": ""', 'g'),
        coalesce(v_session.id::text, '-'), case when v_session.id is null then '-' else 'session' end
    )::jsonb;
    raise sqlstate 'ZZ001';
exception
    when sqlstate 'ZZ001' then
        return case when v_session.id is not null then v_found end;
    when others then
        get stacked diagnostics
            v_sqlstate = returned_sqlstate, v_message = message_text, v_detail = pg_exception_detail;
        return jsonb_build_object('error', array[v_sqlstate, v_message, v_detail]);
end
$$
"""


@dataclass(frozen=True)
class Lot:
    """A lot of credits, and what was done to it."""

    credits: int
    days: int | None
    priority: int
    category: str
    change: str


@dataclass(frozen=True)
class Request:
    """How a booking is asked for."""

    zone: str | None
    notes: str | None
    title: str
    key: str | None
    is_logged_in: bool


changes = st.sampled_from(["", "", "", "expired", "used", "frozen", "other"])
lots = st.builds(
    Lot,
    credits=st.integers(1, 3),
    days=st.sampled_from([None, None, 1, 400]),
    priority=st.sampled_from([50, 50, 1, 99]),
    category=st.sampled_from(["paid", "paid", "promotional"]),
    change=changes,
)
requests = st.builds(
    Request,
    zone=st.sampled_from([None, None, "own", "UTC", "+02:00", "Nowhere/Else"]),
    notes=st.sampled_from(["", "", None, "x" * 10001]),
    title=st.sampled_from(["Therapy Session", "Therapy Session", ""]),
    key=st.sampled_from([None, None, "new", "used", ""]),
    is_logged_in=st.booleans(),
)


def client_with(world: World, owned: list[Lot]) -> UUID:
    client = world.client(credits=0)
    for lot in owned:
        expires_at = None if lot.days is None else dt.datetime.now(dt.UTC) + dt.timedelta(days=lot.days)
        (lot_id,) = world.run(
            "select lot_id from grant_credits(%s, %s, p_expires_at => %s, p_priority => %s, p_category => %s)",
            client, lot.credits, expires_at, lot.priority, lot.category,
        )[0]  # fmt: skip
        match lot.change:
            case "expired":
                world.run("update user_credits set expires_at = now() - interval '1 hour' where id = %s", lot_id)
            case "used":
                world.run("update user_credits set credits_balance = 0 where id = %s", lot_id)
            case "frozen":
                world.run("update user_credits set status = 'frozen' where id = %s", lot_id)
            case "other":
                world.run("update user_credits set user_type = 'group' where id = %s", lot_id)
    return client


def compare(world: World, asked: dict[str, Any], acting_as: str) -> dict[str, Any] | None:
    """Hold that the quick way did what the other does, or nothing; return what it did."""
    tried = "select pg_temp.tried(%s, %s, %s)"
    quickly = world.scalar(tried, True, Jsonb(asked), acting_as)
    if quickly is None:
        return None
    assert quickly == world.scalar(tried, False, Jsonb(asked), acting_as), asked
    found: dict[str, Any] = quickly
    return found


@pytest.mark.storm
@pytest.mark.timeout(1200)
@of_availability(PRACTICES)
@given(
    plan=st.one_of(plans, weekly_plans), owned=st.lists(lots, max_size=4),
    asked=st.lists(requests, min_size=3, max_size=6), moments=st.integers(0, 10_000),
)  # fmt: skip
def test_quick_booking_is_the_booking(
    clean_world: World, plan: Plan, owned: list[Lot], asked: list[Request], moments: int
) -> None:
    world = clean_world
    world.run("drop function if exists pg_temp.tried")
    world.run(TRIED)
    with world.connection.transaction(force_rollback=True):
        practice, midnight, _ = built(world, plan)
        note(f"{moment(midnight)} {practice.model}")
        client = client_with(world, owned)
        choose = Random(moments)
        world.run(
            "insert into bookingdb.idempotency_keys (function_name, user_id, key, request_hash, result_id,"
            " credits_balance) values ('create_session_with_credit_deduction', %s, 'used', '', %s, 0)",
            client, client,
        )  # fmt: skip
        starts = [midnight + choose.randrange(0, 4 * 1440, 15) * MINUTE for _ in range(20)] + [
            int(busy.start) // MINUTE * MINUTE + choose.choice([-60, -15, 0, 15]) * MINUTE
            for busy in practice.model.calendar
        ]
        for start in starts:
            how = choose.choice(asked)
            local = moment(start).astimezone(practice.model.zone)
            compare(
                world,
                {
                    "user_id": str(client), "therapist_id": str(practice.therapist),
                    "session_date": str(local.date()), "session_time": str(local.time()),
                    "minutes": choose.choice([15, 45, 60, 180, 10]), "session_type": "video", "notes": how.notes,
                    "title": how.title, "time_zone": plan.zone if how.zone == "own" else how.zone, "key": how.key,
                },
                str(client) if how.is_logged_in else "",
            )  # fmt: skip


HOURS = [{"weekday": day, "start_time": "08:00", "end_time": "20:00"} for day in range(1, 8)]
PLAIN: dict[str, dict[str, Any]] = {
    "nothing": {},
    "hours": {"hours": HOURS},
    "hours since January": {"hours": [{**window, "valid_from": "2020-01-01"} for window in HOURS]},
    "buffers and notice": {"policy": {"buffer_after_minutes": 15, "minimum_notice": "1 hour"}},
    "own zone": {"time_zone": "Europe/Berlin"},
    "key": {"key": "k"},
    "logged in": {"is_logged_in": True},
    "last credit": {"credits": 1},
    "time off on other days": {"time_off": 2},
    "override on other days": {"override": 3},
}


@pytest.mark.parametrize("plain", PLAIN.values(), ids=list(PLAIN))
def test_plain_booking_is_booked_quickly(clean_world: World, plain: dict[str, Any]) -> None:
    world = clean_world
    world.run(TRIED)
    therapist, client = world.therapist("Europe/Berlin"), world.client(credits=plain.get("credits", 3))
    if "hours" in plain:
        world.run("select set_weekly_hours(%s, %s)", therapist, Jsonb(plain["hours"]))
    if "policy" in plain:
        world.run("select set_policy(%s, %s)", Jsonb(plain["policy"]), therapist)
    if "time_off" in plain:
        day = TOMORROW + dt.timedelta(days=plain["time_off"])
        world.run("select add_time_off(%s, %s, %s)", therapist, f"{day} 00:00Z", f"{day} 23:00Z")
    if "override" in plain:
        world.run("select set_date_override(%s, %s)", therapist, TOMORROW + dt.timedelta(days=plain["override"]))
    # No clock change is near: book on the first day whose neighbours have the same offset.
    day = TOMORROW
    asked = {
        "user_id": str(client), "therapist_id": str(therapist), "session_date": str(day), "session_time": "10:00",
        "minutes": 60, "session_type": "video", "notes": "", "title": "Therapy Session",
        "time_zone": plain.get("time_zone"), "key": plain.get("key"),
    }  # fmt: skip

    done = compare(world, asked, str(client) if plain.get("is_logged_in") else "")

    assert done is not None
    assert done["answer"]["credits_balance"] == plain.get("credits", 3) - 1
    assert world.run("select from sessions") == []


def test_public_booking_takes_the_quick_way(clean_world: World) -> None:
    world = clean_world
    therapist, client = world.therapist(), world.client(credits=1)
    with world.connect(user=world.superuser) as connection:
        connection.execute("set track_functions = 'pl'")
        with connection.transaction():
            connection.execute(
                "select * from public.create_session_with_credit_deduction(%s, %s, %s, '10:00')",
                (client, therapist, TOMORROW),
            )
            called = {
                name
                for (name,) in connection.execute(
                    "select funcname from pg_stat_xact_user_functions where funcname like 'book%'"
                ).fetchall()
            }
    assert "book_quickly" in called
    assert "book_once" not in called


@pytest.mark.parametrize("held", ["lot", "client", "therapist"])
def test_what_somebody_else_holds_is_left_to_the_other_way(clean_world: World, held: str) -> None:
    world = clean_world
    world.run(TRIED)
    therapist, client = world.therapist(), world.client(credits=1)
    asked = {
        "user_id": str(client), "therapist_id": str(therapist), "session_date": str(TOMORROW), "session_time": "10:00",
        "minutes": 60, "session_type": "video", "notes": "", "title": "Therapy Session", "time_zone": None, "key": None,
    }  # fmt: skip
    tried = "select pg_temp.tried(true, %s, '') is not null"
    with world.connect() as other, other.transaction(force_rollback=True):
        if held == "lot":
            other.execute("select from user_credits where user_id = %s for update", (client,))
        else:
            other.execute("select lock_for_booking(array[%s]::uuid[])", (client if held == "client" else therapist,))
        assert world.scalar(tried, Jsonb(asked)) is False
    assert world.scalar(tried, Jsonb(asked)) is True


def test_old_snapshot_is_left_to_the_other_way(clean_world: World) -> None:
    world = clean_world
    world.run(TRIED)
    therapist, client = world.therapist(), world.client(credits=1)
    for level, is_quick in (("repeatable read", False), ("serializable", False), ("read committed", True)):
        with world.connection.transaction(force_rollback=True):
            world.run(f"set transaction isolation level {level}")
            booked = world.scalar(
                "select (bookingdb.book_quickly(%s, %s, %s, '10:00', 60, 'video', '', 'T', null, null, 'x')).id"
                " is not null", client, therapist, TOMORROW,
            )  # fmt: skip
        assert booked is is_quick, level
