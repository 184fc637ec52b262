"""The rules by which people are reminded of their sessions."""

from collections.abc import Iterable
from datetime import timedelta

from bookingdb.calls import parameters
from bookingdb.calls.call import Call, many, one, scalar
from bookingdb.records import ReminderRule


def set_reminder_rule(
    name: str,
    before: timedelta,
    *,
    audience: Iterable[str] = ("client",),
    channel: str = "email",
    heeds_quiet_hours: bool = True,
) -> Call[ReminderRule]:
    """Make or change a rule of reminders; the sessions to come get theirs at once.

    Args:
        name: what the rule is called, such as ``"day"``.
        before: how long before a session, 1 minute to 90 days; a day is 24 hours.
        audience: who is reminded: ``client``, ``therapist``, or both.
        channel: ``email`` for destinations of the kind mail; for others the word in their setting ``channel``, or
            ``webhook``.
        heeds_quiet_hours: whether one that would come in a person's quiet hours comes before them.

    Returns:
        The rule.

    Raises:
        InvalidParameter: the request makes no sense.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).set_reminder_rule("sms", timedelta(hours=2), channel="sms")
    """
    return one(
        "set_reminder_rule",
        ReminderRule,
        p_name=parameters.text("p_name", name),
        p_before=parameters.interval("p_before", before),
        p_audience=parameters.texts("p_audience", audience),
        p_channel=parameters.text("p_channel", channel),
        p_heeds_quiet_hours=parameters.boolean("p_heeds_quiet_hours", heeds_quiet_hours),
    )


def remove_reminder_rule(name: str) -> Call[bool]:
    """Remove a rule of reminders: none of its reminders is sent any more.

    Args:
        name: the rule.

    Returns:
        Whether there was one.

    Raises:
        InvalidParameter: the request makes no sense.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        BookingFailed: see there.

    Example::

        Bookings(db).remove_reminder_rule("hour")
    """
    return scalar("remove_reminder_rule", bool, p_name=parameters.text("p_name", name))


def list_reminder_rules() -> Call[list[ReminderRule]]:
    """List the rules of reminders, the earliest reminder first.

    Returns:
        The rules.

    Raises:
        NotAuthenticated, NotAllowed: the caller is not trusted.
        BookingFailed: see there.

    Example::

        for rule in Bookings(db).list_reminder_rules():
            print(rule.name, rule.before)
    """
    return many("list_reminder_rules", ReminderRule)
