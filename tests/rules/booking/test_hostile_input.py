"""Whatever is sent for whatever parameter: the call is done, or it is refused with an error of the table.

Every value goes to every parameter of its type of every public function, as the caller that an application's users come
as. Nothing is written by a call that is refused, and nothing that was sent comes back in a message.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.support import TOMORROW, Connection, World
from tests.support.hosts import Host
from tests.support.refusals import PROMISED, code_of, contents, outcome

BOOKING = "create_session_with_credit_deduction"


def same(*values: str) -> dict[str, str]:
    """Values that are their own names."""
    return {value: value for value in values}


TEXTS = {
    "empty": "",
    "blank": " \t\n",
    "JSON": '{"role": "service_role", "code": "booked"}',
    "SQL": "'; drop table public.sessions; --",
    "dollar quotes": "$function$ begin end; $function$",
    "format": "%s %I %L %1$s {0} ${x} \\",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x85\ufeff",
    "right to left": "\u202e\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd\u202c",
    "emoji": "👩🏽‍⚕️🏳️‍🌈",
    "combining": "a" + "\u0301" * 1000,
    "outside of Unicode": "\uffff\U0010ffff",
    "a million letters": "x" * 1_000_000,
    "a million emoji": "🗓" * 1_000_000,
    "a number": "12345678901234567890",
    "a zone with an offset": "Mars+5",
    "a path": "../../etc/passwd",
    "an id": "00000000-0000-0000-0000-000000000000",
}
VALUES: dict[str, dict[str, Any]] = {
    "text": TEXTS,
    "varchar": TEXTS,
    "text[]": {
        **same("{}", "{null}", "{all}", "{scheduled,scheduled}", "{{all},{hours}}", "[7:7]={all}"),
        "ten thousand": "{" + ",".join(str(n) for n in range(10_000)) + "}",
    },
    "uuid": {"nobody": "00000000-0000-0000-0000-000000000000", "the last one": "ffffffff-ffff-ffff-ffff-ffffffffffff"},
    "uuid[]": {
        "none": "{}",
        "null": "{null}",
        "nobody": "{00000000-0000-0000-0000-000000000000}",
        "two dimensions": "{{00000000-0000-0000-0000-000000000000},{ffffffff-ffff-ffff-ffff-ffffffffffff}}",
        "another lower bound": "[7:7]={00000000-0000-0000-0000-000000000000}",
        "ten thousand": "{" + ",".join(f"00000000-0000-0000-0000-{n:012}" for n in range(10_000)) + "}",
    },
    "date": same(
        "infinity", "-infinity", "0044-03-15 BC", "4713-01-01 BC", "294276-12-31", "5874897-12-31", "1899-12-31",
        "3000-01-01", "0001-01-01", "2999-12-31",
    ),
    "time": same("24:00", "23:59:60", "23:59:59.999999", "10:00:30", "10:00:00.5", "00:00", "23:59"),
    "timestamptz": same(
        "infinity", "-infinity", "4713-01-01 BC", "294276-12-31 23:59:59.999999+00", "1999-12-31 23:59:60+00",
        "2030-03-31 02:30 Europe/Berlin", "now",
    ),
    "double precision": same(
        "0", "-1", "1", "1.01", "0.5", "NaN", "Infinity", "-Infinity", "1e-300", "0." + "3" * 16_000,
    ),
    "integer": same("0", "-1", "14", "181", "2147483647", "-2147483648"),
    "boolean": same("true", "false"),
    "interval": same(
        "0", "-1 day", "1 microsecond", "23:59:59", "1 day 1 microsecond", "7 days", "1 mon -29 days", "-1 mon 31 days",
        "1 year", "366 days", "1000 years", "178000000 years", "-178000000 years", "2147483647 days", "10 seconds",
        "1 hour", "1 hour 0.000001 seconds", "5000000 hours", "1 mon 1 day 1 hour",
    ),
    "jsonb": {
        **same(
            "null", "[]", "{}", "1", "1e400", "true", '"text"', '[{"time_zone": "UTC"}]', '{"": ""}',
            '{"__proto__": {}}', '{"time_zone": null}', '{"time_zone": 5}', '{"time_zone": "Mars+5"}',
            '{"time_zone": ["UTC"]}', '{"minimum_duration_minutes": 181}', '{"minimum_duration_minutes": -1}',
            '{"minimum_duration_minutes": 15.5}', '{"minimum_duration_minutes": "1e2"}',
            '{"maximum_duration_minutes": {}}', '{"maximum_duration_minutes": 99999999999999999999}',
            '{"cancellation_window": "soon"}',
            '{"cancellation_window": "-1 day"}', '{"cancellation_window": "178000000 years"}',
            '{"cancellation_window": "99999999999999 years"}', '{"cancellation_window": 24}',
            '{"cancellation_window": [24]}', '{"refund_grace": "infinity"}', '{"refund_grace": ""}',
            '{"hold_lifetime": "1 microsecond"}', '{"hold_lifetime": "P1Y"}', '{"hold_lifetime": false}',
            '{"policies; drop table public.sessions": 1}',
            '{"minimum_notice": "-1 day"}', '{"maximum_advance": "infinity"}', '{"slot_step_minutes": 0}',
            '{"require_hours": "maybe"}', '{"maximum_sessions_per_day": 1e9}',
            '[[]]', "[null]", "[1]", '[""]', "[{}]", '[{"weekday": 1}]', '[{"start_time": "09:00"}]',
            '[{"start_time": "09:00", "end_time": "25:00"}]', '[{"start_time": 9, "end_time": 17}]',
            '[{"start_time": "09:00", "end_time": "24:00"}]',
            '[{"start_time": ["09:00"], "end_time": {"at": "17:00"}}]',
            '[{"weekday": 8, "start_time": "09:00", "end_time": "17:00"}]',
            '[{"weekday": 1, "start_time": "09:00", "end_time": "17:00", "valid_from": "2027-02-30"}]',
            '[{"weekday": 1, "start_time": "09:00", "end_time": "17:00", "valid_from": "9999-12-31"}]',
            '[{"weekday": 1, "start_time": "09:00", "end_time": "17:00", "valid_to": "infinity"}]',
            '[{"weekday": 1, "start_time": "09:00", "end_time": "17:00", "valid_from": 5, "x": 1}]',
            '[{"external_id": "a"}]', '[{"external_id": "", "removed": true}]',
            '[{"external_id": "a", "removed": "x"}]',
            '[{"external_id": "a", "start_time": "2027-01-01T00:00:00", "end_time": "2027-01-01T01:00:00Z"}]',
            '[{"external_id": "a", "start_time": "0001-01-01T00:00:00Z", "end_time": "9999-01-01T01:00:00Z"}]',
            '[{"external_id": "a", "start_time": "2027-xx-01T00:00:00Z", "end_time": "2027-01-01T01:00:00+99"}]',
            '[{"external_id": "a", "start_time": "2027-01-01 25:00Z", "end_time": "2027-01-01T01:00:00+01:00"}]',
            '[{"external_id": "a", "removed": true}, {"external_id": "a", "removed": true}]',
        ),
        "a window of a million letters": json.dumps([{"start_time": "09:00", "end_time": "9" * 1_000_000}]),
        "a million letters for an event": json.dumps([{"external_id": "x" * 1_000_000, "removed": True}]),
        "ten thousand windows": json.dumps([{"weekday": 1, "start_time": "09:00", "end_time": "10:00"}] * 10_000),
        "ten thousand events": json.dumps([{"external_id": str(n), "removed": True} for n in range(10_000)]),
        "a million letters": json.dumps({"time_zone": "x" * 1_000_000}),
        "a million letters for a name": json.dumps({"x" * 1_000_000: 1}),
        "a million digits": '{"minimum_duration_minutes": ' + "1" * 100_000 + "}",
        "very deep": '{"time_zone": ' * 1_000 + "1" + "}" * 1_000,
        "ten thousand settings": json.dumps({f"setting{n}": n for n in range(10_000)}),
    },
}  # fmt: skip
SHORT = {
    "timestamp with time zone": "timestamptz", "time without time zone": "time", "character varying": "varchar",
}  # fmt: skip


@pytest.fixture
def caller(hosted_world: World, host: Host) -> Iterator[tuple[Connection, dict[str, str]]]:
    """A caller as users have it on the host, and arguments with which its calls are done."""
    world = hosted_world
    client, therapist = world.client(credits=3), world.therapist()
    hold = "select id from hold_slot(%s, %s, %s, '20:00', p_ttl => '1 hour')"
    arguments = {
        "p_user_id": str(client),
        "p_new_user_id": str(uuid4()),
        "p_into_user_id": str(world.client()),
        "p_therapist_id": str(therapist),
        "p_session_id": str(world.book(client, therapist, "18:00")["id"]),
        "p_lot_id": str(world.scalar("select id from user_credits where user_id = %s", client)),
        "p_hold_id": str(world.scalar(hold, client, therapist, TOMORROW)),
        "p_occurrences": "2",
        "p_reason": "a reason",
        "p_settings": "{}",
        "p_from": f"{TOMORROW} 00:00+00",
        "p_to": f"{TOMORROW + dt.timedelta(days=3)} 00:00+00",
        "p_start": f"{TOMORROW} 00:00+00",
        "p_end": f"{TOMORROW} 01:00+00",
        "p_first_date": TOMORROW.isoformat(),
        "p_last_date": TOMORROW.isoformat(),
        "p_date": TOMORROW.isoformat(),
        "p_hours": "[]",
        "p_time_off_id": str(world.scalar("select id from add_time_off(%s, now(), now() + interval '1 h')", therapist)),
        "p_code": "in_past",
        "p_function_name": "book_hold",
        "p_search": "ada",
        "p_source": "a calendar",
        "p_events": "[]",
        "p_session_date": TOMORROW.isoformat(),
        "p_session_time": "10:00",
        "p_start_time": "10:00",
        "p_end_time": "11:00",
        "p_email": "me@example.com",
        "p_amount": "1",
        "p_from_user_id": str(client),
        "p_to_user_id": str(world.client()),
        "p_name": "Ten",
        "p_credits": "10",
        "p_active": "true",
        "p_delivery_id": str(uuid4()),
        "p_token": str(uuid4()),
        "p_outcome": "delivered",
        "p_destination": "crm",
        "p_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "p_changes": "{}",
        "p_before": "1 hour",
        "p_url": "https://video.example/room",
        "p_status": "ready",
    }
    arguments["p_people"] = f"{{{arguments['p_user_id']}}}"
    with world.connect(user="authenticator" if host.is_supabase else "app_server") as connection:
        if host.is_supabase:
            connection.execute("set role authenticated")
            claims = {"sub": arguments["p_user_id"], "email": "me@example.com"}
            connection.execute("select set_config('request.jwt.claims', %s, false)", [json.dumps(claims)])
        yield connection, arguments


def parameters_of(world: World) -> dict[str, dict[str, str]]:
    """The names and types of the parameters of each public function."""
    rows = world.run(
        "select p.proname, a.name, format_type(a.type, null) from pg_proc as p"
        " cross join lateral unnest(p.proargnames, p.proargmodes, p.proallargtypes, p.proargtypes::oid[])"
        " with ordinality as u (name, mode, all_type, in_type, position)"
        " cross join lateral (select u.name, coalesce(u.all_type, u.in_type) as type) as a"
        " where p.pronamespace = 'public'::regnamespace and coalesce(u.mode, 'i') = 'i'"
        " order by p.proname, u.position"
    )
    functions: dict[str, dict[str, str]] = {}
    for function, name, type_name in rows:
        functions.setdefault(function, {})[name] = SHORT.get(type_name, type_name)
    return functions


def call_of(types: dict[str, str], arguments: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Those of the arguments that a function has, and the list of them in its call."""
    given = {name: value for name, value in arguments.items() if name in types}
    # The events of a synchronisation, and those of a destination.
    if given.get("p_events") == "[]" and types["p_events"] == "text[]":
        given["p_events"] = "{}"
    # Reminders come some time before a session; lists go on before a timestamp.
    if given.get("p_before") == "1 hour" and types["p_before"] == "timestamptz":
        del given["p_before"]
    return given, ", ".join(f"{name} => %({name})s::{types[name]}" for name in given)


def sent(connection: Connection, function: str, types: dict[str, str], arguments: dict[str, str | None]) -> str:
    """Call a function in a transaction that is rolled back, and return the code of its error, else "done"."""
    given, listed = call_of(types, arguments)
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(f"select * from {function}({listed})".encode(), given)
    except psycopg.Error as error:
        refusal = error
    else:
        return "done"
    assert len(refusal.diag.message_detail or "") < 2_000, "the answer carries what was sent"
    code = code_of(refusal)
    assert code in PROMISED, (function, str(refusal)[:500])
    return code


@pytest.mark.slow
def test_every_value_for_every_parameter(hosted_world: World, caller: tuple[Connection, dict[str, str]]) -> None:
    connection, arguments = caller
    functions = parameters_of(hosted_world)
    assert len(functions) >= 38
    before = contents(hosted_world)
    answers: dict[str, int] = {}
    for function, types in functions.items():
        for name, type_name in types.items():
            for label, value in VALUES[type_name].items():
                code = sent(connection, function, types, {**arguments, name: value})
                answers[code] = answers.get(code, 0) + 1
                # An event that cannot be read refuses no synchronisation: it is in the answer.
                if label.startswith("a million") and name != "p_events":
                    assert code != "done", (function, name, label)
    assert contents(hosted_world) == before
    # They are not all turned away at the door.
    assert len(answers) >= 8, answers


def test_null_for_every_parameter(hosted_world: World, caller: tuple[Connection, dict[str, str]]) -> None:
    connection, arguments = caller
    before = contents(hosted_world)
    for function, types in parameters_of(hosted_world).items():
        for name in types:
            sent(connection, function, types, {**arguments, name: None})
        sent(connection, function, types, dict.fromkeys(types))
    assert contents(hosted_world) == before


@pytest.mark.parametrize(
    ("name", "column"), [("p_notes", "description"), ("p_title", "title"), ("p_session_type", "session_type")]
)
def test_a_text_that_is_taken_is_kept_as_it_was_sent(
    hosted_world: World, caller: tuple[Connection, dict[str, str]], name: str, column: str
) -> None:
    connection, arguments = caller
    types = parameters_of(hosted_world)[BOOKING]
    kept = 0
    refusals = set()
    for text in TEXTS.values():
        given, listed = call_of(types, {**arguments, name: text})
        try:
            with connection.transaction(force_rollback=True):
                row = connection.execute(f"select {column} from {BOOKING}({listed})".encode(), given).fetchone()
                assert row == (text,)
                kept += 1
        except psycopg.Error as error:
            refusals.add(code_of(error))
    assert kept >= 10
    assert refusals <= {"invalid_parameter"}


def test_a_key_of_any_letters_answers_again(hosted_world: World, caller: tuple[Connection, dict[str, str]]) -> None:
    connection, arguments = caller
    types = parameters_of(hosted_world)[BOOKING]
    for label, text in TEXTS.items():
        given, listed = call_of(types, {**arguments, "p_idempotency_key": text})
        statement = f"select id from {BOOKING}({listed})".encode()
        with connection.transaction(force_rollback=True):
            if label in ("empty", "combining") or label.startswith("a million"):
                assert outcome(partial(connection.execute, statement, given)) == "invalid_parameter"
            else:
                ids = [connection.execute(statement, given).fetchone() for _ in range(2)]
                assert ids[0] == ids[1], label
