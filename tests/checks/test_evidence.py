"""Nobody rewrites evidence by plain statements; what a superuser rewrites is on record, and acknowledged on record."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from bookingdb.checks import acknowledgements, verify
from bookingdb.checks.finding import Finding
from bookingdb.install.session import InstallError
from tests.support import Connection, World, connect, run
from tests.support.commands import bookingdb

# A column of each table whose value a forger would want to be another one.
EVIDENCE = {
    "bookingdb.ledger": "actor",
    "public.booking_audit_log": "actor",
    "bookingdb.rewritten_records": "rewritten_by",
    "bookingdb.merged_people": "actor",
    "bookingdb.acknowledgements": "reason",
    "bookingdb.adoption": "object",
    "bookingdb.history": "applied_by",
}
# Ways to change a row without naming its table, or without the words UPDATE and DELETE. They need 1, the table, and 2,
# the column.
CHANGES = {
    "delete": "delete from {table}",
    "update": "update {table} set {column} = 'somebody else'",
    "delete and insert": "with gone as (delete from {table} returning *) insert into {table} overriding system value"
    " select * from gone",
    "truncate": "truncate {table} cascade",
    "upsert": "insert into {table} overriding system value select * from {table} on conflict (id) do update"
    " set {column} = 'somebody else'",
    "merge": "merge into {table} as t using {table} as s on s.id = t.id when matched then delete",
    "view": "create view public.way_round as select * from {table}; delete from public.way_round",
    "definer function": "create function public.way_round() returns void language sql security definer"
    " as 'delete from {table}'; select public.way_round()",
    "cascade": "create table public.way_round as select id from {table}; alter table public.way_round add primary key"
    " (id); alter table {table} add foreign key (id) references public.way_round on delete cascade;"
    " delete from public.way_round",
}


@pytest.fixture
def superuser(world: World) -> Iterator[Connection]:
    """A superuser's connection to the database of `world`."""
    with connect(make_conninfo(world.url, user="postgres")) as connection:
        yield connection


@pytest.fixture
def witness(world: World, superuser: Connection) -> World:
    """A database in which each table of evidence has a row."""
    world.book(world.client(credits=2), world.therapist())
    run(superuser, "update bookingdb.ledger set reason = 'as agreed' where kind = 'debit'")
    (finding,) = verify.verify(world.connection)
    acknowledgements.acknowledge(world.connection, [finding], "agreed with Ada")
    world.run("insert into bookingdb.adoption (kind, object) values ('row', 'public.sessions')")
    world.run(
        "insert into bookingdb.merged_people (from_user_id, into_user_id, kind, actor)"
        " values (gen_random_uuid(), gen_random_uuid(), 'merge', 'owner')"
    )
    return world


def rows(connection: Connection) -> dict[str, list[str]]:
    return {
        table: [row for (row,) in run(connection, f"select to_jsonb(t)::text from {table} as t order by 1")]
        for table in EVIDENCE
    }


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_owner_changes_no_evidence_by_plain_statements(witness: World, change: str) -> None:
    before = rows(witness.connection)
    version = witness.connection.info.server_version
    if change == "merge" and version < 150000:
        pytest.skip("Postgres 14 has no MERGE")
    for table, column in EVIDENCE.items():
        # The statements are one transaction, so that the view and the function go with it.
        # Rows of the history that come back with their ids meet the guard of restored rows before that of evidence.
        with pytest.raises(psycopg.Error, match=f"of {table} is refused|rows of a dump cannot be restored"):
            witness.run(CHANGES[change].format(table=table, column=column))

    assert rows(witness.connection) == before
    assert verify.verify(witness.connection) == []


def test_a_change_is_judged_after_triggers_of_others(world: World) -> None:
    """What a BEFORE trigger makes of a row that is written back unchanged is what counts."""
    world.book(world.client(credits=1), world.therapist())
    world.run("update public.booking_audit_log set actor = actor")
    world.run(
        "create function public.forge() returns trigger language plpgsql as"
        " $$ begin new.actor := 'somebody else'; return new; end $$;"
        " create trigger zz_forge before update on public.booking_audit_log"
        " for each row execute function public.forge()"
    )

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world.run("update public.booking_audit_log set actor = actor")


@pytest.mark.parametrize("table", ["bookingdb.rewritten_records", "bookingdb.acknowledgements"])
def test_a_superuser_empties_no_record_silently(witness: World, superuser: Connection, table: str) -> None:
    ((kept,),) = witness.run(f"select to_jsonb(t) from {table} as t")
    run(superuser, f"delete from {table}")

    told = verify.verify(witness.connection)

    assert f"postgres did delete on 1 row(s) of {table}" in " ".join(finding.problem for finding in told)
    assert (kept,) in witness.run("select old_row from bookingdb.rewritten_records")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(superuser, f"truncate {table}")


# ----------------------------------------------------------------------------------------------------------------------
# Acknowledging
# ----------------------------------------------------------------------------------------------------------------------


def test_role_that_may_not_see_acknowledgements_is_told(world: World, superuser: Connection) -> None:
    run(superuser, "create role onlooker login")
    try:
        with connect(make_conninfo(world.url, user="onlooker")) as connection:
            with pytest.raises(InstallError, match=r"permission denied.*connect as the owner"):
                acknowledgements.read(connection)
            assert verify.verify(connection) != []
    finally:
        run(superuser, "drop role onlooker")


def test_an_acknowledged_finding_is_silent_until_it_changes(world: World, superuser: Connection) -> None:
    world.book(world.client(credits=2), world.therapist())
    run(superuser, "update bookingdb.ledger set reason = 'as agreed' where kind = 'debit'")
    (first,) = verify.verify(world.connection)

    acknowledgements.acknowledge(world.connection, [first], "agreed with Ada")

    assert verify.verify(world.connection) == []
    (acknowledged,) = acknowledgements.read(world.connection)
    assert (acknowledged.key, acknowledged.reason, acknowledged.acknowledged_by) == (
        first.key, "agreed with Ada", "owner"
    )  # fmt: skip
    run(superuser, "update bookingdb.ledger set reason = 'as agreed' where kind = 'grant'")
    (second,) = verify.verify(world.connection)
    assert second.id != first.id


def test_an_invariant_of_the_past_can_be_acknowledged(world: World, superuser: Connection) -> None:
    session = world.book(world.client(credits=1), world.therapist())["id"]
    run(superuser, "set session_replication_role = replica; delete from public.booking_audit_log")
    (finding,) = verify.verify(world.connection)
    assert (finding.object, finding.is_settled) == (f"5: {session}", True)

    acknowledgements.acknowledge(world.connection, [finding], "restored from a dump without it")

    assert verify.verify(world.connection) == []


@pytest.mark.parametrize(
    "damage",
    [
        "alter table public.sessions disable trigger _bookingdb_audit",
        "alter table bookingdb.calendar drop constraint calendar_client_excl",
        "set session_replication_role = replica; delete from bookingdb.calendar",
        "set session_replication_role = replica; update public.user_credits set credits_balance = 30",
    ],
)
def test_a_promise_in_danger_cannot_be_acknowledged(world: World, superuser: Connection, damage: str) -> None:
    world.book(world.client(credits=2), world.therapist())
    run(superuser, damage)
    (finding,) = verify.verify(world.connection)
    assert not finding.is_settled

    with pytest.raises(InstallError, match=finding.id):
        acknowledgements.acknowledge(world.connection, [finding], "never mind")
    world.run(
        "insert into bookingdb.acknowledgements (finding_group, object, problem, reason) values (%s, %s, %s, 'x')",
        *finding.key,
    )

    assert verify.verify(world.connection) == [finding]


def test_an_acknowledgement_has_a_reason(world: World) -> None:
    finding = Finding("rewritten records", "record 1", "a problem", "Look", is_settled=True)

    with pytest.raises(InstallError, match="reason"):
        acknowledgements.acknowledge(world.connection, [finding], " ")
    with pytest.raises(psycopg.errors.CheckViolation):
        world.run(
            "insert into bookingdb.acknowledgements (finding_group, object, problem, reason)"
            " values ('rewritten records', 'record 1', 'a problem', ' ')"
        )


def test_verify_acknowledges_by_the_id_it_shows(world: World, superuser: Connection) -> None:
    world.book(world.client(credits=2), world.therapist())
    run(superuser, "update bookingdb.ledger set reason = 'as agreed' where kind = 'debit'")
    shown = bookingdb(world.url, "verify")
    (finding,) = json.loads(bookingdb(world.url, "verify", "--json").stdout)
    assert f"[{finding['id']}]" in shown.stdout
    assert shown.exit_code == 1

    wrong = bookingdb(world.url, "verify", "--acknowledge", "0000000000", "--reason", "seen")
    missing = bookingdb(world.url, "verify", "--acknowledge", finding["id"])
    right = bookingdb(world.url, "verify", "--acknowledge", finding["id"], "--reason", "agreed with Ada")
    listed = bookingdb(world.url, "verify", "--acknowledged")

    assert (wrong.exit_code, missing.exit_code, right.exit_code, listed.exit_code) == (2, 2, 0, 0)
    assert right.stdout == "Verified: no findings.\n"
    assert "agreed with Ada" in listed.stdout
    assert json.loads(bookingdb(world.url, "verify", "--acknowledged", "--json").stdout)[0]["reason"] == (
        "agreed with Ada"
    )
