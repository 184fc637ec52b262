"""What an owner wrote runs with nobody's rights but the owner's, whoever calls the commands."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from bookingdb.adoption import apply, report, undo
from bookingdb.adoption.plan import planner
from bookingdb.adoption.plan.file import Decided
from bookingdb.checks import acknowledgements, lint, selftest, verify
from bookingdb.cli import main as cli
from bookingdb.install import export, installer, script, time_zones, trust, uninstall
from bookingdb.install.owner import more_rights
from bookingdb.install.session import InstallError
from bookingdb.install.source import load
from tests.support import World, connect, run, scalar, throwaway
from tests.support.commands import bookingdb

_numbers = itertools.count(1)

# Springs where a superuser runs it, however the role was changed before, and is silent where anybody else does.
# A file, because a command may roll back what it did, or read only.
SPRING = """
    create function public.spring(trap text) returns void language plpgsql as $$
    begin
        perform pg_catalog.set_config('role', 'none', true);
        execute pg_catalog.format('copy (select 1) to program %L', 'touch {folder}/' || pg_catalog.quote_ident(trap));
    exception when others then
        null;
    end $$;
"""

FUNCTIONS = """
    do $do$
    declare
        r record;
    begin
        for r in
            select pg_get_functiondef(p.oid) as text, p.prosrc, p.proname
            from pg_proc as p
            inner join pg_language as l on l.oid = p.prolang and l.lanname = 'plpgsql'
            where p.proowner = 'owner'::regrole and p.proname <> 'spring'
        loop
            execute replace(r.text, r.prosrc, format(
                ' begin perform public.spring(%L); raise exception ''sprung''; end ', r.proname
            ));
        end loop;
    end $do$
"""

TRIGGERS = """
    create function public.spring_trigger() returns trigger language plpgsql as $$
    begin
        perform public.spring('trigger');
        return new;
    end $$;
    do $do$
    declare
        v_table text;
    begin
        for v_table in
            select c.oid::regclass::text from pg_class as c
            where c.relkind = 'r' and c.relnamespace in ('public'::regnamespace, 'bookingdb'::regnamespace)
        loop
            execute format(
                'create trigger "AAA" before insert or update or delete on %s'
                ' for each row execute function public.spring_trigger()', v_table
            );
        end loop;
    end $do$
"""

# What `migrate --reapply` runs again.
ADOPTION = """
    insert into bookingdb.adoption (kind, object, adopted)
    values ('statement', 'table t', '{"again": true, "statement": "select public.spring(''adoption'')"}'),
        ('plan', 'plan', '{}')
"""

VIEWS = """
    do $do$
    declare
        v_name text;
    begin
        for v_name in
            select c.relname from pg_class as c
            where c.relkind = 'r' and c.relnamespace = 'bookingdb'::regnamespace
        loop
            execute format('alter table bookingdb.%I rename to %I', v_name, v_name || '_kept');
            execute format(
                'create view bookingdb.%I as select t.* from bookingdb.%I as t'
                ' where public.spring(%L) is not null', v_name, v_name || '_kept', v_name
            );
        end loop;
    end $do$
"""

# Names that a query could take for the server's own, when the database's owner says where to look first.
NAMES = """
    do $do$
    declare
        v_type text;
    begin
        foreach v_type in array array['oid', 'name', 'text', '"char"', 'regrole', 'integer', 'boolean'] loop
            execute format(
                'create function public.sprung_equal(a %1$s, b %1$s) returns boolean language plpgsql as '
                || '$$ begin perform public.spring(''operator''); return a operator(pg_catalog.=) b; end $$;'
                || 'create operator public.= (leftarg = %1$s, rightarg = %1$s, function = public.sprung_equal)', v_type
            );
        end loop;
    end $do$;
    create function public.set_config(text, text, boolean) returns text language plpgsql as $$
    begin
        perform public.spring('set_config');
        return pg_catalog.set_config($1, $2, $3);
    end $$;
    create function public.pg_has_role(name, oid, text) returns boolean language plpgsql as $$
    begin
        perform public.spring('pg_has_role');
        return false;
    end $$;
    create function public.to_regclass(text) returns regclass language plpgsql as $$
    begin
        perform public.spring('to_regclass');
        return pg_catalog.to_regclass($1);
    end $$;
    create view public.pg_class as select c.* from pg_catalog.pg_class as c where public.spring('pg_class') is not null;
    create view public.pg_roles as select c.* from pg_catalog.pg_roles as c where public.spring('pg_roles') is not null;
    create view public.pg_namespace as
        select c.* from pg_catalog.pg_namespace as c where public.spring('pg_namespace') is not null;
    create type public.mine as (a integer);
    create function public.mine_as_text(public.mine) returns text language plpgsql as $$
    begin
        perform public.spring('cast');
        return 'mine';
    end $$;
    create cast (public.mine as text) with function public.mine_as_text(public.mine) as implicit;
    alter default privileges grant execute on functions to public;
    alter database {database} set search_path = public, pg_catalog
"""

PLANTS = {
    "functions": (FUNCTIONS,),
    "triggers and an adoption": (TRIGGERS, ADOPTION),
    "views": (VIEWS,),
    "names": (NAMES,),
    "all": (NAMES, ADOPTION, TRIGGERS, VIEWS, FUNCTIONS),
}


# As if a role had gone since the last installation: something is pending.
PENDING = """
    insert into bookingdb.history (kind, name, checksum, version, details)
    select h.kind, h.name, h.checksum, h.version, h.details || '{"roles": ["gone"]}'
    from bookingdb.history as h where h.kind = 'functions'
"""


@dataclass(frozen=True)
class Trapped:
    """A database in which its owner planted traps."""

    world: World
    folder: Path

    @property
    def sprung(self) -> set[str]:
        """The traps that ran with the rights of a superuser."""
        return {path.name for path in self.folder.iterdir()}

    @property
    def as_superuser(self) -> str:
        return make_conninfo(self.world.url, user=self.world.superuser)


def plant(world: World, folder: Path, *texts: str) -> Trapped:
    database = world.connection.info.dbname
    for text in (SPRING, *texts):
        world.run(text.replace("{folder}", str(folder)).replace("{database}", database))
    return Trapped(world, folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server can write into."""
    with throwaway.folder() as path:
        path.chmod(0o777)
        yield path


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from leaves(below, (*path, name))
    elif any(parameter.name == "database_url" for parameter in command.params):
        yield path, command


UUID = "00000000-0000-4000-8000-000000000001"
# What a command needs besides its required parameters; more than one line, where an option makes it another command.
OTHERS: dict[tuple[str, ...], list[list[str]]] = {
    ("adopt",): [["--plan"], ["--undo"], ["--report"]],
    ("migrate",): [[], ["--reapply"], ["--dry-run"]],
    ("uninstall",): [["--yes"], ["--keep-data"], ["--dry-run"]],
    ("verify",): [[], ["--acknowledged"], ["--acknowledge", "0123", "--reason", "known"]],
    ("book",): [["--date", "2030-01-07", "--time", "10:00"]],
    ("hold",): [["--date", "2030-01-07", "--time", "10:00"]],
    ("reschedule",): [["--date", "2030-01-07", "--time", "10:00"]],
    ("credits", "revoke"): [["--payment-reference", "pi_1"], ["--payment-reference", "pi_1", "--share", "0.5"]],
    ("credits", "reinstate"): [["--payment-reference", "pi_1"]],
    ("packages", "grant"): [["--price", "price_10"]],
    ("people", "change-email"): [["ada@example.com"], ["--none"]],
    ("policy", "set"): [["--minimum-notice", "1h"]],
    ("time-off", "add"): [["--days", "2030-01-07"]],
    ("destinations", "remove"): [["--yes"]],
    ("worker",): [["--once"]],
    ("register", "therapist"): [["--time-zone", "UTC"]],
    ("hours", "set"): [["mon", "09:00-17:00"]],
}


CALENDAR = Path(__file__).parents[1] / "cli" / "calendars" / "google.ics"


def example(parameter: click.Parameter) -> str:
    if isinstance(parameter.type, click.File):
        return str(CALENDAR)
    known = {"windows": "closed", "before": "1h", "email": "ada@example.com"}
    if parameter.name in known:
        return known[parameter.name]
    if parameter.name in ("session_time", "start_time", "end_time"):
        return "10:00"
    if parameter.type in (click.INT,):
        return "1"
    if parameter.name in ("session_date", "day", "from_", "to", "expires"):
        return "2030-01-07T00:00Z" if "Instant" in str(parameter.type) else "2030-01-07"
    return UUID


def command_lines() -> Iterator[list[str]]:
    """Each command that connects to a database, at least once."""
    for path, command in leaves(cli.main):
        required = [parameter for parameter in command.params if parameter.required]
        words = list(itertools.chain.from_iterable(
            [parameter.opts[-1], example(parameter)] if isinstance(parameter, click.Option) else [example(parameter)]
            for parameter in required
        ))  # fmt: skip
        for others in OTHERS.get(path, [[]]):
            yield [*path, *words, *others]


REFUSAL = "postgres has more rights than owner, the owner of what bookingdb has here"


@pytest.mark.slow
@pytest.mark.parametrize("planted", PLANTS)
def test_no_command_runs_an_owners_code_with_more_rights(world: World, folder: Path, planted: str) -> None:
    trapped = plant(world, folder, *PLANTS[planted])

    lines = list(command_lines())
    assert len(lines) > 40
    for line in lines:
        result = bookingdb(trapped.as_superuser, *line)
        if line == ["verify"]:
            assert "postgres has more rights than owner, so the catalogue alone was compared" in result.stderr
            assert "connect as owner" in result.stderr
        else:
            assert (result.exit_code, REFUSAL in result.stderr) == (1, True), (line, result.output)
            assert result.stderr.rstrip().endswith("connect as owner"), line
        assert trapped.sprung == set(), line

    # The traps work.
    with connect(trapped.as_superuser) as superuser:
        run(superuser, "select public.spring('control')")
        for statement in ("select * from bookingdb.history", "update public.users set name = name"):
            with contextlib.suppress(psycopg.Error):
                run(superuser, statement)
    assert "control" in trapped.sprung


def test_library_refuses_more_rights_than_the_owners(world: World, folder: Path) -> None:
    trapped = plant(world, folder, *PLANTS["all"])
    source = load()
    with connect(trapped.as_superuser) as superuser:
        for call in (
            lambda: installer.migrate(superuser),
            lambda: installer.migrate(superuser, reapply=True, dry_run=True),
            lambda: installer.status(superuser),
            lambda: uninstall.uninstall(superuser, keep_data=False),
            lambda: lint.lint(superuser),
            lambda: selftest.selftest(superuser, trapped.as_superuser, lambda check: None),
            lambda: planner.make_plan(superuser, source, {}),
            lambda: apply.apply(superuser, Decided("standalone", "", {}), source),
            lambda: undo.undo(superuser),
            lambda: report.report(superuser),
            lambda: time_zones.refresh(superuser),
            lambda: time_zones.sessions_off_time(superuser),
            lambda: time_zones.lost_zones(superuser),
            lambda: acknowledgements.read(superuser),
            lambda: acknowledgements.acknowledge(superuser, [], "known"),
            lambda: trust.trust(superuser, "stranger"),
        ):
            with pytest.raises(InstallError, match=REFUSAL):
                call()
        verify.verify(superuser)
    assert trapped.sprung == set()


def test_exported_script_refuses_more_rights_than_the_owners(world: World, folder: Path) -> None:
    trapped = plant(world, folder, *PLANTS["triggers and an adoption"])
    world.run(PENDING)
    exported = export.sql_script()
    for role in ("", "set role owner; "):
        with connect(trapped.as_superuser) as superuser, pytest.raises(psycopg.Error, match=REFUSAL):
            run(superuser, role + exported)
    assert trapped.sprung == set()
    world.run(exported)
    assert world.scalar("select count(*) from bookingdb.history where kind = 'functions'") == 3


def test_superusers_verify_finds_what_was_planted(world: World, folder: Path) -> None:
    trapped = plant(world, folder, *PLANTS["all"])
    with connect(trapped.as_superuser) as superuser:
        found = {(finding.group, finding.object, finding.problem.split(" ")[0]) for finding in verify.verify(superuser)}
    assert ("functions", "bookingdb.check_invariants()", "body") in found
    assert ("tables", "bookingdb.history", "is") in found
    assert ("triggers", '"AAA" on bookingdb.ledger_kept', "is") in found
    assert trapped.sprung == set()


def test_superusers_verify_of_what_is_sound_finds_nothing(world: World) -> None:
    result = bookingdb(make_conninfo(world.url, user=world.superuser), "verify")
    assert (result.exit_code, result.stdout) == (0, "Verified: no findings.\n")
    assert "to check the rows, the history and the invariants" in result.stderr


def test_set_role_hides_no_rights(world: World, folder: Path) -> None:
    database = world.connection.info.dbname
    trapped = plant(world, folder, ADOPTION)
    assumed = make_conninfo(trapped.as_superuser, options="-c role=owner")
    assert REFUSAL in bookingdb(assumed, "migrate", "--reapply").stderr
    # The database's owner may choose a role for everybody who connects.
    world.run(f"alter database {database} set role = owner")
    assert REFUSAL in bookingdb(trapped.as_superuser, "migrate", "--reapply").stderr
    with connect(trapped.as_superuser) as superuser:
        run(superuser, "set session authorization owner")
        with pytest.raises(InstallError, match=REFUSAL):
            installer.migrate(superuser, reapply=True)
        assert scalar(superuser, "select session_user") == "owner"
    assert trapped.sprung == set()


def test_owner_makes_no_event_trigger(world: World, folder: Path) -> None:
    plant(world, folder)
    world.run("create function public.on_event() returns event_trigger language plpgsql as 'begin end'")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world.run("create event trigger trap on ddl_command_end execute function public.on_event()")


# SQL that makes the role `somebody`, and whether it has more rights than the owner.
@pytest.mark.parametrize(
    ("roles", "has_more"),
    [
        ("create role somebody login superuser", True),
        ("create role somebody login in role owner", True),
        ("create role somebody login noinherit in role owner", True),
        ("create role between in role owner; create role somebody login in role between", True),
        ("create role boss superuser; create role somebody login in role boss", True),
        ("create role somebody login", False),
        ("create role somebody login; grant somebody to owner", False),
        ("create role somebody login in role pg_monitor", False),
        ("create role somebody login createdb", False),
        ("create role somebody login createrole", True),
        ("create role somebody login replication", True),
        ("create role somebody login bypassrls", True),
        ("create role boss createrole; create role somebody login noinherit in role boss", True),
        ("create role somebody login createrole; alter role owner createrole", False),
        ("create role boss createrole; create role somebody login createrole; grant boss to owner", False),
        ("create role somebody login createrole; alter role owner bypassrls", True),
        ("create role somebody login in role pg_execute_server_program", True),
        ("create role somebody login in role pg_read_server_files", True),
        ("create role somebody login in role pg_write_server_files", True),
        ("create role somebody login in role pg_read_all_data", True),
        ("create role somebody login in role pg_write_all_data", True),
        ("create role somebody login in role pg_read_all_data; grant pg_read_all_data to owner", False),
    ],
)
def test_more_rights_are_those_of_the_owner_and_others(world: World, roles: str, has_more: bool) -> None:
    with world.connect(user=world.superuser) as superuser, superuser.transaction(force_rollback=True):
        run(superuser, roles)
        # As if they had logged in: who SET SESSION AUTHORIZATION is the session's user for every question but one.
        run(superuser, "set session authorization somebody")
        query = script.lesser_owner_query("session_user")
        rows = run(superuser, query)
        assert rows == ([("somebody", "owner", "connect as owner")] if has_more else [])


def test_superuser_who_owns_the_installation_works_as_ever(empty_database: str) -> None:
    with connect(empty_database) as connection:
        installer.migrate(connection)
        assert more_rights(connection) is None
        assert verify.verify(connection) == []
    assert bookingdb(empty_database, "status").exit_code == 0


def test_migrate_by_a_superuser_leaves_the_owner_its_functions(world: World) -> None:
    before = world.run("select p.proname, p.proowner, p.xmin::text from pg_proc as p order by 1, 2, 3")
    world.run(PENDING)
    result = bookingdb(make_conninfo(world.url, user=world.superuser), "migrate")
    assert result.exit_code == 1
    assert world.run("select p.proname, p.proowner, p.xmin::text from pg_proc as p order by 1, 2, 3") == before
    world.book(world.client(credits=1), world.therapist())


def test_owner_without_a_login_is_given_one_first(world: World) -> None:
    with world.connect(user=world.superuser) as superuser, superuser.transaction(force_rollback=True):
        run(superuser, "alter role owner nologin")
        assert more_rights(superuser) == ("postgres", "owner", "connect as owner (first `alter role owner login`)")


def test_tables_to_be_adopted_have_an_owner(owned_database: str) -> None:
    with connect(owned_database) as owner:
        run(owner, "create table public.sessions (id uuid primary key)")
        assert more_rights(owner) is None
    as_superuser = make_conninfo(owned_database, user="postgres")
    for line in (["--plan"], ["--undo"], ["--report"]):
        assert REFUSAL in bookingdb(as_superuser, "adopt", *line).stderr


def test_supabases_postgres_works_and_its_superuser_is_refused(supabase_world: World) -> None:
    assert bookingdb(supabase_world.url, "status").exit_code == 0
    result = bookingdb(make_conninfo(supabase_world.url, user="supabase_admin"), "status")
    assert "supabase_admin has more rights than postgres" in result.stderr
    assert "connect as postgres" in result.stderr
    with supabase_world.connect(user="authenticator") as authenticator:
        assert more_rights(authenticator) is None


@pytest.fixture
def admin(world: World) -> Iterator[str]:
    """The URL of a host's administrator, who is neither a superuser nor a member of the owner."""
    make = """
        create role cloud_admin login createrole in role pg_execute_server_program;
        grant usage on schema bookingdb to cloud_admin;
        grant select on all tables in schema bookingdb, public to cloud_admin;
        grant execute on all functions in schema bookingdb, public to cloud_admin
    """
    with world.connect(user=world.superuser) as superuser:
        for statement in make.split(";"):
            run(superuser, statement)
        yield make_conninfo(world.url, user="cloud_admin")
        run(superuser, "drop owned by cloud_admin")
        run(superuser, "drop role cloud_admin")


def test_administrator_of_a_host_runs_no_owners_code(world: World, admin: str, folder: Path) -> None:
    trapped = plant(world, folder, FUNCTIONS)
    for line in (["status"], ["lint"], ["policy", "show"], ["migrate", "--reapply"]):
        result = bookingdb(admin, *line)
        assert "cloud_admin has more rights than owner" in result.stderr, (line, result.output)
    result = bookingdb(admin, "verify")
    assert "cloud_admin has more rights than owner, so the catalogue alone was compared" in result.stderr
    for role in ("", "set role pg_execute_server_program; "):
        with connect(admin) as connection, pytest.raises(psycopg.Error, match="cloud_admin has more rights"):
            run(connection, role + export.sql_script())
    assert trapped.sprung == set()

    # The traps work.
    with connect(admin) as connection:
        run(connection, "select public.spring('control')")
    assert trapped.sprung == {"control"}


def test_verify_of_a_stranger_runs_no_owners_code(world: World) -> None:
    world.run("grant usage on schema bookingdb to stranger")
    world.run("grant select on all tables in schema bookingdb, public to stranger")
    world.run("grant execute on all functions in schema bookingdb to stranger")
    world.run("""
        create or replace function bookingdb.check_invariants()
        returns table (invariant integer, subject_id uuid, problem text, context jsonb)
        language plpgsql as $$ begin raise exception 'sprung'; end $$
    """)
    with world.connect(user="stranger") as stranger:
        (finding,) = verify.verify(stranger)
    assert "row level security hides the history" in finding.problem
