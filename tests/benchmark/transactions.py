"""Ways to book that take several round trips, and the same driver for bookingdb, so that the driver is no advantage.

They write the tables of `ad-hoc`, and try again what Postgres asks to be tried again.
"""

import datetime as dt
import multiprocessing
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
import sqlalchemy as sa
from sqlalchemy import orm as mapping

from bookingdb import Bookings
from tests.benchmark.contenders import Numbers, single_round_trip
from tests.benchmark.measurement import WARM_UP, BenchmarkError, Figures, latencies
from tests.benchmark.scratch import BOOKINGDB, Scratch, id_of

Book = Callable[[Mapping[str, Any]], None]

_RETRIED: Final = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
_TABLES: Final = "bookingdb_ad_hoc"
_SESSION: Final = dt.timedelta(minutes=45)


def people_and_time(scratch: Scratch, parameters: Mapping[str, Any]) -> tuple[UUID, UUID, dt.datetime]:
    """Return client, therapist and start of a booking."""
    start = dt.datetime.combine(scratch.base, dt.time(int(parameters["hour"])), dt.UTC)
    return (
        id_of("client", parameters["client"]),
        id_of("therapist", parameters["therapist"]),
        start + dt.timedelta(days=int(parameters["day"])),
    )


def function(scratch: Scratch, *, prepare: bool) -> Book:
    """Book with the public function on a connection of psycopg."""
    connection = scratch.connect()
    book = single_round_trip(scratch)["bookingdb"].book(prepare=prepare)
    return lambda parameters: book(connection, parameters)


def client(scratch: Scratch) -> Book:
    """Book with the Python client on a connection of psycopg."""
    bookings = Bookings(scratch.connect())

    def book(parameters: Mapping[str, Any]) -> None:
        user, therapist, start = people_and_time(scratch, parameters)
        bookings.book_session(
            user_id=user, therapist_id=therapist, session_date=start.date(), session_time=start.time(),
            duration_minutes=45,
        )  # fmt: skip

    return book


def transaction(scratch: Scratch, *, serializable: bool) -> Book:
    """Book with statements of the application's, in SERIALIZABLE or with SELECT FOR UPDATE on therapist and credits."""
    connection = scratch.connect()
    if serializable:
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    lock = b"" if serializable else b" for update"

    def once(user: UUID, therapist: UUID, start: dt.datetime) -> None:
        def ask(statement: bytes, *values: Any) -> Any:
            return connection.execute(statement, values, prepare=True).fetchone()

        with connection.transaction():
            if not ask(
                b"select id from bookingdb_ad_hoc.users where id = %s and user_type = 'therapist'" + lock, therapist
            ):
                raise BenchmarkError("therapist not found")
            taken = ask(
                b"select count(*) from bookingdb_ad_hoc.sessions where therapist_id = %s"
                b" and status in ('pending_approval', 'scheduled', 'confirmed', 'in_progress')"
                b" and tstzrange(start_time, end_time) && tstzrange(%s, %s)",
                therapist, start, start + _SESSION,
            )  # fmt: skip
            credits = ask(b"select credits_balance from bookingdb_ad_hoc.user_credits where user_id = %s" + lock, user)
            if taken[0] or credits[0] < 1:
                raise BenchmarkError("taken, or no credits")
            connection.execute(
                b"update bookingdb_ad_hoc.user_credits set credits_balance = %s, credits_used = credits_used + 1,"
                b" updated_at = now() where user_id = %s",
                (credits[0] - 1, user), prepare=True,
            )  # fmt: skip
            row = ask(
                b"insert into bookingdb_ad_hoc.sessions (user_id, therapist_id, title, description, scheduled_date,"
                b" scheduled_time, start_time, end_time, duration_minutes, session_type, status)"
                b" values (%s, %s, 'Therapy Session', '', %s, %s, %s, %s, 45, 'video', 'scheduled') returning *",
                user, therapist, start.date(), start.time(), start, start + _SESSION,
            )  # fmt: skip
            connection.execute(
                b"insert into bookingdb_ad_hoc.booking_audit_log (session_id, user_id, action, new_status)"
                b" values (%s, %s, 'created', 'scheduled')",
                (row[0], user), prepare=True,
            )  # fmt: skip

    def book(parameters: Mapping[str, Any]) -> None:
        people = people_and_time(scratch, parameters)
        while True:
            try:
                return once(*people)
            except _RETRIED:
                continue

    return book


def orm(scratch: Scratch) -> Book:
    """Book with mapped classes of SQLAlchemy, rows locked with FOR UPDATE."""
    engine = sa.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(scratch.conninfo), pool_size=1)
    metadata = sa.MetaData()
    registry = mapping.registry()

    class User: ...

    class Credits: ...

    class Session: ...

    class Audit: ...

    for kind, name in (
        (User, "users"), (Credits, "user_credits"), (Session, "sessions"), (Audit, "booking_audit_log"),
    ):  # fmt: skip
        registry.map_imperatively(kind, sa.Table(name, metadata, schema=_TABLES, autoload_with=engine))

    def row(kind: type, **values: Any) -> Any:
        made = kind()
        for name, value in values.items():
            setattr(made, name, value)
        return made

    mapped: Any = Session  # its columns are found when it is mapped

    def book(parameters: Mapping[str, Any]) -> None:
        user_id, therapist_id, start = people_and_time(scratch, parameters)
        with mapping.Session(engine) as session, session.begin():
            therapist: Any = session.get_one(User, therapist_id, with_for_update=True)
            taken = session.scalar(
                sa.select(sa.func.count()).select_from(mapped).where(
                    mapped.therapist_id == therapist_id,
                    mapped.status.in_(("pending_approval", "scheduled", "confirmed", "in_progress")),
                    sa.func.tstzrange(mapped.start_time, mapped.end_time).op("&&")(
                        sa.func.tstzrange(start, start + _SESSION)
                    ),
                )
            )  # fmt: skip
            credits: Any = session.get_one(Credits, user_id, with_for_update=True)
            if therapist.user_type != "therapist" or taken or credits.credits_balance < 1:
                raise BenchmarkError("taken, or no credits")
            credits.credits_balance -= 1
            credits.credits_used += 1
            made = row(
                Session, id=uuid4(), user_id=user_id, therapist_id=therapist_id, title="Therapy Session",
                description="", scheduled_date=start.date(), scheduled_time=start.time(), start_time=start,
                end_time=start + _SESSION, duration_minutes=45, session_type="video", status="scheduled",
            )  # fmt: skip
            session.add(made)
            session.flush()
            session.add(row(Audit, session_id=made.id, user_id=user_id, action="created", new_status="scheduled"))
            session.flush()
            session.refresh(made)

    return book


CONTENDERS: Final[Mapping[str, tuple[str, Callable[[Scratch], Book]]]] = {
    "bookingdb": (BOOKINGDB, lambda scratch: function(scratch, prepare=True)),
    "bookingdb, not prepared": (BOOKINGDB, lambda scratch: function(scratch, prepare=False)),
    "client": (BOOKINGDB, client),
    "serializable": (_TABLES, lambda scratch: transaction(scratch, serializable=True)),
    "for update": (_TABLES, lambda scratch: transaction(scratch, serializable=False)),
    "orm": (_TABLES, orm),
}
"""By name: the schema it writes to, and what makes it."""


def driven(
    databases: Mapping[str, Scratch], numbers: Numbers, names: Sequence[str], workers: int, bookings: int
) -> dict[str, Figures]:
    """Let some of them book in so many processes at once, so many times each; several take turns at random."""
    each = bookings + WARM_UP
    first = {name: numbers.take(name, each * workers) for name in names}
    # Processes, because threads of one Python wait for each other.
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(workers)
    queue: Any = context.Queue()

    def work(worker: int) -> None:
        try:
            books = {name: CONTENDERS[name][1](databases[name]) for name in names}
            turns = []
            for name in names:
                mine = [numbers.parameters(first[name] + worker * each + place) for place in range(each)]
                for parameters in mine[:WARM_UP]:
                    books[name](parameters)
                turns += [(name, parameters) for parameters in mine[WARM_UP:]]
            random.shuffle(turns)
            seconds: dict[str, list[float]] = {name: [] for name in names}
            barrier.wait(60)
            begun = time.monotonic()
            for name, parameters in turns:
                begin = time.perf_counter()
                books[name](parameters)
                seconds[name].append(time.perf_counter() - begin)
            queue.put((begun, time.monotonic(), seconds))
        except BaseException as error:
            barrier.abort()
            queue.put(repr(error))

    processes = [context.Process(target=work, args=(worker,)) for worker in range(workers)]
    try:
        for process in processes:
            process.start()
        found = [queue.get(timeout=300) for _ in processes]
    except BaseException:
        # Killed, because they handle the other signals as the benchmark does.
        for process in processes:
            if process.pid is not None:
                process.kill()
        raise
    for process in processes:
        process.join()
    if wrong := [each for each in found if isinstance(each, str)]:
        raise BenchmarkError(f"{', '.join(names)}: {wrong[0]}")
    elapsed = max(end for _, end, _ in found) - min(begun for begun, _, _ in found)
    return {
        name: latencies(
            [1000 * second for _, _, seconds in found for second in seconds[name]],
            throughput=workers * bookings / elapsed if len(names) == 1 else None,
        )
        for name in names
    }
