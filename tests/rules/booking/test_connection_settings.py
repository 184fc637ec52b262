"""Whatever a connection is set to: nothing depends on it."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from tests.support import TOMORROW, World
from tests.support.connections import SETTINGS
from tests.support.interleaving import session_of
from tests.support.life import (
    DAY,
    LATER,
    book_series,
)
from tests.support.refusals import refused

# ----------------------------------------------------------------------------------------------------------------------
# Names and settings
# ----------------------------------------------------------------------------------------------------------------------


def test_no_column_is_ambiguous_against_an_out_parameter(world: World) -> None:
    """Every function with OUT columns runs to its end, on every path: first call, repeated call, empty answer."""
    therapist, client = world.therapist(), world.client()
    for _ in range(2):
        grant = world.run("select * from grant_credits(%s, 2, 'payment', null, 'key')", client)
        booked = world.book(client, therapist, idempotency_key="key")
        history = world.run("select * from get_credit_history(%s)", client)

        assert len(grant) == 1
        assert booked["id"] is not None
        assert len(history) == 2
    assert world.run("select * from get_credit_history(%s, 5, '2000-01-01')", client) == []


def test_booking_does_not_depend_on_the_connections_settings(world: World) -> None:
    therapist, client = world.therapist("Europe/Berlin"), world.client(credits=1)
    other = world.client(credits=1)
    expires_at = dt.datetime.combine(TOMORROW + DAY, dt.time(12), dt.UTC)
    answers = []
    for zone, date_style, interval_style in SETTINGS:
        with session_of(world) as connection:
            for name, value in (("timezone", zone), ("datestyle", date_style), ("intervalstyle", interval_style)):
                connection.execute("select set_config(%s, %s, false)", [name, value])
            # The same key each time: were the request remembered in the connection's terms, it would be another one.
            answer = connection.execute(
                """
                select b.id, extract(epoch from b.start_time)::text, extract(epoch from b.end_time)::text,
                    to_char(b.scheduled_date, 'YYYY-MM-DD'), b.scheduled_time, b.credits_balance, g.lot_id
                from create_session_with_credit_deduction(
                    %(client)s, %(therapist)s, %(date)s, '23:30', p_idempotency_key => 'key'
                ) as b
                cross join grant_credits(%(client)s, 1, null, %(expires_at)s, 'key') as g
                """,
                {"client": client, "therapist": therapist, "date": TOMORROW, "expires_at": expires_at},
            ).fetchall()
            with refused("booking_conflict") as refusal:
                connection.execute(
                    "select id from create_session_with_credit_deduction(%s, %s, %s, '00:15')",
                    [other, therapist, TOMORROW + DAY],
                )
            checks = connection.execute(
                "select check_booking_conflict(%(t)s, %(d)s, '23:00', '23:30'),"
                " check_booking_conflict(%(t)s, %(d)s, '23:00', '23:31'),"
                " check_booking_conflict(%(t)s, %(d)s + 1, '00:29', '01:00')",
                {"t": therapist, "d": TOMORROW},
            ).fetchall()
            # Where the session's own zone is UTC, which 'UTC+5' defines anew; in the transaction that is rolled back.
            with connection.transaction(force_rollback=True):
                in_utc = connection.execute(
                    "select extract(epoch from b.start_time)::text, bookingdb.iso_utc(b.start_time)"
                    " from create_session_with_credit_deduction("
                    "%s, %s, %s, '10:00', p_time_zone => 'UTC') as b",
                    [client, therapist, TOMORROW + DAY],
                ).fetchall()
        answers.append((answer, refusal.detail, checks, in_utc))

    start = dt.datetime.combine(TOMORROW, dt.time(23, 30), ZoneInfo("Europe/Berlin"))
    assert answers[0][0][0][1] == f"{start.timestamp():.6f}"
    assert answers[0][2] == [(False, True, True)]
    assert answers == [answers[0]] * len(SETTINGS)
    assert world.count("sessions") == 1


# ----------------------------------------------------------------------------------------------------------------------
# Series
# ----------------------------------------------------------------------------------------------------------------------


def test_series_and_hold_do_not_depend_on_settings(world: World) -> None:
    """The same keys each time: were an interval remembered in the connection's terms, it would be another request."""
    therapist, client = world.therapist("Europe/Berlin"), world.client(credits=9)
    seen = []
    for zone, date_style, interval_style in SETTINGS:
        with session_of(world) as connection:
            for name, value in (("timezone", zone), ("datestyle", date_style), ("intervalstyle", interval_style)):
                connection.execute("select set_config(%s, %s, false)", [name, value])
            series = connection.execute(
                "select id, extract(epoch from start_time)::text, credits_balance, extract(epoch from end_time)::text"
                " from book_series(%s, %s, %s, '23:30', 3, '1 month', p_idempotency_key => 'key')",
                [client, therapist, LATER],
            ).fetchall()
            hold = connection.execute(
                "select id, extract(epoch from start_time)::text, extract(epoch from expires_at)::text"
                " from hold_slot(%s, %s, %s, '12:00', p_ttl => '90 seconds', p_idempotency_key => 'key')",
                [client, therapist, LATER],
            ).fetchall()
            with refused("booking_conflict") as refusal:
                book_series(
                    connection, world.client(credits=1), therapist,
                    session_date=LATER - 7 * DAY, session_time="23:00", occurrences=3, every=7 * DAY,
                )  # fmt: skip
        del refusal.detail["therapist_id"]
        seen.append((series, hold, refusal.detail["session_date"], refusal.detail["start_time"]))
    assert len(seen[0][0]) == 3
    assert all(other == seen[0] for other in seen)
