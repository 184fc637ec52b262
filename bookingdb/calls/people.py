"""Registering and finding clients and therapists."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from bookingdb.calls import parameters
from bookingdb.calls.call import Call, json_object, many, nothing, one, scalar
from bookingdb.errors import InvalidTherapistId, InvalidUserId
from bookingdb.records import ErasedPerson, ListedTherapist, MergedClient, Person


def register_client(email: str, *, full_name: str | None = None, user_id: UUID | str | None = None) -> Call[UUID]:
    """Make sure that there is an active client with this e-mail address.

    A therapist with this address becomes a client, too, and keeps their id and name. They book with others, never with
    themselves, and have one time: nobody books them where they have a session as a client.

    Args:
        email: the address; upper and lower case are the same.
        full_name: the name.
        user_id: the id to give them, e.g. the one they log in with; without it a new one.

    Returns:
        The client's id.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense.
        PersonInactive: there is such a client, who was deactivated, and stays so (a therapist in this part).
        NotAuthenticated, NotAllowed: the caller may not register this client.
        Busy, BookingFailed: see there.

    Example::

        client = Bookings(db).register_client("ada@example.com", full_name="Ada")
    """
    return scalar(
        "register_client",
        UUID,
        p_email=parameters.text("p_email", email),
        p_full_name=parameters.optional_text("p_full_name", full_name),
        p_user_id=parameters.optional_id(user_id, InvalidUserId),
    )


def register_therapist(
    email: str,
    *,
    full_name: str | None = None,
    user_id: UUID | str | None = None,
    time_zone: str | None = None,
) -> Call[UUID]:
    """Make sure that there is an active, verified therapist with this e-mail address.

    A client with this address does not become one: it is refused. A therapist becomes a client, too, by
    `register_client`.

    Args:
        email: the address; upper and lower case are the same.
        full_name: the name.
        user_id: the id to give them, e.g. the one they log in with; without it a new one.
        time_zone: IANA zone in which local times of bookings with them are meant.

    Returns:
        The therapist's id.

    Raises:
        InvalidUserId, InvalidTimeZone, InvalidParameter: the request makes no sense.
        PersonInactive: there is such a therapist, who was deactivated, and stays so.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        therapist = Bookings(db).register_therapist("grace@example.com", time_zone="Europe/Berlin")
    """
    return scalar(
        "register_therapist",
        UUID,
        p_email=parameters.text("p_email", email),
        p_full_name=parameters.optional_text("p_full_name", full_name),
        p_user_id=parameters.optional_id(user_id, InvalidUserId),
        p_time_zone=parameters.zone_name(time_zone),
    )


def set_therapist_active(therapist_id: UUID | str, active: bool) -> Call[None]:
    """Let a therapist be booked, or not any more. Sessions already booked stay.

    A therapist who is a client as well stays a client: `set_client_active` closes that part.

    Args:
        therapist_id: the therapist.
        active: whether they can be booked from now on; a therapist who can is verified, too.

    Raises:
        InvalidTherapistId, InvalidParameter: the request makes no sense.
        TherapistNotFound: there is no such therapist.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).set_therapist_active(therapist, False)
    """
    return nothing(
        "set_therapist_active",
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
        p_active=parameters.boolean("p_active", active),
    )


def find_people(search: str, *, limit: int = 20) -> Call[list[Person]]:
    """Find people by id, e-mail address, or a part of their name or address, the best match first.

    An id or a whole address finds whose it is, and nobody else. Upper and lower case are the same, and no character
    has a meaning of its own.

    Args:
        search: the id, the address or the part, 1 to 320 characters.
        limit: how many at most, 1 to 1000.

    Returns:
        The people, also those who are not active any more.

    Raises:
        InvalidParameter: the request makes no sense.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        BookingFailed: see there.

    Example::

        for person in Bookings(db).find_people("ada"):
            print(person.id, person.full_name, person.email)
    """
    return many(
        "find_people",
        Person,
        p_search=parameters.text("p_search", search),
        p_limit=parameters.integer("p_limit", limit),
    )


def set_client_active(user_id: UUID | str, active: bool) -> Call[None]:
    """Let a client book, or not any more. Sessions already booked and credits stay.

    A therapist who is a client as well stays a therapist: `set_therapist_active` closes that part.

    Args:
        user_id: the client.
        active: whether they can book from now on.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense.
        UserNotFound: there is no such client.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).set_client_active(client, False)
    """
    return nothing(
        "set_client_active",
        p_user_id=parameters.id_(user_id, InvalidUserId),
        p_active=parameters.boolean("p_active", active),
    )


def change_email(user_id: UUID | str, email: str | None) -> Call[None]:
    """Give a person another e-mail address, or none, which frees it for somebody else.

    Args:
        user_id: the person.
        email: the address; None for none.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense, or somebody else has the address.
        UserNotFound: there is no such person.
        NotAuthenticated, NotAllowed: the caller may not give this person this address.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).change_email(client, "ada@example.org")
    """
    return nothing(
        "change_email",
        p_user_id=parameters.id_(user_id, InvalidUserId),
        p_email=parameters.optional_text("p_email", email),
    )


def change_login(user_id: UUID | str, new_user_id: UUID | str) -> Call[MergedClient]:
    """Let a client log in with another id: everything passes on to it, name and e-mail address too.

    Args:
        user_id: the client.
        new_user_id: the id they log in with from now on; made if nobody has it.

    Returns:
        The client, and what passed on.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense.
        UserNotFound: there is no such client.
        PersonInactive: the client is active, and who has the new id is not.
        ClientConflict: both have a session at the same time, or one with each other.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).change_login(client, "0b8f9c52-9c1e-4d55-8f0a-2f8f6f0e7a10")
    """
    return one(
        "change_login",
        MergedClient,
        p_user_id=parameters.id_(user_id, InvalidUserId),
        p_new_user_id=parameters.id_(new_user_id, InvalidUserId),
    )


def merge_clients(
    from_user_id: UUID | str, into_user_id: UUID | str, *, reason: str | None = None
) -> Call[MergedClient]:
    """Make two clients one: sessions and credits of the first pass on to the second; the first is deactivated.

    Args:
        from_user_id: the client who is no client any more.
        into_user_id: the client who stays; also a therapist who is a client as well.
        reason: why; the ledger keeps it.

    Returns:
        The client who stays, and what passed on.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense.
        UserNotFound: one of them is not there.
        PersonInactive: the first is active, and the second is not.
        ClientConflict: both have a session at the same time.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        other = Bookings(db).register_client("a.lovelace@example.com")
        print(Bookings(db).merge_clients(other, client, reason="registered twice").credits_balance)
    """
    return one(
        "merge_clients",
        MergedClient,
        p_from_user_id=parameters.id_(from_user_id, InvalidUserId),
        p_into_user_id=parameters.id_(into_user_id, InvalidUserId),
        p_reason=parameters.optional_text("p_reason", reason),
    )


def export_person(user_id: UUID | str) -> Call[dict[str, Any]]:
    """Return everything that is held of a person, a list of rows for each table that has some.

    Args:
        user_id: the person.

    Returns:
        The rows by table; ``ids`` are the ids that they had, ``people`` is who they are.

    Raises:
        InvalidUserId: the request makes no sense.
        UserNotFound: nothing is held of anybody with this id.
        NotAuthenticated, NotAllowed: the caller may not act for this person.
        BookingFailed: see there.

    Example::

        Path("ada.json").write_text(json.dumps(Bookings(db).export_person(client)))
    """
    return json_object("export_person", p_user_id=parameters.id_(user_id, InvalidUserId))


def erase_person(user_id: UUID | str, *, keep: Iterable[str] = ()) -> Call[ErasedPerson]:
    """Take the name, the addresses and the words of a person from every table, and deactivate them.

    Args:
        user_id: the person, client or therapist.
        keep: what the law makes you keep: ``identity``, ``payments``, ``records``. A later call can keep less.

    Returns:
        The person, what was kept, and columns of the application's own that are left to it.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense.
        UserNotFound: nothing is held of anybody with this id.
        PersonInUse: they have sessions to come, or a hold.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).erase_person(client, keep=["payments"])
    """
    return one(
        "erase_person",
        ErasedPerson,
        p_user_id=parameters.id_(user_id, InvalidUserId),
        p_keep=parameters.texts("p_keep", keep),
    )


def list_therapists(*, include_inactive: bool = False) -> Call[list[ListedTherapist]]:
    """List the therapists who can be booked, by name.

    Args:
        include_inactive: also those who cannot be booked; for trusted callers.

    Returns:
        The therapists.

    Raises:
        InvalidParameter: the request makes no sense.
        NotAuthenticated, NotAllowed: the caller is not logged in, or asks for more than they may.
        BookingFailed: see there.

    Example::

        for therapist in Bookings(db).list_therapists():
            print(therapist.id, therapist.full_name)
    """
    return many(
        "list_therapists",
        ListedTherapist,
        p_include_inactive=parameters.boolean("p_include_inactive", include_inactive),
    )
