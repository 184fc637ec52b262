"""`bookingdb uninstall`: what goes, what stays, and what it refuses."""

from __future__ import annotations

from typing import cast

import pytest

from bookingdb.checks import verify
from bookingdb.install import installer
from bookingdb.install import uninstall as removing
from bookingdb.install.session import InstallError
from bookingdb.install.uninstall import Removal, uninstall
from tests.support import Connection, World, connect, run, scalar
from tests.support.commands import answer, bookingdb
from tests.support.interleaving import session_of, waiting

KEPT = ["public.users", "public.sessions", "public.user_credits", "public.booking_audit_log", "bookingdb.ledger",
        "bookingdb.calendar", "bookingdb.outbox", "bookingdb.payments", "bookingdb.policies", "bookingdb.holds",
        "bookingdb.rewritten_records", "bookingdb.acknowledgements", "bookingdb.weekly_hours",
        "bookingdb.date_overrides", "bookingdb.active_statuses", "bookingdb.adoption",
        "bookingdb.overlapping_sessions", "bookingdb.idempotency_keys", "bookingdb.time_zones",
        "bookingdb.rule_changes", "bookingdb.time_zone_rules", "bookingdb.refusals",
        "bookingdb.former_therapists", "bookingdb.therapists_with_hours", "bookingdb.rules", "bookingdb.merged_people",
        "bookingdb.therapist_clients", "bookingdb.texts", "bookingdb.packages", "bookingdb.erasures",
        "bookingdb.absences", "bookingdb.sessions_to_place", "bookingdb.destinations", "bookingdb.deliveries",
        "bookingdb.contacts", "bookingdb.reminder_rules", "bookingdb.calendar_feeds",
        "bookingdb.expiry_notices"]  # fmt: skip


@pytest.fixture
def in_use(world: World) -> World:
    """A database with a booking, time off and hours."""
    therapist = world.therapist(time_zone="Europe/Berlin")
    world.book(world.client(credits=3), therapist, idempotency_key="booked")
    world.run("select grant_credits(%s, 1, 'pi_1')", world.client())
    world.run(
        "insert into bookingdb.absences (kind, therapist_id, period)"
        " values ('time_off', %s, tstzrange(now(), now() + interval '1 day'))",
        therapist,
    )
    monday = '[{"weekday": 1, "start_time": "09:00", "end_time": "17:00"}]'
    world.run("select set_weekly_hours(%s, %s)", therapist, monday)
    world.run("select set_date_override(%s, current_date, '[]')", therapist)
    world.run("select id from hold_slot(%s, %s, current_date + 9, '10:00')", world.client(), world.therapist())
    return world


def everything(connection: Connection) -> set[str]:
    """Every object that is not the server's own, as the catalogue names it."""
    rows = run(
        connection,
        """
        select pg_describe_object(d.classid, d.objid, 0)
        from (
            select 'pg_class'::regclass as classid, oid as objid from pg_class where oid >= 16384
            union all select 'pg_proc'::regclass, oid from pg_proc where oid >= 16384
            union all select 'pg_type'::regclass, oid from pg_type where oid >= 16384
            union all select 'pg_namespace'::regclass, oid from pg_namespace
                where oid >= 16384 and not starts_with(nspname, 'pg_')
            union all select 'pg_trigger'::regclass, oid from pg_trigger
            union all select 'pg_policy'::regclass, oid from pg_policy
            union all select 'pg_constraint'::regclass, oid from pg_constraint where oid >= 16384
        ) as d
        where not exists (
            select from pg_depend as e where e.classid = d.classid and e.objid = d.objid and e.deptype = 'e'
        )
        """,
    )
    return {name for (name,) in rows}


def rows_of(connection: Connection, tables: list[str]) -> dict[str, list[str]]:
    return {table: [row for (row,) in run(connection, f"select t::text from {table} as t order by 1")]
            for table in tables}  # fmt: skip


@pytest.mark.slow
def test_without_keeping_data_the_database_is_as_before(hosts_empty_database: str) -> None:
    with connect(hosts_empty_database) as connection:
        before = everything(connection)
        installer.migrate(connection)
        run(connection, "select register_client('ada@example.com')")

        removal = uninstall(connection, keep_data=False)

        # The extension's schema, where the host has none of its own.
        assert everything(connection) - before <= {"schema extensions"}
        assert removal.left.keys() <= {"extension btree_gist"}
        # And it can come again.
        installer.migrate(connection)
        assert verify.verify(connection) == []
        assert scalar(connection, "select count(*) from users") == 0


def test_keeping_data_leaves_every_row_and_no_behaviour(in_use: World) -> None:
    in_use.run(
        "insert into bookingdb.rewritten_records (table_name, operation, old_row, rewritten_by)"
        " values ('bookingdb.ledger', 'DELETE', '{}', 'postgres')"
    )
    in_use.run(
        "insert into bookingdb.acknowledgements (finding_group, object, problem, reason) values ('a', 'b', 'c', 'd')"
    )
    in_use.run("select set_package('Ten', 10)")
    in_use.run("insert into bookingdb.active_statuses values ('tentative')")
    in_use.run(
        "insert into bookingdb.refusals (user_id, function_name, code, actor, is_claim)"
        " values (gen_random_uuid(), 'hold_slot', 'in_past', 'owner', false)"
    )
    in_use.run("insert into bookingdb.adoption (kind, object) values ('statement', 'answers')")
    in_use.run(
        "insert into bookingdb.overlapping_sessions (session_id, start_time, end_time, reason)"
        " values (gen_random_uuid(), now(), now() + interval '1 hour', 'booking_conflict')"
    )
    in_use.run("insert into bookingdb.former_therapists select therapist_id, id, start_time, end_time, 1 from sessions")
    in_use.run(
        "insert into bookingdb.merged_people (from_user_id, into_user_id, kind, actor)"
        " values (gen_random_uuid(), gen_random_uuid(), 'merge', 'owner')"
    )
    in_use.run("insert into bookingdb.sessions_to_place values ('3', 1, true, gen_random_uuid())")
    in_use.run("update sessions set title = 'Another title'")
    in_use.run("insert into bookingdb.destinations (name, kind, events) values ('crm', 'pager', '{*}')")
    in_use.run("select test_destination('crm')")
    in_use.run("insert into bookingdb.contacts (person_id) values (gen_random_uuid())")
    in_use.run("insert into bookingdb.calendar_feeds (person_id, secret_hash) values (gen_random_uuid(), 'hash')")
    in_use.run("insert into bookingdb.expiry_notices (lot_id, expires_at) values (gen_random_uuid(), now())")
    in_use.run("insert into bookingdb.erasures (person_id, actor) values (gen_random_uuid(), 'owner')")
    in_use.run("insert into bookingdb.therapist_clients select therapist_id from sessions")
    before = rows_of(in_use.connection, KEPT)
    assert [table for table, rows in before.items() if not rows] == []

    removal = uninstall(in_use.connection, keep_data=True)

    assert rows_of(in_use.connection, KEPT) == before
    assert [what for what in removal.left if what.startswith("table ")] == sorted(
        (f"table {name}" for name in (*KEPT, "bookingdb.history")), key=lambda name: ("public" not in name, name)
    )
    assert removal.left["table public.sessions"] == "1 row"
    left = everything(in_use.connection)
    assert not [name for name in left if name.startswith(("function", "trigger _", "policy", "view"))]
    # The application goes on with the tables.
    in_use.run("update sessions set status = 'completed'")
    in_use.run("insert into sessions (user_id) select user_id from sessions")
    assert len(in_use.run("select id from sessions")) == 2


def test_the_tables_left_stay_closed_to_applications_users(supabase_world: World) -> None:
    therapist, client = supabase_world.therapist(), supabase_world.client(credits=1)
    supabase_world.book(client, therapist)
    uninstall(supabase_world.connection, keep_data=True)

    with supabase_world.connect(user="authenticator") as connection:
        run(connection, "set role authenticated")
        run(connection, "select set_config('request.jwt.claims', %s, false)", f'{{"sub": "{client}"}}')
        assert run(connection, "select id from sessions") == []
        run(connection, "reset role")
        run(connection, "set role service_role")
        assert len(run(connection, "select id from sessions")) == 1
    for role in ("anon", "authenticated", "service_role", "app_servers"):
        assert not supabase_world.scalar("select has_schema_privilege(%s, 'bookingdb', 'usage')", role)


def test_each_table_of_the_engine_room_is_decided_about(world: World) -> None:
    tables = world.run("select relname from pg_class where relnamespace = 'bookingdb'::regnamespace and relkind = 'r'")
    decided = {*(name for name in KEPT if name.startswith("bookingdb.")), "bookingdb.history"}
    assert {f"bookingdb.{name}" for (name,) in tables} == decided


@pytest.mark.parametrize("keep_data", [True, False])
def test_a_dry_run_changes_nothing_and_its_script_does_the_same(in_use: World, keep_data: bool) -> None:
    before = everything(in_use.connection)

    dry = uninstall(in_use.connection, keep_data=keep_data, dry_run=True)
    assert everything(in_use.connection) == before

    in_use.run(dry.script)
    assert everything(in_use.connection) < before
    assert ("bookingdb.ledger" in str(everything(in_use.connection))) == keep_data
    with pytest.raises(InstallError, match="bookingdb is not installed"):
        uninstall(in_use.connection, keep_data=keep_data)


@pytest.fixture(
    params=[
        (
            "create view app_view as select get_credit_balance(id) from users",
            "view public.app_view depends on function",
        ),
        (
            "create table app_table (id uuid); alter table app_table enable row level security;"
            " create policy app_policy on app_table using (id = (select bookingdb.actor_id()))",
            "policy app_policy on table public.app_table depends on function bookingdb.actor_id()",
        ),
    ],
    ids=["view", "policy"],
)
def application(request: pytest.FixtureRequest, in_use: World) -> str:
    """Something of the application's that needs a function of ours; and how it is named."""
    statement, named = cast(tuple[str, str], request.param)
    in_use.run(statement)
    return named


@pytest.mark.parametrize("keep_data", [True, False])
def test_uninstall_refuses_to_drop_what_the_application_uses(in_use: World, application: str, keep_data: bool) -> None:
    before = everything(in_use.connection)
    with pytest.raises(InstallError) as caught:
        uninstall(in_use.connection, keep_data=keep_data)
    assert application in str(caught.value)
    assert everything(in_use.connection) == before
    assert verify.verify(in_use.connection) == []


def test_referenced_tables_go_only_with_the_reference(in_use: World) -> None:
    in_use.run("create table app_notes (session_id uuid references sessions (id))")
    with pytest.raises(
        InstallError, match=r"app_notes_session_id_fkey on table public\.app_notes depends on table public\.sessions"
    ):
        uninstall(in_use.connection, keep_data=False)
    assert verify.verify(in_use.connection) == []
    uninstall(in_use.connection, keep_data=True)
    assert in_use.count("sessions") == 1


def test_a_booking_in_flight_is_waited_for(in_use: World) -> None:
    client, therapist = in_use.client(credits=1), in_use.therapist()
    with session_of(in_use) as booking, session_of(in_use) as other:
        run(booking, "begin")
        run(booking, "select id from create_session_with_credit_deduction(%s, %s, current_date + 9, '10:00')",
            client, therapist)  # fmt: skip

        removing = waiting(in_use, lambda connection: uninstall(connection, keep_data=True), other)
        run(booking, "commit")

        assert removing.result().left["table public.sessions"] == "2 rows"


@pytest.mark.slow
def test_tables_that_are_in_use_too_long(in_use: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removing, "LOCK_TIMEOUT", 1.0)
    with session_of(in_use) as reader, reader.transaction():
        run(reader, "select id from sessions")
        with pytest.raises(InstallError, match="could not be locked within 1 seconds; try again, nothing was removed"):
            uninstall(in_use.connection, keep_data=True)
    assert verify.verify(in_use.connection) == []


def test_only_the_owner_uninstalls(supabase_world: World) -> None:
    with supabase_world.connect(user="app_server") as connection:
        for keep_data in (True, False):
            with pytest.raises(InstallError, match="uninstall as the owner, nothing was removed"):
                uninstall(connection, keep_data=keep_data)
    assert verify.verify(supabase_world.connection) == []


def test_the_command_prints_what_it_leaves(in_use: World) -> None:
    dry = bookingdb(in_use.url, "uninstall", "--keep-data", "--dry-run")
    assert dry.stdout.startswith("begin;")
    assert "drop routine" in dry.stdout
    assert "--   table public.sessions (1 row)" in dry.stdout

    done = bookingdb(in_use.url, "uninstall", "--keep-data")
    assert done.exit_code == 0
    assert "Left in the database:" in done.stdout
    assert "  table public.sessions (1 row)" in done.stdout
    assert "  table bookingdb.ledger (3 rows)" in done.stdout

    again = bookingdb(in_use.url, "uninstall", "--keep-data")
    assert (again.exit_code, again.stderr.splitlines()[-1]) == (
        1, "bookingdb: bookingdb is not installed in this database any more; its tables were kept",
    )  # fmt: skip


def test_the_command_asks_before_it_deletes_rows(in_use: World) -> None:
    refused = bookingdb(in_use.url, "uninstall")
    assert refused.exit_code == 1
    assert "Delete all users, sessions and credits" in refused.stderr
    assert in_use.count("sessions") == 1

    left = answer(in_use.url, "uninstall", "--yes")["left"]
    assert set(left) <= {"extension btree_gist"}
    assert in_use.scalar("select to_regclass('public.sessions')") is None


def test_a_removal_reads_as_a_script() -> None:
    assert Removal(["drop view a"]).script == "begin;\n\ndrop view a;\n\ncommit;\n"
