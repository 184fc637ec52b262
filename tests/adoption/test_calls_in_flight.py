"""Calls that had begun when an adoption commits: they waited for the tables, and go on with what they were."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from bookingdb.adoption.apply import apply
from bookingdb.adoption.plan import file
from bookingdb.install.source import load
from tests.apps import CLIENT, OTHER_THERAPIST, THERAPIST, App, book, person, rows, schema_dump, server_of
from tests.support import Connection, connect, run, scalar, wait_until_blocked
from tests.support.adoption import Found, balance, make_plan, occupied, run_named, some_apps, violations
from tests.support.commands import bookingdb, process

pytestmark = [some_apps("clean"), pytest.mark.slow]

_BOOKING = "public.create_session_with_credit_deduction"
_PARAMETERS = """
    p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time,
    p_duration_minutes integer default 60, p_session_type varchar default 'video', p_notes text default '',
    p_title text default 'Therapy Session'
"""
_INSERT = """
    insert into public.sessions (user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time)
    values (
        p_user_id, p_therapist_id, p_session_date, p_session_time,
        (p_session_date + p_session_time) at time zone 'Europe/Berlin',
        (p_session_date + p_session_time + interval '1 hour') at time zone 'Europe/Berlin'
    )
"""
_DEDUCT = """
    update public.user_credits set credits_balance = credits_balance - 1, credits_used = credits_used + 1
    where user_id = p_user_id and credits_balance > 0
"""
_DIRECT = """
    insert into public.sessions (user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time)
    values ('{client}', '{therapist}', '{day}', '10:00', '{day} 10:00 Europe/Berlin', '{day} 11:00 Europe/Berlin')
"""


def _function(body: str, language: str = "plpgsql", name: str = _BOOKING, options: str = "") -> str:
    return f"create function {name}({_PARAMETERS}) returns uuid language {language} {options} as $body$ {body} $body$;"


def _block(statements: str) -> str:
    return f"declare v_id uuid; v_n integer; begin {statements} return v_id; end"


_INSERT_FIRST = f"{_INSERT} returning id into v_id; {_DEDUCT};"
_CREDITS_FIRST = f"{_DEDUCT}; {_INSERT} returning id into v_id;"
_ARGUMENTS = "p_user_id, p_therapist_id, p_session_date, p_session_time"
_CREATE_HELPER = "create schema if not exists private; grant usage on schema private to public; " + _function(
    _block(_CREDITS_FIRST), name="private.do_book", options="security definer set search_path = public"
)

# Booking functions of applications, in shapes that one meets; each becomes the application's before it is adopted.
# Those of `_SWALLOWING` answer with nothing when they fail; the others fail.
_SHAPES: dict[str, str] = {
    "insert_first": _function(_block(_INSERT_FIRST), options="security definer"),
    "credits_first": _function(_block(_CREDITS_FIRST), options="security definer set search_path = ''"),
    "visible_name": _function(_block(_CREDITS_FIRST), options="security definer set search_path = public"),
    "invoker": _function(_block(_INSERT_FIRST)),
    "helper_elsewhere": _CREATE_HELPER + _function(_block(f"v_id := private.do_book({_ARGUMENTS});")),
    "sql": _function(f"{_DEDUCT}; {_INSERT} returning id", "sql"),
    "sql_definer": _function(
        f"with d as ({_DEDUCT} returning 1) {_INSERT} returning id", "sql", options="security definer"
    ),
    "sql_helper": _CREATE_HELPER
    + _function(f"select private.do_book({_ARGUMENTS})", "sql", options="security definer"),
    "sql_inlined": _CREATE_HELPER + _function(f"select private.do_book({_ARGUMENTS})", "sql"),
    "execute": _function(_block("""
        execute 'update public.user_credits set credits_balance = credits_balance - 1 where user_id = $1'
        using p_user_id;
        execute format(
            'insert into public.sessions (user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time)'
            ' values (%L, %L, %L, %L, %L, %L) returning id',
            p_user_id, p_therapist_id, p_session_date, p_session_time,
            (p_session_date + p_session_time) at time zone 'Europe/Berlin',
            (p_session_date + p_session_time + interval '1 hour') at time zone 'Europe/Berlin'
        ) into v_id;
    """), options="security definer"),
    "loop": _function(_block(f"""
        for v_n in 0..2 loop
            {_INSERT.replace("p_session_date", "(p_session_date + 7 * v_n)")} returning id into v_id;
            {_DEDUCT};
        end loop;
    """), options="security definer"),
    "reads_then_nested_blocks": _function(_block(f"""
        select count(*) into v_n from public.users where id = p_user_id;
        begin
            begin {_DEDUCT}; exception when check_violation then raise exception 'Insufficient credits'; end;
            begin
                {_INSERT} returning id into v_id;
            exception when exclusion_violation then
                raise exception 'Booking conflict';
            end;
        exception when raise_exception then
            raise;
        end;
    """), options="security definer"),
    "handler": _function(_block(f"""
        begin {_CREDITS_FIRST} exception when others then v_id := null; end;
    """), options="security definer"),
    "handlers_of_each": _function(_block(f"""
        begin {_DEDUCT}; exception when others then raise warning '%', sqlerrm; end;
        begin {_INSERT} returning id into v_id; exception when others then v_id := null; end;
        begin
            insert into public.booking_audit_log (session_id, action) values (gen_random_uuid(), 'failed');
        exception when others then null;
        end;
    """), options="security definer"),
}  # fmt: skip
_SWALLOWING = ("handler", "handlers_of_each")


@dataclass
class _Flight:
    """Calls that wait for an adoption: each has a connection of its own, and an outcome afterwards."""

    connections: list[Connection]
    outcomes: list[Future[Any]]

    def error(self, number: int = 0) -> psycopg.Error | None:
        error = self.outcomes[number].exception(timeout=30)
        assert error is None or isinstance(error, psycopg.Error), error
        return error


@contextmanager
def _in_flight(found: Found, url: str, plan: Path, calls: Sequence[Callable[[Connection], Any]]) -> Iterator[_Flight]:
    """Adopt the database; the calls begin while its tables are locked, and have ended when the block begins."""
    decided = file.read(plan.read_text(encoding="utf-8"))
    superuser = psycopg.conninfo.make_conninfo(url, user=found.host.superuser)
    with ExitStack() as stack, ThreadPoolExecutor(max(1, len(calls))) as threads:
        observer = stack.enter_context(connect(superuser))
        flight = _Flight([stack.enter_context(server_of(url)) for _ in calls], [])

        def start(stage: str) -> None:
            if stage == "verifying":
                for call, connection in zip(calls, flight.connections, strict=True):
                    flight.outcomes.append(threads.submit(call, connection))
                    wait_until_blocked(observer, connection.info.backend_pid)

        with psycopg.connect(url) as connection:
            apply(connection, decided, load(), start)
        for outcome in flight.outcomes:
            outcome.exception(timeout=30)
        yield flight


def _redefined(url: str, statements: str) -> None:
    """Give the application another booking function."""
    with connect(url) as connection:
        run(connection, f"drop function {_BOOKING}")
        run(connection, statements)
        run(connection, f"grant execute on function {_BOOKING} to service_role")


def _written(connection: Connection) -> list[Any]:
    """What a booking writes: sessions, credits, audit log."""
    return [
        run(connection, "select s.id, s.status, s.start_time from public.sessions as s order by 1"),
        run(connection, "select c.id, c.credits_balance, c.credits_used from public.user_credits as c order by 1"),
        run(connection, "select a.session_id, a.action from public.booking_audit_log as a"
            " where a.action <> 'adopted' order by a.id"),
    ]  # fmt: skip


@pytest.mark.parametrize("shape", _SHAPES)
def test_old_booking_in_flight_is_refused_and_its_retry_books(
    app: App, found: Found, live: str, tmp_path: Path, shape: str
) -> None:
    _redefined(live, _SHAPES[shape])
    plan = make_plan(app, live, tmp_path)
    start = app.free()
    with connect(live) as owner:
        before = _written(owner)
        with _in_flight(found, live, plan, [lambda connection: book(connection, app, start)]) as flight:
            if shape in _SWALLOWING:
                assert [list(row.values()) for row in flight.outcomes[0].result()] == [[None]]
            else:
                _assert_busy(flight.error())
            assert _written(owner) == before

            credits_before = balance(owner, CLIENT)
            (booked,) = book(flight.connections[0], app, start)

        assert booked["start_time"] == start
        assert occupied(owner, booked["id"]) == [(start, start + dt.timedelta(hours=1), THERAPIST, CLIENT)]
        assert balance(owner, CLIENT) == credits_before - 1
        assert violations(owner) == []
    assert bookingdb(live, "verify").exit_code == 0


def _assert_busy(error: psycopg.Error | None) -> None:
    assert error is not None, "it was not refused"
    assert (error.sqlstate, error.diag.message_primary) == ("PT503", "Booking is busy, try again")
    assert error.diag.message_hint == "Try again in a moment."


def _retried(connection: Connection, app: App, start: dt.datetime) -> Any:
    """Book in one transaction, again from a savepoint where it is refused."""
    with connection.transaction():
        for _ in range(2):
            try:
                with connection.transaction():
                    return book(connection, app, start)
            except psycopg.Error as error:
                _assert_busy(error)
    raise AssertionError("it was refused twice")


_OLD_CANCEL = """
    create function public.cancel_session(p_session_id uuid) returns boolean language plpgsql security definer as $$
    begin
        update public.sessions set status = 'cancelled' where id = p_session_id;
        update public.user_credits set credits_balance = credits_balance + 1
        where user_id = (select s.user_id from public.sessions as s where s.id = p_session_id);
        return found;
    end $$;
    create function public.register_client(p_email text) returns uuid language sql security definer as $$
        insert into public.users (email) values (p_email) returning id;
    $$;
    create schema private;
    grant usage on schema private to public;
    create function private.book_for_partner(p_day date, p_hour time) returns uuid language plpgsql as $$
    declare v_id uuid;
    begin
        select b.id into v_id
        from public.create_session_with_credit_deduction(p_user_id => {client}, p_therapist_id => {therapist},
            p_session_date => p_day, p_session_time => p_hour) as b;
        update public.sessions set title = 'For a partner' where id = v_id;
        return v_id;
    end $$;
    create function private.import_session(p_day date) returns void language plpgsql security definer as $$
    begin
        insert into public.sessions (user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time)
        values (
            {client}, {therapist}, p_day, '10:00', (p_day + time '10:00') at time zone 'Europe/Berlin',
            (p_day + time '11:00') at time zone 'Europe/Berlin'
        );
    end $$;
    create function public.top_up(p_user_id uuid) returns void language sql security definer as $$
        update public.user_credits set credits_balance = credits_balance + 1 where user_id = p_user_id;
    $$;
    create function private.cancel_session(p_session_id uuid) returns void language sql as $$
        update public.sessions set title = 'To be cancelled' where id = p_session_id;
    $$;
    create table public.requests (id serial, day date);
    grant all on public.requests, public.requests_id_seq to service_role;
    create function public.accept_request() returns trigger language plpgsql security definer as $$
    begin
        insert into public.sessions (user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time)
        values (
            {client}, {therapist}, new.day, '12:00', (new.day + time '12:00') at time zone 'Europe/Berlin',
            (new.day + time '13:00') at time zone 'Europe/Berlin'
        );
        return new;
    end $$;
    create trigger accept after insert on public.requests for each row execute function public.accept_request();
    create function public.thank() returns trigger language plpgsql security definer set search_path = '' as $$
    begin
        update public.user_credits set updated_at = now() where user_id = new.user_id;
        return null;
    end $$;
    create trigger thank after insert on public.sessions for each row execute function public.thank();
    grant execute on all functions in schema private to service_role;
    grant execute on function public.cancel_session, public.register_client, public.top_up to service_role;
""".format(client=f"'{person('c2')}'::uuid", therapist=f"'{OTHER_THERAPIST}'::uuid")


@pytest.fixture
def extended(live: str) -> str:
    """The app with more functions: old ones of our names, its own, triggers."""
    with connect(live) as connection:
        run(connection, _OLD_CANCEL)
    return live


def test_other_old_functions_in_flight_are_refused(app: App, found: Found, extended: str, tmp_path: Path) -> None:
    plan = make_plan(app, extended, tmp_path)
    session, other = person("c1"), app.free(hour=15)
    with connect(extended) as owner:
        before = _written(owner), rows(extended)["public.users"]
        (session,) = run(owner, "select s.id from public.sessions as s where s.status = 'scheduled' limit 1")[0]
        local = other.replace(tzinfo=None)
        calls: dict[str, Callable[[Connection], Any]] = {
            "cancel": lambda c: run(c, "select public.cancel_session(%s)", session),
            "cancel in a DO": lambda c: run(c, f"do $$ begin perform public.cancel_session('{session}'); end $$"),
            "register": lambda c: run(c, "select public.register_client('new@clean.example')"),
            "own function": lambda c: run(c, "select private.book_for_partner(%s, %s)", local.date(), local.time()),
        }
        with _in_flight(found, extended, plan, list(calls.values())) as flight:
            for number in range(len(calls)):
                _assert_busy(flight.error(number))
            users = [{key: row[key] for key in before[1][0]} for row in rows(extended)["public.users"]]
            assert (_written(owner), users) == before

            run(flight.connections[3], "select private.book_for_partner(%s, %s)", local.date(), local.time())
        assert balance(owner, person("c2")) == app.balances[person("c2")] - 1
        assert violations(owner) == []


def test_retry_from_a_savepoint_books(app: App, found: Found, live: str, tmp_path: Path) -> None:
    """The transaction began before the adoption committed, and its second attempt afterwards."""
    plan = make_plan(app, live, tmp_path)
    with connect(live) as owner:
        with _in_flight(found, live, plan, [lambda c: _retried(c, app, app.free())]) as flight:
            (booked,) = flight.outcomes[0].result()
        assert booked["start_time"] == app.free()
        assert balance(owner, CLIENT) == app.balances[CLIENT] - 1
        assert violations(owner) == []


def _writers(app: App, weeks: int) -> Mapping[str, Callable[[Connection], Any]]:
    """What the app writes without its booking function, each at a time of its own."""
    day = app.free(days=60 + 50 * weeks).date()
    inserted = _DIRECT.format(client=person("c2"), therapist=OTHER_THERAPIST, day=day + dt.timedelta(1))
    id_ = uuid4()

    def insert_and_move(connection: Connection) -> None:
        run_named(connection, app.insert, app.written(id_, app.free(days=70 + 50 * weeks)))
        run_named(connection, app.move, app.written(id_, app.free(days=77 + 50 * weeks)))

    return {
        "statements": insert_and_move,
        "own function": lambda c: run(c, "select private.import_session(%s)", day + dt.timedelta(7)),
        "own function in SQL": lambda c: run(c, "select public.top_up(%s)", CLIENT),
        "trigger of a table of its own": lambda c: run(c, "insert into requests (day) values (%s)", day),
        "block that names an old function": lambda c: run(
            c, f"do $$ begin if false then perform {_BOOKING}(null, null, null, null); end if; {inserted}; end $$"
        ),
        "statement that names an old function": lambda c: run(
            c,
            _DIRECT.format(client=CLIENT, therapist=THERAPIST, day=day + dt.timedelta(2)).replace("values (", "select ")
            .rstrip().removesuffix(")")
            + " where not public.check_booking_conflict(%s, %s, '10:00', '11:00')",
            THERAPIST, day + dt.timedelta(2),
        ),
        "deletion": lambda c: run(c, "delete from public.user_credits where credits_balance = 0"),
    }  # fmt: skip


def test_direct_writers_in_flight_come_out_right(app: App, found: Found, extended: str, tmp_path: Path) -> None:
    plan = make_plan(app, extended, tmp_path)
    writers = _writers(app, 0)
    with connect(extended) as owner:
        before = scalar(owner, "select count(*) from public.sessions")
        with _in_flight(found, extended, plan, list(writers.values())) as flight:
            refused = {name: flight.error(number) for number, name in enumerate(writers) if flight.error(number)}
        assert refused == {}
        assert scalar(owner, "select count(*) from public.sessions") == before + 5
        assert violations(owner) == []
    assert bookingdb(extended, "verify").exit_code == 0


def test_calls_that_begin_later_are_not_refused(app: App, found: Found, extended: str, tmp_path: Path) -> None:
    """Also where `adopt` was killed before it could record its commit: then each call of an hour is looked at."""
    plan = make_plan(app, extended, tmp_path)
    with _in_flight(found, extended, plan, []), connect(extended) as owner, server_of(extended) as server:
        for weeks in range(2):
            for write in _writers(app, weeks).values():
                write(server)
            start = app.free(days=250 + 10 * weeks)
            (booked,) = book(server, app, start)
            run(server, "select private.book_for_partner(%s, '19:00')", start.date())
            run(server, "select public.cancel_session(p_session_id => %s)", booked["id"])
            # The record of the commit is the last one: now it is not.
            run(owner, "insert into bookingdb.adoption (kind, object) values ('statement', 'something later')")
        assert violations(owner) == []


def test_namesake_in_another_schema_is_refused_only_in_flight(
    app: App, found: Found, extended: str, tmp_path: Path
) -> None:
    """The name of a function in SQL is on the stack without its schema."""
    plan = make_plan(app, extended, tmp_path)
    mark = "select private.cancel_session(s.id) from public.sessions as s where s.status = 'confirmed' limit 1"
    with _in_flight(found, extended, plan, [lambda c: run(c, mark)]) as flight:
        _assert_busy(flight.error())
        run(flight.connections[0], mark)
    with connect(extended) as owner:
        assert scalar(owner, "select count(*) from public.sessions as s where s.title = 'To be cancelled'") == 1


def test_functions_that_write_nothing_need_no_guard(app: App, live: str, tmp_path: Path) -> None:
    with connect(live) as connection:
        run(connection, f"drop function {_BOOKING}")
    assert "refuse_old_calls" not in make_plan(app, live, tmp_path).read_text(encoding="utf-8")


def test_guard_goes_with_the_adoption(app: App, found: Found, live: str, tmp_path: Path) -> None:
    plan = make_plan(app, live, tmp_path)
    triggers = "select count(*) from pg_trigger where tgname = 'bookingdb_old_calls'"
    with _in_flight(found, live, plan, []), connect(live) as owner:
        assert scalar(owner, triggers) == 4
        # Nobody needs them after an hour: whoever drops one is told nothing.
        run(owner, "drop trigger bookingdb_old_calls on public.sessions")
    assert bookingdb(live, "verify").exit_code == 0
    assert bookingdb(live, "adopt", "--undo").exit_code == 0
    assert schema_dump(live) == found.dump
    assert rows(live) == found.rows


# ----------------------------------------------------------------------------------------------------------------------
# A storm
# ----------------------------------------------------------------------------------------------------------------------

_CREDITS = 5000
_CALLERS = 6


def test_storm_of_bookings_loses_none_and_charges_each_once(app: App, found: Found, live: str, tmp_path: Path) -> None:
    with connect(live) as owner:
        clients: list[UUID] = [
            id_ for (id_,) in run(owner, "select u.id from public.users as u where u.email like 'client%%' order by 1")
        ][:_CALLERS]
        run(
            owner,
            "update public.user_credits set credits_balance = %s, credits_purchased = %s, credits_used = 0"
            " where user_id = any (%s)",
            _CREDITS, _CREDITS, clients,
        )  # fmt: skip
    plan = make_plan(app, live, tmp_path)
    over = Event()

    def keep_booking(number: int) -> list[tuple[UUID, dt.datetime]]:
        """Book hour by hour, every third day; two callers share the day, each with a therapist of its own."""
        acknowledged = []
        client, therapist = clients[number], (THERAPIST, OTHER_THERAPIST)[number % 2]
        with server_of(live) as server:
            for count in itertools.count():
                if over.is_set():
                    break
                day, hour = divmod(count, 10)
                start = app.free() + dt.timedelta(days=3 * day + number // 2, hours=hour)
                booked = _book_with_retries(server, app, start, {"p_user_id": client, "p_therapist_id": therapist})
                acknowledged.append((booked, start))
                # The days stay near: some hundreds of bookings are enough.
                time.sleep(0.02)
        return acknowledged

    with ThreadPoolExecutor(_CALLERS) as threads:
        storms = [threads.submit(keep_booking, number) for number in range(_CALLERS)]
        time.sleep(0.5)
        _adopt_in_the_storm(live, plan)
        # Some are booked afterwards, too.
        time.sleep(1)
        over.set()
        outcomes = [storm.result(timeout=120) for storm in storms]

    with connect(live) as owner:
        for client, acknowledged in zip(clients, outcomes, strict=True):
            stored = dict(
                run(owner, "select s.id, s.start_time from public.sessions as s where s.user_id = %s", client)
            )
            assert {id_: stored.get(id_) for id_, _ in acknowledged} == dict(acknowledged)
            assert balance(owner, client) == _CREDITS - len(acknowledged)
        charged = "select s.credits_charged, count(*) from public.sessions as s where s.id = any (%s) group by 1"
        ids = [id_ for acknowledged in outcomes for id_, _ in acknowledged]
        by_charge = dict(run(owner, charged, ids))
        assert by_charge.keys() == {0, 1}, "it booked before and afterwards"
        entries = "select count(*) from bookingdb.ledger as l where l.kind = 'debit' and l.session_id = any (%s)"
        assert scalar(owner, entries, ids) == by_charge[1]
        assert violations(owner) == []
    assert bookingdb(live, "verify").exit_code == 0


def _book_with_retries(server: Connection, app: App, start: dt.datetime, options: dict[str, Any]) -> UUID:
    """Book as an application does that tries again when it is told to."""
    while True:
        try:
            (booked,) = book(server, app, start, **options)
        except psycopg.Error as error:
            # 40P01: the old function and LOCK TABLE can wait for each other; the server ends one of them.
            if error.sqlstate not in ("PT503", "40P01"):
                raise
            time.sleep(0.01)
        else:
            return UUID(str(booked["id"]))


def _adopt_in_the_storm(url: str, plan: Path) -> None:
    """Adopt; again where the tables were in use."""
    for _ in range(10):
        with process(url, "adopt", "--apply", plan) as running:
            output, _ = running.communicate(timeout=120)
        if running.returncode == 0:
            return
    raise AssertionError(output)
