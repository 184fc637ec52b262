"""The plans of what functions do, as the server tells them to whoever calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support import Connection, World, run

# Every plan of every statement inside the functions is told to the client.
TELL = (
    "load 'auto_explain'", "set auto_explain.log_min_duration = 0", "set auto_explain.log_nested_statements = on",
    "set client_min_messages = log",
)  # fmt: skip
SEQUENTIAL = re.compile(r"Seq Scan on (\w+)")
# An index that is read without a condition on what it is ordered by is read from end to end.
INDEXED = re.compile(r"Index (?:Only )?Scan(?: Backward)?(?: using| on) (\w+).*\n?((?:(?!\s*->).+\n?)*)")
# It has one row.
ONE_ROW = {"policies_default_key"}
# Without an index, because they have at most a few rows: asked only where an application has such statuses.
SMALL = {"active_statuses"}
# What an application writes, and the foreign keys then ask, is planned as Postgres likes.
OTHERS = re.compile(r"^Query Text: (update sessions|delete from sessions|SELECT 1 FROM ONLY)", re.MULTILINE)


@contextmanager
def explained(world: World) -> Iterator[tuple[Connection, list[str]]]:
    """A new connection of a trusted caller, and the plans of what it does."""
    plans: list[str] = []
    with world.connect(user=world.superuser) as connection:
        for statement in TELL:
            run(connection, statement)
        connection.add_notice_handler(lambda notice: plans.append(notice.message_primary or ""))
        yield connection, plans


def read_whole(plans: list[str]) -> set[str]:
    """The tables that the plans read from end to end."""
    return {table for plan in plans if not OTHERS.search(plan) for table in SEQUENTIAL.findall(plan)} - SMALL


def read_without_condition(plans: list[str]) -> set[str]:
    """The indexes that the plans read from end to end."""
    return {
        index
        for plan in plans
        if not OTHERS.search(plan)
        for index, details in INDEXED.findall(plan)
        if "Index Cond: " not in details
    } - ONE_ROW


def used(plans: list[str]) -> set[str]:
    """The indexes that the plans read."""
    return {index for plan in plans for index, _ in INDEXED.findall(plan)}
