"""`lint` finds what breaks a rule, its advice puts it right, and Supabase's own advisors see what it sees."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bookingdb.checks.finding import Finding
from bookingdb.checks.lint import lint, rules
from bookingdb.checks.verify import verify
from bookingdb.cli import main as cli
from bookingdb.install import installer
from bookingdb.install.trust import trust
from tests.support import Connection, World, connect, javascript, run, scalar
from tests.support.hosts import Host

BALANCE = "public.get_credit_balance(uuid)"
UTC = "bookingdb.iso_utc(timestamp with time zone)"
MINE = "mine on public.sessions"

# What the owner of the database does to it, and all that must be found: rule and object.
DAMAGES: dict[str, tuple[str, set[tuple[str, str]]]] = {
    "row level security off": (
        "alter table public.sessions disable row level security",
        {("rls_disabled_in_public", "public.sessions"), ("policy_exists_rls_disabled", "public.sessions")},
    ),
    "row level security off, and no policy": (
        "drop policy _bookingdb_read on public.users; alter table public.users disable row level security",
        {("rls_disabled_in_public", "public.users")},
    ),
    "row level security off in the engine room": (
        "alter table bookingdb.ledger disable row level security",
        {("policy_exists_rls_disabled", "bookingdb.ledger")},
    ),
    "policy missing": (
        "drop policy _bookingdb_read on public.users",
        {("rls_enabled_no_policy", "public.users")},
    ),
    "deny policy missing": (
        "drop policy _bookingdb_deny on bookingdb.outbox",
        {("rls_enabled_no_policy", "bookingdb.outbox")},
    ),
    "somebody else's table in the engine room, without a policy": (
        'create table bookingdb."Mine" (id integer primary key);alter table bookingdb."Mine" enable row level security',
        {("rls_enabled_no_policy", 'bookingdb."Mine"')},
    ),
    "everybody may insert anything": (
        "create policy mine on public.sessions for insert with check (true)",
        {("rls_policy_always_true", MINE)},
    ),
    "everybody may insert anything, because nothing is said": (
        "create policy mine on public.sessions for insert",
        {("rls_policy_always_true", MINE)},
    ),
    "everybody may update anything": (
        "create policy mine on public.sessions for update using (1 = 1)",
        {("rls_policy_always_true", MINE)},
    ),
    "everybody may give away what is theirs": (
        "create policy mine on public.sessions for update"
        " using (user_id = (select bookingdb.actor_id())) with check (true)",
        {("rls_policy_always_true", MINE)},
    ),
    "everybody may delete anything": (
        "create policy mine on public.sessions for delete using ((select true))",
        {("rls_policy_always_true", MINE)},
    ),
    "everybody may do everything": (
        "create policy mine on public.sessions for all using (true)",
        {("rls_policy_always_true", MINE), ("multiple_permissive_policies", "public.sessions")},
    ),
    "the engine room opened": (
        "alter policy _bookingdb_deny on bookingdb.ledger using (true)",
        {("rls_policy_always_true", "_bookingdb_deny on bookingdb.ledger")},
    ),
    "a policy that believes user_metadata": (
        "create policy mine on public.sessions as restrictive for select"
        " using ((select current_setting('request.jwt.claims', true))::jsonb -> 'user_metadata' ->> 'admin' = 'yes')",
        {("rls_references_user_metadata", MINE)},
    ),
    "a password that a policy shows": (
        'alter table public.users add column "Access-Token" text;'
        'grant select ("Access-Token") on public.users to public;'
        "create policy mine on public.users for select using (true)",
        {
            ("sensitive_columns_exposed", 'public.users."Access-Token"'),
            ("multiple_permissive_policies", "public.users"),
        },
    ),
    "a password without row level security": (
        "alter table public.users add column password text; grant select on public.users to public;"
        "alter table public.users disable row level security",
        {
            ("sensitive_columns_exposed", "public.users.password"),
            ("rls_disabled_in_public", "public.users"),
            ("policy_exists_rls_disabled", "public.users"),
        },
    ),
    "a view over our table that everybody reads": (
        "create view public.mine as select s.id from public.sessions as s; grant select on public.mine to public",
        {("security_definer_view", "public.mine")},
    ),
    "a column of a view over a view over our table": (
        "create schema app; create view app.private as select s.id from public.sessions as s;"
        'create view public."Mine" with (security_barrier = true) as select p.id'
        ' from app.private as p; grant select (id) on public."Mine" to public',
        {("security_definer_view", 'public."Mine"')},
    ),
    "a copy of our table that everybody reads": (
        "create materialized view public.app_copy as select u.email from public.users as u;"
        "grant select on public.app_copy to public",
        {("materialized_view_in_api", "public.app_copy")},
    ),
    "definer function": (
        f"alter function {BALANCE} security definer",
        {("authenticated_security_definer_function_executable", BALANCE)},
    ),
    "definer function for everybody": (
        "create function public.get_credit_balance(text) returns integer language sql security definer"
        " set search_path = '' return 1",
        {
            ("anon_security_definer_function_executable", "public.get_credit_balance(text)"),
            ("authenticated_security_definer_function_executable", "public.get_credit_balance(text)"),
        },
    ),
    "function without search_path": (
        f"alter function {UTC} reset search_path",
        {("function_search_path_mutable", UTC)},
    ),
    "function with another setting only": (
        f"alter function {BALANCE} reset search_path; alter function {BALANCE} set work_mem = '1MB'",
        {("function_search_path_mutable", BALANCE)},
    ),
    "function with everybody's own search_path": (
        f'alter function {UTC} set search_path = "$user", pg_temp',
        {("function_search_path_mutable", UTC)},
    ),
    "procedure without search_path": (
        "create procedure bookingdb.mine() language plpgsql as 'begin end'",
        {("function_search_path_mutable", "bookingdb.mine()")},
    ),
    "trigger function without search_path": (
        "create schema app; create function app.mine() returns trigger language plpgsql as 'begin return new; end';"
        "create trigger mine before insert on public.sessions for each row execute function app.mine()",
        {("function_search_path_mutable", "app.mine()")},
    ),
    "foreign key to a key of auth": (
        "create schema auth; create table auth.users (id uuid primary key, email text unique);"
        "create index on public.users (email);"
        "alter table public.users add constraint mine foreign key (email) references auth.users (email)",
        {("fkey_to_auth_unique", "mine on public.users")},
    ),
    "column that pg_upgrade refuses": (
        "alter table public.users add column handler regprocedure",
        {("unsupported_reg_types", "public.users.handler")},
    ),
    "no primary key": (
        "alter table bookingdb.outbox drop constraint outbox_pkey",
        {("no_primary_key", "bookingdb.outbox")},
    ),
    "somebody else's table in the engine room, without primary key": (
        "create table bookingdb.mine (a integer unique)",
        {("no_primary_key", "bookingdb.mine")},
    ),
    "our own policy asks for each row": (
        "alter policy _bookingdb_read on public.user_credits using (user_id = bookingdb.actor_id())",
        {("auth_rls_initplan", "_bookingdb_read on public.user_credits")},
    ),
    "a condition on new rows asks for each row": (
        "create policy mine on public.sessions for insert with check (bookingdb.caller_is_trusted())",
        {("auth_rls_initplan", MINE)},
    ),
    "a policy asks once and for each row": (
        "create policy mine on public.sessions as restrictive for select"
        " using (user_id = (select bookingdb.actor_id()) or therapist_id = bookingdb.actor_id())",
        {("auth_rls_initplan", MINE)},
    ),
    "a policy asks for a setting for each row": (
        'create policy "Mine ()" on public.sessions as restrictive for update'
        " using (title <> '( SELECT') with check (title <> '{' and status = current_setting('app.status', true))",
        {("auth_rls_initplan", '"Mine ()" on public.sessions')},
    ),
    "a policy asks for each row of another table": (
        "create table public.app_teams (member uuid primary key);"
        "create policy mine on public.sessions as restrictive for select"
        " using (exists (select from public.app_teams as t where t.member = bookingdb.actor_id()))",
        {("auth_rls_initplan", MINE)},
    ),
    "a policy asks for each row of a table that it looks up in": (
        "create table public.app_teams (member uuid primary key);"
        "create policy mine on public.sessions as restrictive for select"
        " using (user_id = (select t.member from public.app_teams as t where t.member = bookingdb.actor_id()))",
        {("auth_rls_initplan", MINE)},
    ),
    "a policy compares with a sub-select what it asks for each row": (
        "create policy mine on public.sessions as restrictive for select"
        " using (bookingdb.actor_id() in (select null::uuid))",
        {("auth_rls_initplan", MINE)},
    ),
    "a policy asks in a sub-select that names the row": (
        "create policy mine on public.sessions as restrictive for select"
        " using ((select bookingdb.actor_id() = sessions.user_id))",
        {("auth_rls_initplan", MINE)},
    ),
    "a policy beside ours": (
        "create policy mine on public.sessions for select using (status = 'completed')",
        {("multiple_permissive_policies", "public.sessions")},
    ),
    "a policy for everything beside ours, for one role": (
        "create policy mine on public.sessions for all to app_servers using (status = 'completed')",
        {("multiple_permissive_policies", "public.sessions")},
    ),
    "two policies for one role": (
        "create policy a on public.users for insert to app_servers, pg_monitor with check (id is null);"
        "create policy b on public.users for insert to app_servers with check (email is null)",
        {("multiple_permissive_policies", "public.users")},
    ),
    "a second policy of ours": (
        "create policy _bookingdb_too on bookingdb.ledger for all using (false)",
        {("multiple_permissive_policies", "bookingdb.ledger")},
    ),
    "the index of a foreign key missing": (
        "drop index public.sessions_therapist_id_start_time_idx",
        {("unindexed_foreign_keys", "sessions_therapist_id_fkey on public.sessions")},
    ),
    "a foreign key on our table": (
        "create table public.app_rooms (id integer primary key);"
        'alter table public.sessions add column "Room" integer constraint room_fkey references public.app_rooms',
        {("unindexed_foreign_keys", "room_fkey on public.sessions")},
    ),
    "a foreign key to our table": (
        "create table public.app_invoices (id integer primary key, session_id uuid references public.sessions)",
        {("unindexed_foreign_keys", "app_invoices_session_id_fkey on public.app_invoices")},
    ),
    "a foreign key whose index leaves rows out": (
        "create table public.app_invoices (id integer primary key, session_id uuid references public.sessions);"
        "create index on public.app_invoices (session_id) where id > 0",
        {("unindexed_foreign_keys", "app_invoices_session_id_fkey on public.app_invoices")},
    ),
    "a foreign key whose column is not what its indexes begin with": (
        "create table public.app_invoices (id integer primary key, session_id uuid references public.sessions);"
        "create index on public.app_invoices (id, session_id);"
        "create index on public.app_invoices (id desc) include (session_id);"
        "create index on public.app_invoices using brin (session_id)",
        {("unindexed_foreign_keys", "app_invoices_session_id_fkey on public.app_invoices")},
    ),
    "a foreign key of two columns with indexes on one": (
        "create table public.app_rooms (a integer, b integer, primary key (a, b));"
        "alter table public.sessions add column a integer, add column b integer,"
        " add constraint room_fkey foreign key (a, b) references public.app_rooms (a, b);"
        "create index on public.sessions (a, title); create index on public.sessions (a) include (b)",
        {("unindexed_foreign_keys", "room_fkey on public.sessions")},
    ),
    "the same index twice": (
        "create index mine on public.sessions (user_id, start_time)",
        {("duplicate_index", "public.mine")},
    ),
    "the same expression and condition twice": (
        "create unique index mine on public.users (lower(email));"
        'create index "Mine" on bookingdb.absences (client_id) where client_id is not null',
        {("duplicate_index", "public.mine"), ("duplicate_index", 'bookingdb."Mine"')},
    ),
    "the primary key twice": (
        "alter table public.users add constraint mine unique (id)",
        {("duplicate_index", "public.mine")},
    ),
    "the same constraint twice": (
        "alter table bookingdb.calendar add constraint mine exclude using gist (therapist_id with =, blocked with &&)"
        " where (kind in ('session', 'hold') and therapist_id is not null)",
        {("duplicate_index", "bookingdb.mine")},
    ),
    "an index three times": (
        "create index a on public.sessions (title) include (id, status);"
        "create index b on public.sessions (title) include (status, id);"
        "create index c on public.sessions (title) include (status, id)",
        {("duplicate_index", "public.b"), ("duplicate_index", "public.c")},
    ),
    "the same index twice, ours being the younger": (
        "alter index public.sessions_user_id_start_time_idx rename to mine;"
        "create index sessions_user_id_start_time_idx on public.sessions (user_id, start_time)",
        {("duplicate_index", "public.mine")},
    ),
    "a constraint that does the same as an older index": (
        "create unique index mine on public.sessions (title);"
        "alter table public.sessions add constraint too unique (title)",
        {("duplicate_index", "public.mine")},
    ),
    "a constraint that does the same as an index that a foreign key needs": (
        "create unique index mine on public.sessions (title);"
        "create table public.app_rooms (title text primary key references public.sessions (title));"
        "alter table public.sessions add constraint too unique (title)",
        {("duplicate_index", "public.too")},
    ),
    "an index twice, and a longer one": (
        "create index a on public.sessions (title); create index b on public.sessions (title);"
        "create index c on public.sessions (title, status)",
        {("unused_index", "public.a"), ("duplicate_index", "public.b")},
    ),
    "an index with the beginning of another": (
        "create index mine on public.sessions (user_id)",
        {("unused_index", "public.mine")},
    ),
    "an index with the beginning of another, backwards": (
        "create index mine on public.sessions (user_id desc)",
        {("unused_index", "public.mine")},
    ),
    "an index that another one includes": (
        "create index mine on public.sessions (user_id) include (start_time)",
        {("unused_index", "public.mine")},
    ),
    "an index beside the primary key": (
        "create index beside on public.users (id)",
        {("unused_index", "public.beside")},
    ),
    "an index beside an exclusion constraint": (
        "create index mine on bookingdb.calendar using gist (client_id, period)"
        " where kind in ('session', 'hold') and client_id is not null",
        {("unused_index", "bookingdb.mine")},
    ),
    "an index with the beginning of another one's condition": (
        "create index mine on public.sessions (title) where title is not null;"
        "create index too on public.sessions (title, status) where title is not null",
        {("unused_index", "public.mine")},
    ),
    "one index forwards and one backwards": (
        "create index mine on public.sessions (title); create index too on public.sessions (title desc)",
        {("unused_index", "public.too")},
    ),
}

# What looks like one of these, but is as it should be (or nobody's business but the application's).
NEAR_MISSES = {
    "policies that ask once": (
        "create policy mine on public.sessions as restrictive for all using ((select bookingdb.caller_is_trusted())"
        " or user_id = (select bookingdb.actor_id()) or status = (select current_setting('app.status', true))"
        " or title = (select coalesce(current_setting('app.title', true), (select '{' || current_user)))"
        " or exists (select where bookingdb.caller_is_trusted()) or title = any (array(select session_user)))"
    ),
    "a policy that asks once for what it looks up": (
        "create table public.app_teams (id integer primary key, member uuid);"
        "create policy mine on public.sessions as restrictive for select using (exists ("
        "select from public.app_teams as t where t.member = (select bookingdb.actor_id()) and t.id = duration_minutes))"
    ),
    "a policy that asks once, under a name of some sort": (
        "create policy mine on public.sessions as restrictive for select"
        ' using ((select bookingdb.caller_is_trusted() as "{"))'
    ),
    "a policy that calls functions with the row": (
        "create policy mine on public.sessions as restrictive for select using (lower(title) <> btrim(title))"
    ),
    "a policy that only narrows": "create policy mine on public.sessions as restrictive for all using (title <> '')",
    "always true, but narrowing nothing": (
        "create policy mine on public.sessions as restrictive for all using (true) with check (true)"
    ),
    "policies for different actions": (
        "create policy a on public.users for insert with check (email is not null);"
        "create policy b on public.users for update using (id is null);"
        "create policy c on public.users for delete using (id is null)"
    ),
    "policies for different roles": (
        "create policy a on public.users for insert to app_servers with check (email is not null);"
        "create policy b on public.users for insert to pg_monitor with check (email is not null)"
    ),
    "a server of the application's that may write": (
        "create policy mine on public.sessions for insert to app_servers with check (true)"
    ),
    "a policy for a role that no policy holds for": (
        "create policy mine on public.sessions for select to postgres using (status = 'completed')"
    ),
    "a write policy with a condition": (
        "create policy mine on public.sessions for update using (title = 'true') with check (status <> 'true')"
    ),
    "reading app_metadata": (
        "create policy mine on public.sessions as restrictive for select"
        " using ((select current_setting('request.jwt.claims', true))::jsonb -> 'app_metadata' ->> 'admin' = 'yes')"
    ),
    "a password that nobody can read": (
        "alter table public.users add column password text; drop policy _bookingdb_read on public.users;"
        "create policy mine on public.users for select using (true); grant select (email) on public.users to public"
    ),
    "a password that only its owner can read": (
        "alter table public.users add column password text; grant select on public.users to public"
    ),
    "a password policy": (
        "alter table public.users add column password_policy text; grant select on public.users to public;"
        "drop policy _bookingdb_read on public.users;"
        "create policy mine on public.users for select using (true)"
    ),
    "a view that nobody reads": "create view public.mine as select s.id from public.sessions as s",
    "a view in a schema of the application's": (
        "create schema app; create view app.mine as select s.id from public.sessions as s;"
        "grant select on app.mine to public"
    ),
    "a view over the application's own tables": (
        "create table public.app_posts (id integer primary key);"
        "create view public.mine as select p.id from public.app_posts as p; grant select on public.mine to public;"
        "create materialized view public.too as select p.id from public.app_posts as p;"
        "grant select on public.too to public"
    ),
    "a copy that nobody reads": "create materialized view public.mine as select u.email from public.users as u",
    "a definer function that only its owner can call": (
        f"alter function {BALANCE} security definer; revoke execute on function {BALANCE} from app_servers"
    ),
    "functions of the application's": (
        "create function public.mine() returns integer language sql security definer as 'select 1';"
        "create schema app; create function app.get_credit_balance() returns integer language sql as 'select 1'"
    ),
    "a search_path of another kind": f"alter function {UTC} set search_path = ''",
    "a trigger function of the application's own tables": (
        "create function public.mine() returns trigger language plpgsql as 'begin return new; end';"
        "create table public.app_posts (id integer primary key);"
        "create trigger mine before insert on public.app_posts for each row execute function public.mine()"
    ),
    "a trigger function that comes with Postgres": (
        "create trigger mine before update on public.sessions"
        " for each row execute function suppress_redundant_updates_trigger()"
    ),
    "an aggregate, which has no search_path": (
        "create aggregate public.get_credit_balance(integer) (sfunc = int4pl, stype = integer)"
    ),
    "another extension in public": "create extension pg_trgm with schema public",
    "a foreign key to the primary key of auth": (
        "create schema auth; create table auth.users (id uuid primary key);"
        "alter table public.users add foreign key (id) references auth.users (id)"
    ),
    "types that pg_upgrade takes": "alter table public.users add column handler regclass, add column role regrole",
    "foreign keys with an index": (
        "create table public.app_invoices (id integer primary key, session_id uuid references public.sessions,"
        " user_id uuid references public.users, therapist_id uuid references public.users);"
        "create index on public.app_invoices (session_id, id);"
        "create index on public.app_invoices (user_id) where user_id is not null;"
        "create index on public.app_invoices using hash (therapist_id)"
    ),
    "a foreign key of two columns with an index in another order": (
        "create table public.app_rooms (a integer, b integer, primary key (a, b));"
        "alter table public.sessions add column a integer, add column b integer,"
        " add constraint room_fkey foreign key (a, b) references public.app_rooms (a, b);"
        "create index on public.sessions (b, a, title)"
    ),
    "foreign keys between the application's own tables": (
        "create table public.app_rooms (id integer primary key, parent integer references public.app_rooms)"
    ),
    "a table of the application's, open, without key, policy or sense": (
        "create table public.app_posts (password text, handler regprocedure); grant all on public.app_posts to public;"
        "create index a on public.app_posts (password); create index b on public.app_posts (password);"
        "create table public.app_notes (id integer); alter table public.app_notes enable row level security;"
        "create table public.app_lists (id integer); alter table public.app_lists enable row level security;"
        "create policy a on public.app_lists using (true); create policy b on public.app_lists using (true);"
        "create policy mine on public.app_posts using (true)"
    ),
    "a table of the name of ours in another schema": (
        "create schema app; create table app.sessions (id integer); grant all on app.sessions to public"
    ),
    "a partial index beside a full one": (
        "create index mine on public.sessions (user_id, start_time) where status = 'scheduled'"
    ),
    "a full index beside a partial one": "create index mine on public.user_credits (payment_reference)",
    "a unique index with the beginning of another": (
        "create index mine on public.users (email, full_name); create unique index too on public.users (email)"
    ),
    "a unique index longer than another": "create unique index mine on public.users (id, email)",
    "the end of another index": "create index mine on public.sessions (start_time)",
    "another operator class": (
        "create index mine on public.sessions (title text_pattern_ops); create index too on public.sessions (title)"
    ),
    "another collation": (
        'create index mine on public.sessions (title collate "POSIX"); create index too on public.sessions (title)'
    ),
    "another order of two columns": "create index mine on public.sessions (user_id, start_time desc)",
    "nulls elsewhere": (
        "create index mine on public.sessions (title nulls first); create index too on public.sessions (title)"
    ),
    "an index that includes more": "create index mine on public.sessions (user_id) include (status)",
    "another method": "create index mine on public.sessions using hash (user_id)",
    "the beginning of an index of another method": (
        "create index mine on bookingdb.absences using gist (therapist_id) where kind = 'external'"
    ),
    "another expression": "create index mine on public.users (upper(email))",
    "the same in another table": "create index mine on bookingdb.outbox (created_at)",
    "a constraint that refuses other rows": (
        "alter table bookingdb.calendar add constraint mine exclude using gist (therapist_id with =, blocked with =)"
        " where (kind in ('session', 'hold'))"
    ),
    "a unique constraint that is checked later": (
        "alter table public.users add constraint mine unique (id) deferrable initially deferred"
    ),
}

# Damages of different objects, which can be there together.
TOGETHER = (
    "row level security off",
    "deny policy missing",
    "the engine room opened",
    "definer function",
    "function without search_path",
    "column that pg_upgrade refuses",
    "our own policy asks for each row",
    "two policies for one role",
    "the index of a foreign key missing",
    "the same index twice",
    "the same constraint twice",
    "an index beside the primary key",
    "a copy of our table that everybody reads",
)


def what(findings: list[Finding]) -> set[tuple[str, str]]:
    """Rule and object of each finding; none of them twice."""
    found = {(finding.group, finding.object) for finding in findings}
    assert len(found) == len(findings), findings
    return found


def follow(connection: Connection, findings: list[Finding]) -> list[Finding]:
    """Do what the remedies say (what two of them have in common, once), and return what is found then."""
    commands = [command for finding in findings for command in re.findall(r"`([^`]+)`", finding.remedy)]
    for command in dict.fromkeys(commands):
        if command == "bookingdb migrate --reapply":
            installer.migrate(connection, reapply=True)
        else:
            run(connection, command)
    return lint(connection)


@pytest.fixture
def world(world: World) -> World:
    """Somebody else than the owner has privileges."""
    trust(world.connection, "app_servers")
    return world


@pytest.fixture
def passing(shared_database: str) -> Iterator[World]:
    """A world in a transaction that is rolled back."""
    with connect(shared_database) as connection, connection.transaction(force_rollback=True):
        # Somebody else than the owner has to be there.
        run(connection, f"grant execute on function {BALANCE}, lock_for_booking(uuid[]) to app_servers")
        yield World(shared_database, connection)


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGES)
def test_broken_rule_is_found_and_its_remedy_works(passing: World, name: str) -> None:
    damage, expected = DAMAGES[name]
    passing.run(damage)
    findings = lint(passing.connection)
    assert what(findings) == expected
    for finding in findings:
        assert finding.problem
        assert not finding.problem.endswith(".")

    left = follow(passing.connection, findings)
    assert what(left).isdisjoint(expected)
    # What was only half of it: a table without row level security had no policy either.
    assert not left or follow(passing.connection, left) == []


def test_each_rule_is_provoked() -> None:
    provoked = {rule for _, expected in DAMAGES.values() for rule, _ in expected}
    # Those of the extension have tests of their own below.
    assert provoked | {"extension_in_public", "extension_versions_outdated"} == {rule.name for rule in rules()}


@pytest.mark.slow
@pytest.mark.parametrize("name", NEAR_MISSES)
def test_near_miss_of_a_rule_is_no_finding(passing: World, name: str) -> None:
    passing.run(NEAR_MISSES[name])
    assert lint(passing.connection) == []


def test_several_damages_are_all_found_at_once(world: World) -> None:
    for name in TOGETHER:
        world.run(DAMAGES[name][0])
    findings = lint(world.connection)
    assert what(findings) == set.union(*(DAMAGES[name][1] for name in TOGETHER))

    assert follow(world.connection, findings) == []
    # Nothing of what was installed is other than it was.
    assert verify(world.connection) == []


def test_a_fresh_installation_breaks_no_rule_on_any_host(hosts_empty_database: str) -> None:
    with connect(hosts_empty_database) as connection:
        (missing,) = lint(connection)
        assert (missing.object, missing.problem) == ("bookingdb", "is not installed")
        installer.migrate(connection)
        assert lint(connection) == []

    environment = {"BOOKINGDB_DATABASE_URL": hosts_empty_database}
    clean = CliRunner().invoke(cli.main, ["lint"], env=environment)
    assert (clean.exit_code, clean.stdout) == (0, "Linted: no findings.\n")


def test_lint_exits_with_1_and_names_rule_object_and_remedy(world: World) -> None:
    world.run("drop policy _bookingdb_deny on bookingdb.outbox; create index mine on public.users (id)")
    environment = {"BOOKINGDB_DATABASE_URL": world.url}
    result = CliRunner().invoke(cli.main, ["lint"], env=environment)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "rls_enabled_no_policy: Tables with row level security, but no policy that says what is meant",
        "  bookingdb.outbox: has row level security, but no policy. Run `bookingdb migrate --reapply`",
        "unused_index: Indexes that can never be needed, because another one begins with the same",
        "  public.mine: does nothing that public.users_pkey does not. Run `drop index public.mine`",
        "2 finding(s).",
    ]
    as_json = CliRunner().invoke(cli.main, ["lint", "--json"], env=environment)
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout) == [finding.to_dict() for finding in lint(world.connection)]


def test_exposed_engine_room_makes_its_objects_findings(world: World) -> None:
    with world.connect(user=world.superuser) as superuser:
        run(superuser, f"alter database {superuser.info.dbname} set pgrst.db_schemas = 'public, bookingdb'")
    assert_that_what_can_be_called_in_the_engine_room_is_found(world)


def test_engine_room_exposed_by_postgrests_role_is_found(supabase_world: World) -> None:
    assert lint(supabase_world.connection) == []
    with supabase_world.connect(user=supabase_world.superuser) as superuser:
        database = superuser.info.dbname
        run(superuser, f"alter role anon in database {database} set pgrst.db_schemas = 'bookingdb'")
        assert lint(supabase_world.connection) == []
        run(superuser, f"alter role authenticator in database {database} set pgrst.db_schemas = 'api,bookingdb'")
    assert_that_what_can_be_called_in_the_engine_room_is_found(supabase_world)


def assert_that_what_can_be_called_in_the_engine_room_is_found(world: World) -> None:
    world.run("alter table bookingdb.ledger disable row level security")
    found = what(lint(world.connection))
    assert ("rls_disabled_in_public", "bookingdb.ledger") in found
    functions = {name for rule, name in found if rule == "authenticated_security_definer_function_executable"}
    assert "bookingdb.get_credit_balance(uuid)" in functions
    # Nobody may call this one.
    assert "bookingdb.take_credit(uuid,uuid,integer,boolean,timestamp with time zone)" not in functions


def test_a_definer_function_is_told_apart_by_who_may_call_it(supabase_world: World) -> None:
    world = supabase_world
    world.run(f"alter function {BALANCE} security definer; grant execute on function {BALANCE} to anon")
    world.run("alter function public.lock_for_booking(uuid[]) security definer")
    anonymous, authenticated = (f"{role}_security_definer_function_executable" for role in ("anon", "authenticated"))
    findings = lint(world.connection)
    assert what(findings) == {
        (anonymous, BALANCE),
        (authenticated, BALANCE),
        (authenticated, "public.lock_for_booking(uuid[])"),
    }
    assert [finding.problem for finding in findings] == [
        "runs with the rights of its owner for anon",
        "runs with the rights of its owner for anon and app_servers and authenticated and service_role",
        "runs with the rights of its owner for app_servers and authenticated and service_role",
    ]


def test_the_extension_in_public_is_found_and_nowhere_else(world: World) -> None:
    with world.connect(user=world.superuser) as superuser:
        run(superuser, "create schema app; alter extension btree_gist set schema app")
        assert lint(world.connection) == []
        run(superuser, "alter extension btree_gist set schema public")
        findings = lint(world.connection)
        assert what(findings) == {("extension_in_public", "btree_gist")}
        # The owner of the extension does not own the types in it.
        run(superuser, "alter extension btree_gist set schema extensions")
        assert findings[0].remedy.startswith("Run `alter extension btree_gist set schema extensions`")
        assert lint(world.connection) == []


def test_policies_for_the_roles_of_supabase(supabase_world: World) -> None:
    world = supabase_world
    # Bypasses all policies.
    world.run("create policy server on public.sessions for all to service_role using (true)")
    assert lint(world.connection) == []
    world.run("create policy users on public.sessions for insert to anon, authenticated with check (true)")
    (finding,) = lint(world.connection)
    assert (finding.group, finding.object) == ("rls_policy_always_true", "users on public.sessions")
    assert finding.problem == "lets anon and authenticated insert any row"


def test_an_extension_older_than_the_server_s_is_found(owned_database: str) -> None:
    with connect(owned_database) as connection:
        older = scalar(
            connection,
            "select v.version from pg_available_extension_versions as v"
            " inner join pg_available_extensions as e on e.name = v.name"
            " where v.name = 'btree_gist' and v.version <> e.default_version order by v.version desc limit 1",
        )
        run(connection, f"create schema extensions; create extension btree_gist schema extensions version '{older}'")
        installer.migrate(connection)
        findings = lint(connection)
        assert what(findings) == {("extension_versions_outdated", "btree_gist")}
        assert follow(connection, findings) == []


def test_anybody_may_ask_whatever_their_settings_and_they_stay(hosted_world: World) -> None:
    settings = {"search_path": "bookingdb, public, pg_temp", "quote_all_identifiers": "on", "row_security": "on"}
    with hosted_world.connect(user="stranger") as connection:
        for name, value in settings.items():
            run(connection, f"set {name} = {value}")
        run(connection, "set default_transaction_read_only = on")
        assert lint(connection) == []
        assert {name: scalar(connection, f"show {name}") for name in settings} == settings


def test_objects_of_any_name_are_found_and_put_right(world: World) -> None:
    odd, too = ('"it\'s (a 100%s {run} \\1 ""' + name + '"""' for name in ("thing", "other thing"))
    world.run(
        "create schema auth;"
        f"create function auth.{odd}() returns text language sql stable set search_path = '' as 'select ''a''';"
        f"create table public.app_rooms ({odd} integer primary key);"
        f"alter table public.sessions add column {odd} integer constraint {odd} references public.app_rooms;"
        f"create policy {odd} on public.sessions as restrictive for select using ({odd} = 1"
        f" and user_id = bookingdb.actor_id() and title <> auth.{odd}()"
        " and title <> current_setting('it''s (a {setting'));"
        f"create policy {odd} on public.users for select using (full_name <> 'it''s');"
        f"create index {odd} on public.users ((full_name || 'it''s'));"
        f"create index {too} on public.users ((full_name || 'it''s'))"
    )
    findings = lint(world.connection)
    assert what(findings) == {
        ("auth_rls_initplan", f"{odd} on public.sessions"),
        ("multiple_permissive_policies", "public.users"),
        ("unindexed_foreign_keys", f"{odd} on public.sessions"),
        ("duplicate_index", f"public.{too}"),
    }
    assert follow(world.connection, findings) == []


def test_findings_do_not_depend_on_the_sessions_settings(world: World) -> None:
    world.run(DAMAGES["a policy asks for a setting for each row"][0] + ";" + DAMAGES["the same index twice"][0])
    world.run("drop policy _bookingdb_read on public.users")
    expected = lint(world.connection)
    world.run("set search_path = bookingdb, public; set quote_all_identifiers = on")
    assert lint(world.connection) == expected


# ---------------------------------------------------------------------------------------------------------------------
# Supabase's own advisors, as its command line has them
# ---------------------------------------------------------------------------------------------------------------------

# Rows enough for the planner to use an index rather than to read the whole table.
MANY_ROWS = """
    set session_replication_role = replica;
    insert into public.users (id, email, user_type, is_verified)
    select md5('person' || n)::uuid, n || '@example.com', case when n % 2 = 0 then 'therapist' else 'user' end, true
    from generate_series(1, 4000) as n;
    insert into public.user_credits (user_id, credits_balance)
    select u.id, 1 from public.users as u where u.user_type = 'user';
    insert into public.sessions (id, user_id, therapist_id, start_time, end_time)
    select md5('session' || n)::uuid, md5('person' || 2 * n - 1)::uuid, md5('person' || 2 * n)::uuid,
        now(), now() + interval '1 hour'
    from generate_series(1, 2000) as n;
    insert into public.booking_audit_log (session_id, action, actor)
    select s.id, 'created', 'nobody' from public.sessions as s cross join generate_series(1, 3);
    insert into bookingdb.calendar (kind, therapist_id, client_id, period, blocked)
    select 'session', s.therapist_id, s.user_id, p.period, p.period
    from public.sessions as s
    cross join lateral (select tstzrange(s.start_time, s.end_time) as period) as p;
    insert into bookingdb.absences (kind, therapist_id, period)
    select 'time_off', s.therapist_id, tstzrange(s.start_time, s.end_time)
    from public.sessions as s;
    insert into bookingdb.calendar (kind, therapist_id, client_id, period, blocked, expires_at)
    select 'hold', s.therapist_id, s.user_id, p.period, p.period, now() + row_number() over () * interval '1 minute'
    from public.sessions as s
    cross join lateral (
        select tstzrange(s.start_time + interval '1 day', s.end_time + interval '1 day') as period
    ) as p;
    insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
    select l.user_id, l.id, 'grant', 1, 1, 'nobody' from public.user_credits as l;
    insert into bookingdb.policies (therapist_id, time_zone)
    select md5('person' || 2 * z.number)::uuid, z.name
    from (select name, row_number() over (order by name) as number from bookingdb.time_zones) as z;
    insert into bookingdb.weekly_hours (therapist_id, weekday, start_time, end_time)
    select md5('nobody' || n)::uuid, 1, '09:00', '17:00' from generate_series(1, 2000) as n;
    insert into bookingdb.date_overrides (therapist_id, override_date)
    select md5('nobody' || n)::uuid, current_date from generate_series(1, 2000) as n;
    insert into bookingdb.time_zones (name) values ('Nobody/Wants it');
    insert into bookingdb.destinations (name, kind, events)
    select 'pager-' || n, 'pager', '{hold.placed}' from generate_series(1, 20) as n;
    insert into bookingdb.deliveries (destination_id, event_id, type, subject_id, recipient_id, data, is_next)
    select d.id, n, 'hold.placed', gen_random_uuid(), gen_random_uuid(), '{}', true
    from bookingdb.destinations as d
    cross join generate_series(1, 200) as n;
    insert into bookingdb.deliveries (destination_id, type, subject_id, data, is_next)
    select d.id, 'bookingdb.test', gen_random_uuid(), '{}', true from bookingdb.destinations as d;
    analyze;
"""

# What the indexes are there for.
WORK = """
    select * from public.create_session_with_credit_deduction(
        p_user_id => md5('person5')::uuid, p_therapist_id => md5('person8')::uuid,
        p_session_date => current_date + 3, p_session_time => '10:00'
    );
    select * from public.get_credit_history(md5('person5')::uuid);
    select s.id from public.sessions as s where s.user_id = md5('person5')::uuid order by s.start_time;
    select s.id from public.sessions as s where s.therapist_id = md5('person8')::uuid order by s.start_time;
    select l.id from public.booking_audit_log as l where l.session_id = md5('session8')::uuid order by l.id;
    delete from bookingdb.time_zones as z where z.name = 'Nobody/Wants it';
    select * from public.expire_credits();
    select * from public.housekeeping(p_dry_run => true);
    delete from bookingdb.calendar as c where c.kind = 'hold' and c.expires_at < now();
    select s.id from public.sessions as s where s.series_id = md5('series')::uuid;
    select * from public.list_sessions(p_limit => 5);
    select * from public.list_therapists();
    select * from public.get_weekly_hours(md5('person8')::uuid);
    set enable_seqscan = off;
    select r.id from bookingdb.refusals as r where r.user_id = md5('person5')::uuid;
    select r.id from bookingdb.refusals as r where r.session_id = md5('session8')::uuid order by r.id;
    select t.id from bookingdb.texts as t where t.session_id = md5('session8')::uuid;
    select t.id from bookingdb.texts as t where t.user_id = md5('person5')::uuid;
    select w.id from bookingdb.weekly_hours as w where w.time_zone = 'Europe/Berlin';
    select l.id from bookingdb.ledger as l where l.source_lot_id = md5('lot')::uuid;
    select c.id from public.user_credits as c
    where c.user_id = md5('person5')::uuid and c.grace_for_lot_id = md5('lot')::uuid;
    select a.id from bookingdb.absences as a
    where not a.is_long order by a.therapist_id, lower(a.period), upper(a.period) limit 5;
    select * from public.list_date_overrides(md5('person8')::uuid, current_date, current_date + 7);
    select m.from_user_id from bookingdb.merged_people as m where m.into_user_id = md5('person5')::uuid;
    select p.id from bookingdb.packages as p where lower(p.name) = 'ten';
    select p.payment_key from bookingdb.payments as p where p.lot_id = md5('lot')::uuid;
    select e.id from bookingdb.erasures as e where e.person_id = md5('person5')::uuid;
    select * from public.relay_events(10);
    select * from public.claim_deliveries(5, p_destinations => '{pager-1}');
    select * from public.claim_deliveries(5, p_destinations => '{pager-1}');
    select * from public.list_deliveries('pager-1', 'dead', p_limit => 5);
    select * from public.list_deliveries('pager-1', p_limit => 5);
    select d.id from bookingdb.deliveries as d
    where d.type = 'session.reminder' and d.data ->> 'session_id' = 'a session';
    select * from public.deliveries_status();
    select d.id from bookingdb.deliveries as d where d.finished_at < now() order by d.finished_at limit 5;
    select d.id from bookingdb.deliveries as d
    where d.recipient_id = md5('person5')::uuid and d.recipient_id <> '00000000-0000-0000-0000-000000000000';
    insert into bookingdb.deliveries (destination_id, type, subject_id, data)
    select d.destination_id, d.type, d.subject_id, '{}' from bookingdb.deliveries as d where d.event_id is null limit 1
    on conflict (subject_id, destination_id, recipient_id) where event_id is null do nothing;
"""

# A damage for each rule that both know (but unused_index, which is another thing there: an index that nobody has used
# so far), all in one database. The superuser does it, because the schema auth is not ours.
BOTH_KNOW = """
    alter table public.users disable row level security;
    alter table public.users add column password text;
    drop policy _bookingdb_read on public.user_credits;
    create policy mine on public.sessions for all to authenticated using (true);
    alter policy _bookingdb_deny on bookingdb.ledger using (user_id = auth.uid());
    alter policy _bookingdb_deny on bookingdb.calendar
        using (client_id::text = current_setting('app.client', true)) with check (client_id = (select auth.uid()));
    create policy mine on public.booking_audit_log as restrictive for select
        using ((select auth.jwt()) -> 'user_metadata' ->> 'admin' = 'yes');
    create view public.app_view as select s.id from public.sessions as s;
    grant select on public.app_view to anon;
    create materialized view public.app_copy as select s.id from public.sessions as s;
    grant select on public.app_copy to authenticated;
    alter function bookingdb.iso_utc(timestamptz) reset search_path;
    create procedure bookingdb.mine() language plpgsql as 'begin end';
    alter extension btree_gist set schema public;
    create table public.app_rooms (id integer primary key);
    alter table public.app_rooms enable row level security;
    create policy mine on public.app_rooms for select using (id > 0);
    alter table public.sessions add column room_id integer references public.app_rooms;
    alter table auth.users add unique (email);
    alter table public.users add foreign key (email) references auth.users (email);
    alter table bookingdb.history add column handler regproc;
    alter table bookingdb.outbox drop constraint outbox_pkey;
    create index mine on bookingdb.absences (client_id) where client_id is not null;
    update pg_extension set extversion = (
        select v.version from pg_available_extension_versions as v
        where v.name = 'btree_gist' and not v.installed order by v.version limit 1
    ) where extname = 'btree_gist';
"""


def advisors(url: str, folder: Path) -> list[dict[str, Any]]:
    """What all of Supabase's advisors say about a database, at every level, whatever the schema."""
    target = conninfo_to_dict(url)
    remote = f"postgresql://{target['user']}@{target['host']}:{target['port']}/{target['dbname']}"
    result = subprocess.run(
        [
            javascript.supabase_cli(), "db", "advisors", f"--remote={remote}", "--type=all", "--level=info",
            "--output-format=json", f"--workdir={folder}",
        ],
        env={**javascript.environment(), "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    found: list[dict[str, Any]] = answer["results"]
    return found


@pytest.mark.slow
def test_supabase_s_own_advisors_find_nothing(
    supabase_empty_database: str, supabase_host: Host, tmp_path: Path
) -> None:
    url = supabase_empty_database
    with connect(url) as connection:
        assert advisors(url, tmp_path) == []
        installer.migrate(connection)
        # Nobody has used an index yet, which the advisors say of each, and nothing else.
        assert {result["name"] for result in advisors(url, tmp_path)} == {"unused_index"}
        with connect(make_conninfo(url, user=supabase_host.superuser)) as superuser:
            run(superuser, MANY_ROWS)
        run(connection, WORK)
    # The server knows of it when the connection has ended.
    assert [result["detail"] for result in advisors(url, tmp_path)] == []


def test_supabase_s_own_advisors_agree_about_what_is_wrong(supabase_world: World, tmp_path: Path) -> None:
    with supabase_world.connect(user=supabase_world.superuser) as superuser:
        run(superuser, BOTH_KNOW)
    theirs = {
        (result["name"], subject_of(result["metadata"]))
        for result in advisors(supabase_world.url, tmp_path)
        if result["name"] != "unused_index"
    }
    if supabase_world.connection.info.server_version < 150000:
        # Every view is one before Postgres 15; that is why they do not look, and why we do.
        theirs.add(("security_definer_view", "public.app_view"))
    ours = {
        (finding.group, table_of(supabase_world, finding))
        for finding in lint(supabase_world.connection)
        if finding.group != "unused_index"
    }
    assert ours == theirs
    # The command line has no rules for functions with the rights of their owner.
    unknown = {"unused_index"} | {rule.name for rule in rules() if "definer_function" in rule.name}
    assert {rule for rule, _ in ours} == {rule.name for rule in rules()} - unknown


def subject_of(metadata: dict[str, str]) -> str:
    """What one of the advisors' results is about, which is a table where they speak of parts of it."""
    if "extension_name" in metadata or metadata.get("type") == "extension":
        return metadata.get("extension_name") or metadata["name"]
    return f"{metadata['schema']}.{metadata['name']}"


def table_of(world: World, finding: Finding) -> str:
    """The same of a finding of ours."""
    if finding.group == "duplicate_index":
        index = "select i.indrelid::regclass::text from pg_index as i where i.indexrelid = %s::regclass"
        with world.connection.transaction():
            world.run("set local search_path = ''")
            return str(world.scalar(index, finding.object))
    if finding.group in ("sensitive_columns_exposed", "unsupported_reg_types"):
        return finding.object.rpartition(".")[0]
    return finding.object.partition(" on ")[2] or finding.object.partition("(")[0]
