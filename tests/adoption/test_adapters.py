"""The adapters for adopted databases, on tables as applications have them: who is booked, who books, the races."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from uuid import UUID, uuid4

import pytest

from bookingdb.install import installer, source
from tests.support import Connection, World, book, connect, run
from tests.support.hosts import PLAIN, SUPABASE, Host
from tests.support.interleaving import holding, session_of, waiting
from tests.support.refusals import outcome, refused

pytestmark = pytest.mark.slow

_numbers = itertools.count(1)

# The application's tables of each adapter, before anything of ours comes.
APPLICATIONS = {
    "enrollments": """
        create table public.therapist_enrollments (
            id serial primary key, email varchar(255), status varchar(20), is_active boolean
        );
    """,
    "therapists": """
        create table public.therapists (
            id uuid primary key, email varchar(255), full_name text, is_active boolean, is_verified boolean
        );
    """,
    "profiles": """
        create table public.profiles (
            id uuid primary key references auth.users on delete cascade, full_name text, role text, is_active boolean
        );
    """,
}
# Where people are not all in public.users, the application's foreign keys go elsewhere, or there are none.
WITHOUT_KEYS = """
    alter table public.sessions drop constraint sessions_user_id_fkey, drop constraint sessions_therapist_id_fkey;
    alter table public.user_credits drop constraint user_credits_user_id_fkey;
"""


@dataclass(frozen=True)
class Application:
    """A database of an application that was adopted with an adapter; the connection is the owner's."""

    adapter: str
    world: World
    accounts: str

    def therapist(self) -> UUID:
        """Somebody who can be booked."""
        world, person, number = self.world, uuid4(), next(_numbers)
        email = f"Therapist{number}@example.com"
        if self.adapter == "enrollments":
            world.run("insert into users (id, email, user_type, is_verified) values (%s, %s, 'therapist', true)",
                      person, email)  # fmt: skip
            world.run("insert into therapist_enrollments (email, status, is_active) values (%s, 'approved', true)",
                      email.upper())  # fmt: skip
        elif self.adapter == "therapists":
            world.run("insert into therapists values (%s, %s, 'A', true, true)", person, email)
        else:
            self.sign_up(person, email, "therapist")
        return person

    def client(self) -> UUID:
        """Somebody who can book, with two credits."""
        person, email = uuid4(), f"client{next(_numbers)}@example.com"
        if self.adapter == "profiles":
            self.sign_up(person, email, "client")
        else:
            self.world.run("insert into users (id, email) values (%s, %s)", person, email)
        self.world.run("select * from grant_credits(%s, 2)", person)
        return person

    def sign_up(self, person: UUID, email: str, role: str) -> None:
        with connect(self.accounts) as connection:
            run(connection, "insert into auth.users (id, email) values (%s, %s)", person, email)
        self.world.run("insert into profiles values (%s, 'A', %s, true)", person, role)


@cache
def template(adapter: str, host: Host, server: str) -> str:
    """The name of a database with the tables, and bookingdb on top of it, with the adapter."""
    name = f"template_{adapter}"
    files = source.load(adapter=adapter)
    with connect(host.create_database(server, name)) as connection:
        run(connection, APPLICATIONS[adapter])
        installer.migrate(connection, source=files)
        assert installer.migrate(connection, source=files).is_empty
        if adapter != "enrollments":
            run(connection, WITHOUT_KEYS)
    return name


@pytest.fixture
def application(request: pytest.FixtureRequest) -> Iterator[Application]:
    """A new copy of the `template` of an adapter."""
    adapter: str = request.param
    host: Host = SUPABASE if adapter == "profiles" else PLAIN
    server = request.getfixturevalue("supabase_server_url" if host.is_supabase else "server_url")
    url = host.create_database(server, f"adapter_{next(_numbers)}", template(adapter, host, server))
    with connect(url) as connection:
        accounts = url.replace("user=postgres", "user=supabase_auth_admin")
        yield Application(adapter, World(url, connection, host.superuser), accounts)


def of_each(**statements: list[str]) -> pytest.MarkDecorator:
    """Run a test on each adapter with each of its statements; "enrollments" is a keyword of this function."""
    return pytest.mark.parametrize(
        ("application", "statement"),
        [(adapter, statement) for adapter, those in statements.items() for statement in those],
        indirect=["application"],
    )


BY_EMAIL = "where lower(email) = (select lower(email) from users where id = %(person)s)"
# Of each table, what makes somebody no therapist any more; {}: one who is nothing of it stays a therapist.
DEACTIVATIONS = {
    "enrollments": [
        "update users set is_active = false where id = %(person)s",
        "update users set is_verified = false where id = %(person)s",
        "update users set user_type = 'user' where id = %(person)s",
        "update users set email = 'nobody@example.com' where id = %(person)s",
        f"update therapist_enrollments set status = 'rejected' {BY_EMAIL}",
        f"update therapist_enrollments set is_active = false {BY_EMAIL}",
        f"update therapist_enrollments set email = 'nobody@example.com' {BY_EMAIL}",
    ],
    "therapists": [
        "update therapists set is_active = false where id = %(person)s",
        "update therapists set is_verified = null where id = %(person)s",
        "update therapists set is_verified = false",
    ],
    "profiles": [
        "update profiles set is_active = false where id = %(person)s",
        "update profiles set role = 'client' where id = %(person)s",
        "update profiles set role = null",
    ],
}
# The same by deletions, where the table lets them.
DELETIONS = {
    "enrollments": [f"delete from therapist_enrollments {BY_EMAIL}", "delete from users where id = %(person)s"],
    "therapists": ["delete from therapists where id = %(person)s"],
    "profiles": ["delete from profiles where id = %(person)s", "delete from auth.users where id = %(person)s"],
}
UNRELATED = {
    "enrollments": [
        "update users set full_name = 'B', updated_at = now() where id = %(person)s",
        f"update therapist_enrollments set id = id + 100 {BY_EMAIL}",
    ],
    "therapists": ["update therapists set full_name = 'B' where id = %(person)s"],
    "profiles": ["update profiles set full_name = 'B' where id = %(person)s"],
}
CLIENTS = {
    "enrollments": ["update users set is_active = false where id = %(person)s"],
    "therapists": [
        "update users set is_active = false where id = %(person)s",
        "update users set user_type = 'therapist' where id = %(person)s",
    ],
    "profiles": [
        "update profiles set is_active = null where id = %(person)s",
        "update profiles set role = 'therapist' where id = %(person)s",
    ],
}


def change(connection: Connection, statement: str, person: UUID) -> None:
    connection.execute(statement.encode(), {"person": person})


@pytest.mark.parametrize("application", APPLICATIONS, indirect=True)
def test_people_of_the_applications_tables_book_and_are_booked(application: Application) -> None:
    world, therapist, client = application.world, application.therapist(), application.client()

    assert world.book(client, therapist)["therapist_id"] == therapist
    assert world.run("select id, email ilike 'therapist%', email is not null from bookingdb.therapists") == [
        (therapist, True, True)
    ]
    assert world.run("select id from bookingdb.clients where id = %s", client) == [(client,)]
    with refused("therapist_not_found"):
        world.book(client, client, "12:00")
    with refused("user_not_found"):
        world.book(therapist, therapist, "12:00")
    assert world.violations() == []


# Therapists who can be booked and clients who can book, as two views and the view of everybody say it.
AGREEING = """
    select count(*) filter (where t.id is not null), count(*) filter (where c.id is not null),
        bool_and((t.id is not null) = (p.user_type = 'therapist' and p.is_active and p.is_verified)),
        bool_and((c.id is not null) = (p.user_type <> 'therapist' and p.is_active))
    from bookingdb.people as p
    left join bookingdb.therapists as t on t.id = p.id and p.user_type = 'therapist'
    left join bookingdb.clients as c on c.id = p.id and p.user_type <> 'therapist'
"""


@pytest.mark.parametrize("application", APPLICATIONS, indirect=True)
def test_people_of_the_applications_tables_are_found(application: Application) -> None:
    world, therapist, client = application.world, application.therapist(), application.client()

    found = "select p.id, p.user_type, p.time_zone, p.credits_balance from find_people(%s) as p"
    client_type = "client" if application.adapter == "profiles" else "user"
    assert world.run(found, str(therapist)) == [(therapist, "therapist", "UTC", None)]
    assert world.run(found, str(client)) == [(client, client_type, None, 2)]
    for person in (therapist, client):
        ((address,),) = world.run("select email from find_people(%s)", str(person))
        assert world.run("select id from find_people(%s)", address.swapcase()) == [(person,)]
        assert world.run("select id from find_people(%s)", address[1:-3]) == [(person,)]
    world.run("update users set full_name = 'A' where id = any(%s)", [therapist, client])
    if application.adapter != "therapists":
        assert {row[0] for row in world.run(found, "a")} == {therapist, client}


@of_each(**DEACTIVATIONS)
def test_people_agree_with_who_can_be_booked(application: Application, statement: str) -> None:
    world, therapist, other = application.world, application.therapist(), application.therapist()
    application.client()
    assert world.run(AGREEING) == [(2, 1, True, True)]

    change(world.connection, statement, therapist)

    assert world.run(AGREEING)[0][2:] == (True, True)
    assert world.run("select id from find_people(%s)", str(therapist)) == [(therapist,)]
    assert world.run("select id from find_people(%s)", str(other)) == [(other,)]


@of_each(**DEACTIVATIONS)
def test_former_therapist_cannot_be_booked(application: Application, statement: str) -> None:
    world, therapist, client = application.world, application.therapist(), application.client()

    change(world.connection, statement, therapist)

    with refused("therapist_not_found"):
        world.book(client, therapist)


@of_each(**CLIENTS)
def test_former_client_cannot_book(application: Application, statement: str) -> None:
    world, therapist, client = application.world, application.therapist(), application.client()
    with holding(world) as changing, session_of(world) as connection:
        change(changing, statement, client)
        answer = waiting(world, partial(book, client=client, therapist=therapist), connection)
        changing.execute("commit")

        with refused("user_not_found"):
            answer.result()


@of_each(**DEACTIVATIONS)
def test_a_deactivation_waits_for_the_booking(application: Application, statement: str) -> None:
    world, therapist, client = application.world, application.therapist(), application.client()
    with holding(world) as booking, session_of(world) as connection:
        book(booking, client, therapist)
        done = waiting(world, partial(change, statement=statement, person=therapist), connection)
        booking.execute("commit")
        done.result()

    with refused("therapist_not_found"):
        world.book(client, therapist, "12:00")
    assert world.count("sessions") == 1


@pytest.mark.parametrize("ending", ["commit", "rollback"])
@of_each(**DEACTIVATIONS)
def test_a_booking_waits_for_the_deactivation(application: Application, statement: str, ending: str) -> None:
    world, therapist, client = application.world, application.therapist(), application.client()
    with holding(world) as deactivating, session_of(world) as connection:
        change(deactivating, statement, therapist)
        answer = waiting(world, partial(book, client=client, therapist=therapist), connection)
        deactivating.execute(ending.encode())

        if ending == "commit":
            with refused("therapist_not_found"):
                answer.result()
        else:
            assert answer.result()["status"] == "scheduled"
    assert world.violations() == []


def refused_at_once(connection: Connection, statement: str, person: UUID) -> bool:
    """Whether a change is refused as busy without having waited until the timeout, which would end so, too."""
    run(connection, "set statement_timeout = '20s'")
    started = time.monotonic()
    return outcome(partial(change, connection, statement, person)) == "busy" and time.monotonic() - started < 10


@of_each(**DELETIONS)
def test_a_deletion_is_refused_while_a_booking_runs(application: Application, statement: str) -> None:
    world, therapist, client = application.world, application.therapist(), application.client()
    user = "supabase_auth_admin" if "auth.users" in statement else world.owner
    with holding(world) as booking, connect(world.url.replace(f"user={world.owner}", f"user={user}")) as connection:
        # As far as it is before it comes to the session, whose foreign keys hold the people's rows.
        booking.execute("select lock_for_booking(%s)", [[therapist, client]])
        assert refused_at_once(connection, statement, therapist)
        booking.execute("rollback")
        change(connection, statement, therapist)

    with refused("therapist_not_found"):
        world.book(client, therapist)


@pytest.mark.parametrize("application", ["therapists"], indirect=True)
@pytest.mark.parametrize("table", ["users", "therapists"])
def test_a_change_of_the_id_is_refused_while_a_booking_runs(application: Application, table: str) -> None:
    world, therapist, client = application.world, application.therapist(), application.client()
    person = client if table == "users" else therapist
    renamed = f"update {table} set id = gen_random_uuid() where id = %(person)s"
    with holding(world) as booking:
        booking.execute("select lock_for_booking(%s)", [[therapist, client]])
        assert refused_at_once(world.connection, renamed, person)


# Postgres locks a row FOR UPDATE when a column of a unique index changes, and a foreign key of a booking waits for it.
KEY_CHANGES = {
    "enrollments": [
        "update users set email = 'new@example.com' where id = %(person)s",
        "update users set email = 'new@example.com', user_type = 'partner' where id = %(person)s",
        "select change_email(%(person)s, 'new@example.com')",
        "select register_client('new@example.com', null, %(person)s)",
    ],
    "therapists": [
        "update users set email = 'new@example.com', is_active = false where id = %(person)s",
        "update users set email = 'new@example.com', user_type = 'therapist' where id = %(person)s",
    ],
}


@pytest.mark.parametrize("key", ["unique (email)", "unique (email) deferrable"])
@of_each(**KEY_CHANGES)
def test_a_change_of_a_key_is_refused_while_a_booking_runs(application: Application, statement: str, key: str) -> None:
    world, therapist, client = application.world, application.therapist(), application.client()
    world.run(f"alter table users add {key}")
    if application.adapter == "therapists":
        world.run("alter table sessions add foreign key (user_id) references users")
    with holding(world) as booking:
        booking.execute("select lock_for_booking(%s)", [[therapist, client]])
        assert refused_at_once(world.connection, statement, client)
        assert book(booking, client, therapist)["status"] == "scheduled"


# Indexes that foreign keys cannot refer to, and a key that a statement writes without changing it.
NO_KEYS = [
    ("create unique index on users (id) include (is_active)", "is_active = false"),
    ("create unique index on users (email) where is_active", "email = 'nobody@example.com'"),
    ("create unique index on users (id, lower(email), is_active)", "is_active = false"),
    ("create index on users (is_active)", "is_active = false"),
    ("create unique index on users (email)", "email = email, is_active = false"),
]


@pytest.mark.parametrize("application", ["enrollments"], indirect=True)
@pytest.mark.parametrize(("index", "columns"), NO_KEYS)
def test_a_change_of_no_key_waits_for_the_booking(application: Application, index: str, columns: str) -> None:
    world, therapist, client = application.world, application.therapist(), application.client()
    world.run(index)
    statement = f"update users set {columns} where id = %(person)s"
    with holding(world) as booking, session_of(world) as connection:
        booking.execute("select lock_for_booking(%s)", [[therapist, client]])
        done = waiting(world, partial(change, statement=statement, person=therapist), connection)
        assert book(booking, client, therapist)["status"] == "scheduled"
        booking.execute("commit")
        done.result()


CHANGES_OF_A_PERSON = {
    "change_email": "select change_email(%s, 'new@example.com')",
    "erase_person": "select erase_person(%s)",
    "erasure": "insert into bookingdb.erasures (person_id, actor) values (%s, 'nobody')",
}


@pytest.mark.parametrize("application", ["enrollments"], indirect=True)
@pytest.mark.parametrize("changing", CHANGES_OF_A_PERSON)
@pytest.mark.parametrize("enrollment_is_first", [False, True])
def test_enrollment_and_its_person_change_at_once(
    application: Application, changing: str, enrollment_is_first: bool
) -> None:
    world, therapist = application.world, application.therapist()
    address = world.scalar("select email from users where id = %s", therapist)
    deactivation = "update therapist_enrollments set is_active = false where lower(email) = lower(%s)"
    calls = [
        lambda connection: run(connection, CHANGES_OF_A_PERSON[changing], therapist),
        lambda connection: run(connection, deactivation, address),
    ]
    if enrollment_is_first:
        calls.reverse()
    with holding(world) as one, session_of(world) as two, session_of(world) as three:
        one.execute("select lock_for_booking(%s)", [[therapist]])
        answers = [waiting(world, call, connection) for call, connection in zip(calls, (two, three), strict=True)]
        one.execute("commit")
        assert [outcome(answer.result) for answer in answers] == ["done", "done"]


@of_each(**DELETIONS)
def test_a_booking_waits_for_the_deletion(application: Application, statement: str) -> None:
    world, therapist, client = application.world, application.therapist(), application.client()
    user = "supabase_auth_admin" if "auth.users" in statement else world.owner
    with connect(world.url.replace(f"user={world.owner}", f"user={user}")) as deleting, session_of(world) as connection:
        run(deleting, "begin")
        change(deleting, statement, therapist)
        answer = waiting(world, partial(book, client=client, therapist=therapist), connection)
        run(deleting, "commit")

        with refused("therapist_not_found"):
            answer.result()
    assert world.violations() == []


@of_each(**UNRELATED)
def test_other_changes_wait_for_nobody(application: Application, statement: str) -> None:
    world, therapist, client = application.world, application.therapist(), application.client()
    with holding(world) as booking:
        # The person's lock, but no row: a booking's foreign key holds that, too.
        booking.execute("select lock_for_booking(%s)", [[therapist, client]])
        world.run("set statement_timeout = '5s'")
        change(world.connection, statement, therapist)


@pytest.mark.parametrize("application", ["enrollments"], indirect=True)
def test_enrollment_of_nobody_or_another_locks_no_one(application: Application) -> None:
    world, therapist, other = application.world, application.therapist(), application.therapist()
    world.run("insert into therapist_enrollments (email, is_active) values ('x', true), (null, true)")
    with holding(world) as booking:
        booking.execute("select lock_for_booking(%s)", [[therapist]])
        world.run("set statement_timeout = '5s'")
        change(world.connection, f"update therapist_enrollments set is_active = false {BY_EMAIL}", other)
        world.run("update therapist_enrollments set is_active = false where email is null or email = 'x'")
        world.run("delete from therapist_enrollments where email is null or email = 'x'")


@pytest.mark.parametrize("application", ["enrollments"], indirect=True)
def test_a_trigger_without_arguments_looks_at_every_column(application: Application) -> None:
    """As an adapter of the owner's may have it, and the one of earlier versions had it."""
    world, therapist, client = application.world, application.therapist(), application.client()
    world.run(
        "drop trigger _bookingdb_people_update on users;"
        " create trigger people after update on users referencing old table as old_rows new table as new_rows"
        " for each statement execute function bookingdb.people_changed()"
    )
    with holding(world) as changing, session_of(world) as connection:
        changing.execute("update users set full_name = 'B' where id = %s", [client])
        answer = waiting(world, partial(book, client=client, therapist=therapist), connection)
        changing.execute("commit")
        assert answer.result()["status"] == "scheduled"
    world.run("update users set full_name = full_name")


# ----------------------------------------------------------------------------------------------------------------------
# A therapist who is a client as well
# ----------------------------------------------------------------------------------------------------------------------


def registered_as_client(application: Application) -> UUID:
    """A therapist who is a client, too, with two credits."""
    world, person = application.world, application.therapist()
    email = world.scalar("select email from bookingdb.therapists where id = %s", person)
    assert world.scalar("select register_client(%s)", email) == person
    world.run("select * from grant_credits(%s, 2)", person)
    return person


def require_one_time(application: Application, person: UUID) -> None:
    """The person books and is booked, never at the same time, nor with themselves."""
    world, therapist, client = application.world, application.therapist(), application.client()
    world.book(person, therapist, "10:00")
    world.book(client, person, "14:00")
    with refused("booking_conflict"):
        world.book(client, person, "10:30")
    with refused("client_conflict"):
        world.book(person, therapist, "14:30")
    with refused("invalid_parameter") as refusal:
        world.book(person, person, "16:00")
    assert refusal.detail["reason"] == "same_person"
    assert world.run("select max(credits_balance) from find_people(%s)", str(person)) == [(1,)]
    assert world.violations() == []


@pytest.mark.parametrize("application", APPLICATIONS, indirect=True)
def test_therapist_who_is_a_client_has_one_time(application: Application) -> None:
    require_one_time(application, registered_as_client(application))


@pytest.mark.parametrize("application", ["therapists"], indirect=True)
def test_therapist_with_a_users_row_has_one_time(application: Application) -> None:
    """Where the application's sessions and credits refer to users, a client has to be one."""
    world = application.world
    world.run("alter table user_credits add foreign key (user_id) references users")
    person = registered_as_client(application)
    assert world.count("bookingdb.therapist_clients") == 0
    assert world.run("select user_type from users where id = %s", person) == [("user",)]
    require_one_time(application, person)
    world.run("select set_client_active(%s, false)", person)
    with refused("user_not_found"):
        world.book(person, application.therapist(), "18:00")
    assert world.book(application.client(), person, "18:00")["status"] == "scheduled"


# Who is no therapist any more, but goes on as a client.
ONE_PART = {
    "enrollments": [
        "update users set is_verified = false where id = %(person)s",
        "update users set user_type = 'user' where id = %(person)s",
        f"update therapist_enrollments set is_active = false {BY_EMAIL}",
    ],
    "therapists": ["update therapists set is_verified = false where id = %(person)s"],
    "profiles": ["update profiles set role = 'client' where id = %(person)s"],
}


@of_each(**ONE_PART)
def test_former_therapist_goes_on_as_a_client(application: Application, statement: str) -> None:
    world, person = application.world, registered_as_client(application)
    therapist, client = application.therapist(), application.client()
    world.book(client, person, "14:00")
    change(world.connection, statement, person)
    with refused("therapist_not_found"):
        world.book(client, person, "12:00")
    with refused("client_conflict"):
        world.book(person, therapist, "14:30")
    world.book(person, therapist, "12:00")
    assert world.violations() == []


@pytest.mark.parametrize("application", APPLICATIONS, indirect=True)
def test_former_client_goes_on_as_a_therapist(application: Application) -> None:
    world, person = application.world, registered_as_client(application)
    therapist, client = application.therapist(), application.client()
    world.book(person, therapist, "10:00")
    world.run("select set_client_active(%s, false)", person)
    with refused("user_not_found"):
        world.book(person, therapist, "12:00")
    with refused("booking_conflict"):
        world.book(client, person, "10:30")
    world.book(client, person, "12:00")
    assert world.violations() == []


@pytest.mark.parametrize("application", ["therapists"], indirect=True)
def test_deleted_therapist_with_a_users_row_keeps_their_time(application: Application) -> None:
    """Of the two rows with one id, that of the therapist goes: sessions with them stay, and are theirs."""
    world, person = application.world, application.client()
    world.run("insert into therapists values (%s, 'both@example.com', 'A', true, true)", person)
    therapist, client = application.therapist(), application.client()
    world.book(client, person, "14:00")
    change(world.connection, "delete from therapists where id = %(person)s", person)
    assert world.violations() == []
    with refused("client_conflict"):
        world.book(person, therapist, "14:30")
    world.book(person, therapist, "12:00")
    # A therapist again, whose time as a client is taken, too.
    world.run("insert into therapists values (%s, 'both@example.com', 'A', true, true)", person)
    assert world.violations() == []
    with refused("booking_conflict"):
        world.book(client, person, "12:30")


@pytest.mark.parametrize("application", APPLICATIONS, indirect=True)
def test_second_account_of_a_therapist_becomes_their_own(application: Application) -> None:
    world, person = application.world, registered_as_client(application)
    therapist, second, client = application.therapist(), application.client(), application.client()
    world.book(second, therapist, "10:00")
    assert world.run("select sessions, credits from merge_clients(%s, %s)", second, person) == [(1, 1)]
    with refused("booking_conflict"):
        world.book(client, person, "10:30")
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# People who leave
# ----------------------------------------------------------------------------------------------------------------------

OWN = """
    select count(*) from (
        select therapist_id from bookingdb.weekly_hours
        union all select therapist_id from bookingdb.therapists_with_hours
        union all select therapist_id from bookingdb.policies
        union all select therapist_id from bookingdb.calendar
        union all select therapist_id from bookingdb.absences
        union all select therapist_id from bookingdb.holds
    ) as o
    where o.therapist_id = %s
"""


@of_each(
    enrollments=["delete from users where id = %(person)s"],
    therapists=DELETIONS["therapists"],
    profiles=DELETIONS["profiles"],
)
def test_deletion_takes_what_was_the_therapists(application: Application, statement: str) -> None:
    world, therapist, client = application.world, application.therapist(), application.client()
    world.run("select id from hold_slot(%s, %s, current_date + 9, '10:00')", client, therapist)
    world.run("select add_time_off(%s, now(), now() + interval '1 hour', 'a word')", therapist)
    world.run("select set_policy('{\"slot_step_minutes\": 20}', %s)", therapist)
    monday = '[{"weekday": 1, "start_time": "09:00", "end_time": "17:00"}]'
    world.run("select set_weekly_hours(%s, %s)", therapist, monday)
    assert world.scalar(OWN, therapist) == 6

    with connect(application.accounts if "auth.users" in statement else world.url) as connection:
        change(connection, statement, therapist)

    assert world.scalar(OWN, therapist) == 0
    assert world.violations() == []


@pytest.mark.parametrize("application", APPLICATIONS, indirect=True)
def test_erased_people_are_in_no_table(application: Application) -> None:
    world, therapist, client = application.world, application.therapist(), application.client()
    session = world.book(client, therapist, title="Zwergspitzmaus")["id"]
    world.run("update sessions set title = 'Nacktmull' where id = %s", session)
    world.run("select cancel_session(%s)", session)
    for person in (client, therapist):
        world.run("select erase_person(%s)", person)

    people = "select is_active, email from bookingdb.people"
    # Accounts are Supabase's, where their addresses are deleted.
    kept = application.adapter == "profiles"
    assert [(is_active, email is not None) for is_active, email in world.run(people)] == [(False, kept)] * 2
    words = ["Zwergspitzmaus", "Nacktmull", "@example.com"]
    tables = ["users", "sessions", "bookingdb.texts", "booking_audit_log"]
    tables += [table for table in ("therapist_enrollments", "therapists") if table.endswith(application.adapter)]
    text = " ".join(str(world.run(f"select t::text from {table} as t")) for table in tables).replace(
        "EXAMPLE", "example"
    )
    assert [word for word in words if word in text] == []
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Addresses
# ----------------------------------------------------------------------------------------------------------------------

ENROLLMENTS = "select email, status from therapist_enrollments order by id"
NEW = "new@example.com"


@pytest.mark.parametrize("application", ["enrollments"], indirect=True)
@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.parametrize("there", ["approved", "rejected"])
def test_every_enrollment_follows_an_address(application: Application, unique: bool, there: str) -> None:
    world, therapist = application.world, application.therapist()
    email = world.scalar("select email from users where id = %s", therapist)
    if unique:
        world.run("create unique index on therapist_enrollments (email)")
    # One more of theirs, in another spelling, and one of the new address.
    world.run("insert into therapist_enrollments (email, status, is_active) values (%s, 'pending', true)", email)
    world.run("insert into therapist_enrollments (email, status, is_active) values (%s, %s, true)", NEW, there)
    world.run("select change_email(%s, %s)", therapist, NEW)
    left = [(NEW, "approved")] if unique else [(NEW, "approved"), (NEW, "pending"), (NEW, there)]
    assert world.run(ENROLLMENTS) == left
    assert world.scalar("select count(*) from list_therapists() where id = %s", therapist) == 1
    world.run("select erase_person(%s)", therapist)
    assert [row for row in world.run(ENROLLMENTS) if "example.com" in (row[0] or "").lower()] == []
    assert world.violations() == []


@pytest.mark.parametrize("application", ["enrollments"], indirect=True)
def test_enrollment_waits_for_the_next_address(application: Application) -> None:
    world, therapist, other = application.world, application.therapist(), application.client()
    email = world.scalar("select email from users where id = %s", therapist)
    world.run("select change_email(%s, null)", therapist)
    assert world.run("select id from list_therapists()") == []
    assert world.run(ENROLLMENTS) == [(f"{therapist}@freed.invalid", "approved")]
    # Who gets the address does not get the enrollment.
    world.run("select change_email(%s, %s)", other, email)
    world.run("select change_email(%s, %s)", therapist, NEW)
    assert world.run(ENROLLMENTS) == [(NEW, "approved")]
    assert world.run("select id from list_therapists()") == [(therapist,)]


@pytest.mark.parametrize("application", ["therapists"], indirect=True)
def test_an_address_of_either_table_is_taken(application: Application) -> None:
    world, therapist, client = application.world, application.therapist(), application.client()
    addresses = dict(world.run("select id, email from bookingdb.people"))
    for who, other in ((client, therapist), (therapist, client)):
        with refused("invalid_parameter") as refusal:
            world.run("select change_email(%s, %s)", who, addresses[other].upper())
        assert (refusal.detail["reason"], refusal.detail["user_id"]) == ("of_another", str(other))
    assert dict(world.run("select id, email from bookingdb.people")) == addresses


@pytest.mark.parametrize("application", ["therapists"], indirect=True)
def test_two_tables_give_an_address_once(application: Application) -> None:
    world, change = application.world, "select change_email(%s, 'wanted@example.com')"
    therapist, client = application.therapist(), application.client()
    with holding(world) as first, session_of(world) as second:
        first.execute(change, [therapist])
        answer = waiting(world, lambda connection: run(connection, change, client), second)
        first.execute("commit")
        assert outcome(answer.result) == "invalid_parameter"
