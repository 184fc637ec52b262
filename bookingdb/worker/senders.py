"""The senders, a class for each kind of destination, and what they share."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

from bookingdb.worker.http import HttpClient
from bookingdb.worker.outcome import Outcome

if TYPE_CHECKING:
    from bookingdb import Bookings
    from bookingdb.records import ClaimedDelivery

# Imported when the first delivery of the kind is claimed: each needs packages of its own.
SENDERS: Final[Mapping[str, str]] = {
    "webhook": "bookingdb.worker.webhook:WebhookSender",
    "mail": "bookingdb.worker.mail:MailSender",
    "daily": "bookingdb.worker.daily:DailySender",
    "calendar": "bookingdb.worker.foreign_calendars:CalendarSender",
}


class MissingSetting(Exception):
    """A destination lacks a setting or a secret; the text says which, and what may be in its place."""


@dataclass(frozen=True)
class Environment:
    """The things that a worker lends its senders.

    Attributes:
        bookings: the calls, on connections that are not in a transaction.
        http: the client for addresses that others chose.
        logger: for what a line in the log is worth beside the outcome.
        patience: seconds within which a send must be over; then somebody else may claim the delivery.
    """

    bookings: Bookings
    http: HttpClient = field(default_factory=HttpClient)
    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("bookingdb.worker"))
    patience: float = 45.0


class Sender(Protocol):
    """Sends the deliveries of one kind; a worker makes one, and its threads call it at the same time."""

    def send(self, delivery: ClaimedDelivery, environment: Environment) -> Outcome:
        """Send it, and return what became of it; an error that is raised means a retry."""
        ...


def load_sender(kind: str) -> Sender:
    """Make the sender of a kind, one of SENDERS.

    Raises:
        ImportError: a package that the kind needs is not installed.
    """
    module, _, name = SENDERS[kind].partition(":")
    sender: Sender = getattr(import_module(module), name)()
    return sender


def load_senders(logger: logging.Logger) -> dict[str, Sender]:
    """Make the senders of all kinds; one that lacks a package leaves its deliveries to other workers."""
    senders = {}
    for kind in SENDERS:
        try:
            senders[kind] = load_sender(kind)
        except ImportError as error:
            logger.info("nothing is delivered to destinations of the kind %s: %s", kind, error)
    return senders


def setting(delivery: ClaimedDelivery, name: str, default: Any = None) -> Any:
    """Return a setting of the destination; ``NAME_env`` among the settings names an environment variable instead.

    Raises:
        MissingSetting: the environment variable is not set.
    """
    return _found(delivery.settings, delivery.settings, name, default)


def secret(delivery: ClaimedDelivery, name: str, default: Any = None) -> Any:
    """Return a secret of the destination; ``NAME_env`` among the settings names an environment variable instead.

    Raises:
        MissingSetting: the environment variable is not set.
    """
    return _found(delivery.secrets, delivery.settings, name, default)


def required(value: Any, name: str) -> Any:
    """Return `value`, which the destination must have.

    Raises:
        MissingSetting: it has none.
    """
    if value in (None, "", []):
        raise MissingSetting(f"the destination lacks {name} (or {name}_env, the name of an environment variable)")
    return value


def _found(values: Mapping[str, Any], settings: Mapping[str, Any], name: str, default: Any) -> Any:
    value = values.get(name)
    if value is not None:
        return value
    variable = settings.get(f"{name}_env")
    if variable is None:
        return default
    if not os.environ.get(variable):
        raise MissingSetting(f"the environment variable {variable} is not set; {name}_env names it")
    return os.environ[variable]
