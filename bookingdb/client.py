"""The calls as methods: :class:`Bookings`, :class:`AsyncBookings`, and :func:`book_session`.

Each method is a builder of :mod:`bookingdb.calls` (see there for parameters and results), run by
:mod:`bookingdb.execution`, which says what `db` may be and whose the transaction is.
"""

import functools
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar, get_args
from uuid import UUID

from bookingdb import calls
from bookingdb.acting import NOBODY, Acting, checked_user, user_of
from bookingdb.calls import Call
from bookingdb.execution import AsyncDatabase, Kind, SyncDatabase, Tries, execute, execute_async, kind_of

P = ParamSpec("P")
T = TypeVar("T")


def _documented(method: Callable[..., Any], build: Callable[..., Call[Any]], first: str) -> None:
    """Give a method the builder's name, documentation and signature, with the result instead of the Call."""
    functools.update_wrapper(method, build, assigned=("__name__", "__doc__"))
    signature = inspect.signature(build)
    (result,) = get_args(signature.return_annotation)
    parameters = [inspect.Parameter(first, inspect.Parameter.POSITIONAL_ONLY), *signature.parameters.values()]
    method.__annotations__ = {**build.__annotations__, "return": result}
    # mypy knows of no functions with a signature of their own; inspect.signature() does.
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]  # mypy knows no signature of functions
        parameters=parameters, return_annotation=result
    )


def _method(build: Callable[P, Call[T]]) -> Callable[Concatenate["Bookings", P], T]:
    def method(self: "Bookings", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(build(*args, **kwargs))

    _documented(method, build, "self")
    method.__qualname__ = f"Bookings.{build.__name__}"
    return method


def _async_method(
    build: Callable[P, Call[T]],
) -> Callable[Concatenate["AsyncBookings", P], Coroutine[Any, Any, T]]:
    async def method(self: "AsyncBookings", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(build(*args, **kwargs))

    _documented(method, build, "self")
    method.__qualname__ = f"AsyncBookings.{build.__name__}"
    return method


def _function(build: Callable[P, Call[T]]) -> Callable[Concatenate["SyncDatabase", P], T]:
    def function(db: "SyncDatabase", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return Bookings(db)._run(build(*args, **kwargs))

    _documented(function, build, "db")
    function.__qualname__ = build.__name__
    return function


class Bookings:
    """Everything bookingdb does, on a connection of yours or on one of its own.

    Args:
        db: a database URL, a psycopg connection, a psycopg_pool pool, or a SQLAlchemy Connection or Session.
            The caller's transactions stay the caller's; see :mod:`bookingdb.execution`.
        acting_as: the user as whom every call is made (see :meth:`acting_as`); left out, calls are made as the
            database role, which for an application's server means: for anyone.

    Raises:
        TypeError: `db` is something else.
        InvalidUserId: `acting_as` is given, and no UUID.

    Example::

        with psycopg.connect(url) as connection:
            bookings = Bookings(connection)
            client = bookings.register_client("ada@example.com")
            bookings.grant_credits(client, 5, payment_reference="pi_3Nd2")
            # Committed here, both or neither.
    """

    def __init__(self, db: "SyncDatabase", *, acting_as: UUID | str = NOBODY) -> None:
        """Remember `db` and who acts; nothing is connected or asked yet."""
        self._db: Any = db
        self._kind = kind_of(db, asynchronous=False)
        self._acting_as = None if acting_as is NOBODY else checked_user(acting_as)

    def acting_as(self, user_id: UUID | str) -> "Acting[Bookings]":
        """Make every call as a user makes it, in the block of a with statement.

        The database judges as for that user logged in: their own bookings and nobody else's, the terms of
        cancellation, and their name in the records. Nothing that the caller may not do is allowed by it.

        Args:
            user_id: whoever the calls are for, a client or a therapist.

        Returns:
            A context manager, which blocks can share. Inside the block, in this thread or task and in tasks that it
            starts, this object acts as the user. The client that the block yields acts as the user
            everywhere: hand that on to other threads.

        Raises:
            InvalidUserId: it is no UUID.
            NotAllowed: this object, or the transaction of yours, acts as somebody else.

        Example::

            with bookings.acting_as(ada) as as_ada:
                as_ada.cancel_session(session)  # late: the credit is kept
        """
        user = checked_user(user_id)
        return Acting(self, Bookings(self._db, acting_as=user), user, self._acting_as)

    def _user(self) -> UUID | None:
        """Return as whom calls are made here and now."""
        return user_of(self, self._acting_as)

    def _run(self, call: Call[T]) -> T:
        if user_id := self._user():
            call = call.acting_as(user_id)
        if self._kind is Kind.SQLALCHEMY_SESSION and self._db.autoflush:
            self._db.flush()  # what the session has not written yet, the database would not find
        tries = Tries(self._kind, self._db, call)
        while True:
            try:
                rows = execute(self._kind, self._db, call, tries)
            except Exception as error:
                time.sleep(tries.next_pause(error))
            else:
                return call.read(rows)

    # Methods: generated by `make generate` from bookingdb/calls; do not edit.
    act_as = _method(calls.act_as)
    add_days_off = _method(calls.add_days_off)
    add_time_off = _method(calls.add_time_off)
    adjust_credits = _method(calls.adjust_credits)
    approve_session = _method(calls.approve_session)
    book_hold = _method(calls.book_hold)
    book_series = _method(calls.book_series)
    book_session = _method(calls.book_session)
    book_session_with_override = _method(calls.book_session_with_override)
    calendar_feed = _method(calls.calendar_feed)
    cancel_series = _method(calls.cancel_series)
    cancel_session = _method(calls.cancel_session)
    change_email = _method(calls.change_email)
    change_login = _method(calls.change_login)
    check_booking_conflict = _method(calls.check_booking_conflict)
    claim_deliveries = _method(calls.claim_deliveries)
    complete_session = _method(calls.complete_session)
    confirm_session = _method(calls.confirm_session)
    create_calendar_feed = _method(calls.create_calendar_feed)
    deliveries_status = _method(calls.deliveries_status)
    erase_person = _method(calls.erase_person)
    expire_credits = _method(calls.expire_credits)
    explain_session = _method(calls.explain_session)
    export_person = _method(calls.export_person)
    extend_lot = _method(calls.extend_lot)
    find_available_therapists = _method(calls.find_available_therapists)
    find_people = _method(calls.find_people)
    finish_delivery = _method(calls.finish_delivery)
    freeze_lot = _method(calls.freeze_lot)
    get_contact = _method(calls.get_contact)
    get_credit_balance = _method(calls.get_credit_balance)
    get_credit_history = _method(calls.get_credit_history)
    get_credit_statement = _method(calls.get_credit_statement)
    get_hold = _method(calls.get_hold)
    get_policy = _method(calls.get_policy)
    get_session = _method(calls.get_session)
    get_weekly_hours = _method(calls.get_weekly_hours)
    grant_credits = _method(calls.grant_credits)
    grant_package = _method(calls.grant_package)
    hold_slot = _method(calls.hold_slot)
    housekeeping = _method(calls.housekeeping)
    is_bookable_any_time = _method(calls.is_bookable_any_time)
    join_session = _method(calls.join_session)
    list_available_days = _method(calls.list_available_days)
    list_available_slots = _method(calls.list_available_slots)
    list_calendar_changes = _method(calls.list_calendar_changes)
    list_date_overrides = _method(calls.list_date_overrides)
    list_deliveries = _method(calls.list_deliveries)
    list_destinations = _method(calls.list_destinations)
    list_holds = _method(calls.list_holds)
    list_lots = _method(calls.list_lots)
    list_opening_hours = _method(calls.list_opening_hours)
    list_packages = _method(calls.list_packages)
    list_refusals = _method(calls.list_refusals)
    list_reminder_rules = _method(calls.list_reminder_rules)
    list_sessions = _method(calls.list_sessions)
    list_slot_states = _method(calls.list_slot_states)
    list_therapists = _method(calls.list_therapists)
    list_time_off = _method(calls.list_time_off)
    lock_for_booking = _method(calls.lock_for_booking)
    mark_no_show = _method(calls.mark_no_show)
    merge_clients = _method(calls.merge_clients)
    next_available_slot = _method(calls.next_available_slot)
    realign_sessions = _method(calls.realign_sessions)
    record_refusal = _method(calls.record_refusal)
    record_session = _method(calls.record_session)
    refund_session = _method(calls.refund_session)
    register_client = _method(calls.register_client)
    register_therapist = _method(calls.register_therapist)
    reinstate_grant = _method(calls.reinstate_grant)
    relay_events = _method(calls.relay_events)
    release_hold = _method(calls.release_hold)
    remove_destination = _method(calls.remove_destination)
    remove_reminder_rule = _method(calls.remove_reminder_rule)
    remove_time_off = _method(calls.remove_time_off)
    reopen_session = _method(calls.reopen_session)
    replay_deliveries = _method(calls.replay_deliveries)
    reschedule_series = _method(calls.reschedule_series)
    reschedule_session = _method(calls.reschedule_session)
    revoke_calendar_feed = _method(calls.revoke_calendar_feed)
    revoke_grant = _method(calls.revoke_grant)
    rotate_secret = _method(calls.rotate_secret)
    set_client_active = _method(calls.set_client_active)
    set_contact = _method(calls.set_contact)
    set_date_override = _method(calls.set_date_override)
    set_destination = _method(calls.set_destination)
    set_package = _method(calls.set_package)
    set_policy = _method(calls.set_policy)
    set_reminder_rule = _method(calls.set_reminder_rule)
    set_session_video = _method(calls.set_session_video)
    set_therapist_active = _method(calls.set_therapist_active)
    set_weekly_hours = _method(calls.set_weekly_hours)
    start_session = _method(calls.start_session)
    sync_external_busy = _method(calls.sync_external_busy)
    test_destination = _method(calls.test_destination)
    thaw_lot = _method(calls.thaw_lot)
    transfer_credits = _method(calls.transfer_credits)
    transfer_session = _method(calls.transfer_session)


class AsyncBookings:
    """:class:`Bookings` with methods to be awaited.

    Args:
        db: a database URL, a psycopg AsyncConnection, an AsyncConnectionPool, or a SQLAlchemy AsyncConnection
            or AsyncSession (on psycopg or asyncpg).
        acting_as: as of :class:`Bookings`.

    Raises:
        TypeError: `db` is something else.
        InvalidUserId: `acting_as` is given, and no UUID.

    Example::

        async with AsyncConnectionPool(url) as pool:
            session = await AsyncBookings(pool).book_session(
                user_id=client, therapist_id=therapist, session_date="2030-01-07", session_time="10:00")
    """

    def __init__(self, db: "AsyncDatabase", *, acting_as: UUID | str = NOBODY) -> None:
        """Remember `db` and who acts; nothing is connected or asked yet."""
        self._db: Any = db
        self._kind = kind_of(db, asynchronous=True)
        self._acting_as = None if acting_as is NOBODY else checked_user(acting_as)

    def acting_as(self, user_id: UUID | str) -> "Acting[AsyncBookings]":
        """Make every call as a user makes it, in the block of a with statement.

        The database judges as for that user logged in: their own bookings and nobody else's, the terms of
        cancellation, and their name in the records. Nothing that the caller may not do is allowed by it.

        Args:
            user_id: whoever the calls are for, a client or a therapist.

        Returns:
            A context manager, which blocks can share. Inside the block, in this thread or task and in tasks that it
            starts, this object acts as the user: await its calls inside. The client that the block yields acts as the
            user everywhere: hand that on to other threads.

        Raises:
            InvalidUserId: it is no UUID.
            NotAllowed: this object, or the transaction of yours, acts as somebody else.

        Example::

            with bookings.acting_as(ada) as as_ada:
                await as_ada.cancel_session(session)  # late: the credit is kept
        """
        user = checked_user(user_id)
        return Acting(self, AsyncBookings(self._db, acting_as=user), user, self._acting_as)

    def _user(self) -> UUID | None:
        """Return as whom calls are made here and now."""
        return user_of(self, self._acting_as)

    async def _run(self, call: Call[T]) -> T:
        if user_id := self._user():
            call = call.acting_as(user_id)
        if self._kind is Kind.SQLALCHEMY_SESSION and self._db.autoflush:
            await self._db.flush()  # what the session has not written yet, the database would not find
        tries = Tries(self._kind, self._db, call)
        while True:
            try:
                rows = await execute_async(self._kind, self._db, call, tries)
            except Exception as error:
                from asyncio import sleep  # noqa: PLC0415 (a fifth of what importing bookingdb would take)

                await sleep(tries.next_pause(error))
            else:
                return call.read(rows)

    # Methods: generated by `make generate` from bookingdb/calls; do not edit.
    act_as = _async_method(calls.act_as)
    add_days_off = _async_method(calls.add_days_off)
    add_time_off = _async_method(calls.add_time_off)
    adjust_credits = _async_method(calls.adjust_credits)
    approve_session = _async_method(calls.approve_session)
    book_hold = _async_method(calls.book_hold)
    book_series = _async_method(calls.book_series)
    book_session = _async_method(calls.book_session)
    book_session_with_override = _async_method(calls.book_session_with_override)
    calendar_feed = _async_method(calls.calendar_feed)
    cancel_series = _async_method(calls.cancel_series)
    cancel_session = _async_method(calls.cancel_session)
    change_email = _async_method(calls.change_email)
    change_login = _async_method(calls.change_login)
    check_booking_conflict = _async_method(calls.check_booking_conflict)
    claim_deliveries = _async_method(calls.claim_deliveries)
    complete_session = _async_method(calls.complete_session)
    confirm_session = _async_method(calls.confirm_session)
    create_calendar_feed = _async_method(calls.create_calendar_feed)
    deliveries_status = _async_method(calls.deliveries_status)
    erase_person = _async_method(calls.erase_person)
    expire_credits = _async_method(calls.expire_credits)
    explain_session = _async_method(calls.explain_session)
    export_person = _async_method(calls.export_person)
    extend_lot = _async_method(calls.extend_lot)
    find_available_therapists = _async_method(calls.find_available_therapists)
    find_people = _async_method(calls.find_people)
    finish_delivery = _async_method(calls.finish_delivery)
    freeze_lot = _async_method(calls.freeze_lot)
    get_contact = _async_method(calls.get_contact)
    get_credit_balance = _async_method(calls.get_credit_balance)
    get_credit_history = _async_method(calls.get_credit_history)
    get_credit_statement = _async_method(calls.get_credit_statement)
    get_hold = _async_method(calls.get_hold)
    get_policy = _async_method(calls.get_policy)
    get_session = _async_method(calls.get_session)
    get_weekly_hours = _async_method(calls.get_weekly_hours)
    grant_credits = _async_method(calls.grant_credits)
    grant_package = _async_method(calls.grant_package)
    hold_slot = _async_method(calls.hold_slot)
    housekeeping = _async_method(calls.housekeeping)
    is_bookable_any_time = _async_method(calls.is_bookable_any_time)
    join_session = _async_method(calls.join_session)
    list_available_days = _async_method(calls.list_available_days)
    list_available_slots = _async_method(calls.list_available_slots)
    list_calendar_changes = _async_method(calls.list_calendar_changes)
    list_date_overrides = _async_method(calls.list_date_overrides)
    list_deliveries = _async_method(calls.list_deliveries)
    list_destinations = _async_method(calls.list_destinations)
    list_holds = _async_method(calls.list_holds)
    list_lots = _async_method(calls.list_lots)
    list_opening_hours = _async_method(calls.list_opening_hours)
    list_packages = _async_method(calls.list_packages)
    list_refusals = _async_method(calls.list_refusals)
    list_reminder_rules = _async_method(calls.list_reminder_rules)
    list_sessions = _async_method(calls.list_sessions)
    list_slot_states = _async_method(calls.list_slot_states)
    list_therapists = _async_method(calls.list_therapists)
    list_time_off = _async_method(calls.list_time_off)
    lock_for_booking = _async_method(calls.lock_for_booking)
    mark_no_show = _async_method(calls.mark_no_show)
    merge_clients = _async_method(calls.merge_clients)
    next_available_slot = _async_method(calls.next_available_slot)
    realign_sessions = _async_method(calls.realign_sessions)
    record_refusal = _async_method(calls.record_refusal)
    record_session = _async_method(calls.record_session)
    refund_session = _async_method(calls.refund_session)
    register_client = _async_method(calls.register_client)
    register_therapist = _async_method(calls.register_therapist)
    reinstate_grant = _async_method(calls.reinstate_grant)
    relay_events = _async_method(calls.relay_events)
    release_hold = _async_method(calls.release_hold)
    remove_destination = _async_method(calls.remove_destination)
    remove_reminder_rule = _async_method(calls.remove_reminder_rule)
    remove_time_off = _async_method(calls.remove_time_off)
    reopen_session = _async_method(calls.reopen_session)
    replay_deliveries = _async_method(calls.replay_deliveries)
    reschedule_series = _async_method(calls.reschedule_series)
    reschedule_session = _async_method(calls.reschedule_session)
    revoke_calendar_feed = _async_method(calls.revoke_calendar_feed)
    revoke_grant = _async_method(calls.revoke_grant)
    rotate_secret = _async_method(calls.rotate_secret)
    set_client_active = _async_method(calls.set_client_active)
    set_contact = _async_method(calls.set_contact)
    set_date_override = _async_method(calls.set_date_override)
    set_destination = _async_method(calls.set_destination)
    set_package = _async_method(calls.set_package)
    set_policy = _async_method(calls.set_policy)
    set_reminder_rule = _async_method(calls.set_reminder_rule)
    set_session_video = _async_method(calls.set_session_video)
    set_therapist_active = _async_method(calls.set_therapist_active)
    set_weekly_hours = _async_method(calls.set_weekly_hours)
    start_session = _async_method(calls.start_session)
    sync_external_busy = _async_method(calls.sync_external_busy)
    test_destination = _async_method(calls.test_destination)
    thaw_lot = _async_method(calls.thaw_lot)
    transfer_credits = _async_method(calls.transfer_credits)
    transfer_session = _async_method(calls.transfer_session)


book_session = _function(calls.book_session)
