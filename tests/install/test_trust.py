"""Trust is a privilege inside one database: who has it, who gives and takes it, and how it came from a role of old."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from bookingdb.checks import verify
from bookingdb.install import export, installer
from bookingdb.install.session import InstallError
from bookingdb.install.trust import trust
from tests.support import Connection, World, connect, run, scalar
from tests.support.commands import answer, bookingdb, done
from tests.support.databases import new_database
from tests.support.refusals import outcome
from tests.support.upgrade import VERSIONS

GRANT = "grant execute on function bookingdb.act_for_anyone() to stranger"
REVOKE = "revoke execute on function bookingdb.act_for_anyone() from stranger"
BALANCE = "select public.get_credit_balance(%s)"


def acts_for(world: World, login: str, role: str = "") -> str:
    """How it ends when a login asks for somebody's balance, and what it then reads of the tables."""
    client = world.client(credits=2)
    with world.connect(user=login) as connection:
        if role:
            run(connection, f"set role {role}")
        try:
            assert scalar(connection, BALANCE, client) == 2
            assert len(run(connection, "select id from public.users where id = %s", client)) == 1
            run(connection, "select id from public.booking_audit_log")
        except psycopg.Error as error:
            return error.sqlstate or ""
    return "trusted"


@pytest.fixture
def other_world(server_url: str, template: str) -> Iterator[World]:
    """Another database of the server that `world` is on."""
    for url in new_database(server_url, template, "owner"):
        with connect(url) as connection:
            yield World(url, connection)


def test_role_trusted_in_one_database_is_a_stranger_in_another(world: World, other_world: World) -> None:
    assert trust(world.connection, "stranger")
    assert acts_for(world, "stranger") == "trusted"
    assert acts_for(other_world, "stranger") == "42501"
    # Whatever else it may there.
    other_world.run("grant usage on schema bookingdb to stranger")
    other_world.run("grant execute on function public.get_credit_balance(uuid) to stranger")
    other_world.run("grant execute on function bookingdb.get_credit_balance(uuid) to stranger")
    other_world.run("grant select on public.users to stranger")
    assert acts_for(other_world, "stranger") == "PT401"


def test_trust_command_gives_and_takes_all_that_goes_with_it(world: World) -> None:
    before = world.run("select p.proname, p.proacl::text from pg_proc as p order by p.oid")
    assert done(world.url, "trust", "stranger").stdout == "stranger may act for anyone in this database.\n"
    assert acts_for(world, "stranger") == "trusted"
    assert verify.verify(world.connection) == []
    assert "Trusted, besides the owner and superusers: stranger." in done(world.url, "status").stdout
    assert answer(world.url, "status")["trusted"] == ["stranger"]
    # Once is enough.
    assert answer(world.url, "trust", "stranger") == {"role": "stranger", "trusted": True}
    assert installer.migrate(world.connection).is_empty

    assert done(world.url, "trust", "stranger", "--revoke").stdout == "stranger is no longer trusted.\n"
    assert acts_for(world, "stranger") == "42501"
    assert verify.verify(world.connection) == []
    assert world.run("select p.proname, p.proacl::text from pg_proc as p order by p.oid") == before
    assert not world.scalar("select has_table_privilege('stranger', 'public.sessions', 'select')")
    assert answer(world.url, "status")["trusted"] == []


def test_plain_grant_is_pending_until_migrate_gives_the_rest(world: World) -> None:
    world.run(GRANT)
    pending = "roles or who is trusted changed: stranger"
    assert installer.status(world.connection).pending.reason == pending
    assert [finding.problem for finding in verify.verify(world.connection)] == [pending]
    assert installer.migrate(world.connection).reason == pending
    assert acts_for(world, "stranger") == "trusted"
    assert verify.verify(world.connection) == []

    world.run(REVOKE)
    assert acts_for(world, "stranger") == "PT401"
    assert [finding.problem for finding in verify.verify(world.connection)] == [pending]
    assert installer.migrate(world.connection).reason == pending
    assert acts_for(world, "stranger") == "42501"
    assert verify.verify(world.connection) == []


def test_missing_privilege_of_a_trusted_role_is_a_finding(world: World) -> None:
    trust(world.connection, "stranger")
    world.run("revoke execute on function public.get_credit_balance(uuid) from stranger")
    (finding,) = verify.verify(world.connection)
    assert finding.problem == "stranger lacks EXECUTE"
    assert 'grant EXECUTE on function public.get_credit_balance(uuid) to "stranger"' in finding.remedy


def test_trust_of_everybody_is_a_finding_that_migrate_repairs(world: World) -> None:
    world.run("grant execute on function bookingdb.act_for_anyone() to public")
    found = [(finding.object, finding.problem) for finding in verify.verify(world.connection)]
    assert found == [
        ("bookingdb", "everybody is trusted: PUBLIC may act for anyone"),
        ("function bookingdb.act_for_anyone()", "PUBLIC has EXECUTE"),
    ]
    installer.migrate(world.connection, reapply=True)
    assert verify.verify(world.connection) == []
    assert not world.scalar("select bookingdb.role_is_trusted('stranger')")


def test_default_privileges_trust_nobody(owned_database: str) -> None:
    with connect(owned_database) as owner:
        run(owner, "alter default privileges grant execute on functions to stranger")
        installer.migrate(owner)
        assert installer.trusted_roles(owner) == []
        # Nor where the function is made again.
        run(owner, "drop function bookingdb.act_for_anyone()")
        installer.migrate(owner, reapply=True)
        assert installer.trusted_roles(owner) == []
        assert not scalar(owner, "select bookingdb.role_is_trusted('stranger')")


def test_nobody_is_trusted_while_the_function_is_missing(world: World) -> None:
    trust(world.connection, "stranger")
    assert world.scalar("select bookingdb.role_is_trusted('stranger')")
    world.run("drop function bookingdb.act_for_anyone()")
    # In a connection that knew it, and in another one.
    assert world.scalar("select bookingdb.role_is_trusted('stranger')") is False
    with world.connect(user="stranger") as stranger, pytest.raises(psycopg.Error, match="act_for_anyone"):
        run(stranger, "select public.expire_credits()")


@pytest.mark.parametrize(
    ("role", "options", "message"),
    [
        ("nobody", [], "there is no role nobody"),
        ('a "b', [], 'there is no role a "b'),
        ("public", [], "public is everybody who uses the application"),
        ("authenticated", [], "authenticated is everybody"),
        ("anon", [], "anon is everybody"),
        ("owner", [], "owner owns what is installed, and is trusted anyway"),
        ("owner", ["--revoke"], "owner owns what is installed, and is trusted anyway"),
        ("nobody", ["--revoke"], "there is no role nobody"),
    ],
)
def test_trust_refuses_roles_that_nobody_can_mean(world: World, role: str, options: list[str], message: str) -> None:
    result = bookingdb(world.url, "trust", role, *options)
    assert (result.exit_code, message in result.stderr) == (1, True), result.output
    assert installer.trusted_roles(world.connection) == []


def test_trust_of_everybody_is_told_of_and_taken_away(world: World) -> None:
    world.run("grant execute on function bookingdb.act_for_anyone() to public")
    reason = "everybody is trusted: PUBLIC may act for anyone"
    found = answer(world.url, "status")
    assert (found["trusted"], found["reason"]) == (["PUBLIC"], reason)
    assert installer.migrate(world.connection).reason == reason
    found = answer(world.url, "status")
    assert (found["trusted"], found["reason"]) == ([], None)


def test_trust_is_the_owners_to_give(world: World) -> None:
    with connect(make_conninfo(world.url, user="app_server")) as app_server, pytest.raises(InstallError):
        trust(app_server, "stranger")
    with connect(make_conninfo(world.url, user="stranger")) as stranger, pytest.raises(psycopg.Error):
        run(stranger, GRANT)
    assert installer.trusted_roles(world.connection) == []


def test_revoked_trust_that_is_inherited_is_told_of(world: World) -> None:
    for role in ("app_server", "app_servers"):
        trust(world.connection, role)
    result = done(world.url, "trust", "app_server", "--revoke")
    assert result.stdout.startswith("app_server is trusted all the same:")
    assert installer.trusted_roles(world.connection) == ["app_servers"]


def test_supabases_service_role_is_trusted_whenever_it_appears(bare_server: str) -> None:
    with connect(bare_server) as superuser:
        run(superuser, "create role owner login")
        run(superuser, "create database owned owner owner")
        with connect(make_conninfo(bare_server, dbname="owned", user="owner")) as owner:
            installer.migrate(owner)
            run(superuser, "create role service_role nologin bypassrls")
            assert installer.migrate(owner).reason == "roles or who is trusted changed: service_role"
            assert installer.trusted_roles(owner) == ["service_role"]
            assert verify.verify(owner) == []
            assert scalar(owner, "select has_table_privilege('service_role', 'public.sessions', 'insert')")
            with pytest.raises(InstallError, match="always trusted"):
                trust(owner, "service_role", revoke=True)


MEMBERS = """
    create role owner login;
    create role bookingdb_service nologin;
    create role "Old App" login in role bookingdb_service;
    create role old_group nologin in role bookingdb_service;
    create role old_member login in role old_group;
    create role old_lazy login noinherit in role bookingdb_service;
    create role stranger login;
    create database one owner owner;
    create database two owner owner;
    create database fresh owner owner
"""


@pytest.fixture
def one(bare_server: str) -> World:
    """A database of an earlier version; another one of its server has that version, too."""
    with connect(bare_server) as superuser:
        for statement in MEMBERS.split(";"):
            run(superuser, statement)
    for name in ("one", "two"):
        with connect(make_conninfo(bare_server, dbname=name, user="owner")) as owner:
            run(owner, VERSIONS["0006_one_house"])
    url = make_conninfo(bare_server, dbname="one", user="owner")
    return World(url, connect(url))


def other(world: World, name: str) -> World:
    url = make_conninfo(world.url, dbname=name)
    return World(url, connect(url))


TRUSTED_BEFORE = {"Old App": "", "old_member": "", "old_lazy": "bookingdb_service"}
NOW = {"Old App": "trusted", "old_member": "trusted", "old_lazy": "42501", "stranger": "42501"}


def after_upgrade(one: World) -> None:
    """What must be so after the upgrade of the first of two databases."""
    assert {login: acts_for(one, login, TRUSTED_BEFORE.get(login, "")) for login in NOW} == NOW
    assert verify.verify(one.connection) == []
    (details,) = one.run("select h.details from bookingdb.history as h order by h.id desc limit 1")[0]
    assert (details["carried_over"], details["not_carried_over"]) == (['"Old App"', "old_group"], ["old_lazy"])
    # Nothing of ours is left to the role, which stays.
    assert privileges(one.connection, "bookingdb_service") == 0
    assert one.scalar("select to_regrole('bookingdb_service') is not null")
    # The other database still goes by it, until its upgrade.
    two = other(one, "two")
    assert [acts_for(two, login, role) for login, role in TRUSTED_BEFORE.items()] == ["trusted"] * 3
    assert "Old App" in done(two.url, "migrate").stdout
    assert {login: acts_for(two, login, TRUSTED_BEFORE.get(login, "")) for login in NOW} == NOW
    # A new member is nobody's; and a new database trusts nobody.
    with one.connect(user="postgres") as superuser:
        run(superuser, "grant bookingdb_service to stranger")
    assert installer.migrate(one.connection, reapply=True).carried_over == []
    assert acts_for(one, "stranger") == "42501"
    fresh = other(one, "fresh")
    assert installer.migrate(fresh.connection).carried_over == []
    assert installer.trusted_roles(fresh.connection) == []
    assert acts_for(fresh, "Old App") == "42501"


def privileges(connection: Connection, role: str) -> int:
    """How many entries of privileges in this database name the role."""
    return int(scalar(
        connection,
        "select count(*) from pg_shdepend as d where d.refobjid = to_regrole(%s) and d.deptype = 'a'"
        " and d.dbid = (select oid from pg_database where datname = current_database())",
        role,
    ))  # fmt: skip


@pytest.mark.slow
def test_upgrade_carries_the_members_of_bookingdb_service_over(one: World) -> None:
    result = done(one.url, "migrate")
    assert 'Trusted in this database, as members of bookingdb_service were: "Old App", old_group.' in result.stdout
    assert "No longer trusted, because these members of bookingdb_service do not inherit from it: old_lazy." in (
        result.stdout
    )
    after_upgrade(one)


@pytest.mark.slow
def test_exported_script_carries_the_members_over_as_well(one: World) -> None:
    notices: list[str] = []
    one.connection.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
    one.run(export.sql_script())
    assert 'now trusted in this database, as members of bookingdb_service were: "Old App", old_group' in notices[0]
    assert "no longer trusted, as members of bookingdb_service that do not inherit from it: old_lazy" in notices[0]
    after_upgrade(one)


# ----------------------------------------------------------------------------------------------------------------------
# Workers
# ----------------------------------------------------------------------------------------------------------------------


def works(world: World, login: str) -> bool:
    """Whether a login may claim deliveries."""
    with world.connect(user=login) as connection:
        return outcome(lambda: run(connection, "select claim_deliveries()")) == "done"


def test_trusted_role_is_no_worker_until_it_is_named(world: World) -> None:
    assert trust(world.connection, "stranger")
    assert not works(world, "stranger")

    assert trust(world.connection, "stranger", worker=True)

    assert works(world, "stranger")
    done(world.url, "migrate", "--reapply")
    assert works(world, "stranger")
    assert verify.verify(world.connection) == []


def test_worker_s_privilege_is_taken_away_alone(world: World) -> None:
    assert trust(world.connection, "stranger", worker=True)

    assert not trust(world.connection, "stranger", worker=True, revoke=True)

    assert not works(world, "stranger")
    assert acts_for(world, "stranger") == "trusted"


def test_role_that_is_trusted_no_longer_works_no_longer(world: World) -> None:
    assert trust(world.connection, "stranger", worker=True)

    assert not trust(world.connection, "stranger", revoke=True)

    assert not works(world, "stranger")


def test_command_says_who_may_deliver(world: World) -> None:
    told = done(world.url, "trust", "stranger", "--worker").stdout.strip()
    assert told == "stranger may deliver events of this database."
    assert works(world, "stranger")
    assert answer(world.url, "trust", "stranger", "--worker", "--revoke") == {"role": "stranger", "worker": False}
