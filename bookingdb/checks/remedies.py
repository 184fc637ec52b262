"""The advice of `bookingdb verify`: commands and SQL in backticks that put a finding right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from bookingdb.install.script import KNOWN_ROLES
from bookingdb.queries import literal

MIGRATE = "Run `bookingdb migrate`"
REAPPLY = "Run `bookingdb migrate --reapply`"
RESTORE = "What was in it is lost: restore it from a backup"

FOR_CONTRADICTORY_TIMES = (
    "Find out which of the two was agreed, and write it. If the scheduled time:"
    " `update public.sessions set start_time = ..., end_time = ...`."
    " If start_time: `update public.sessions set scheduled_date = ..., scheduled_time = ...`"
)

# Attributes of an object, as in sql/catalogue.json.
Attributes = dict[str, Any]


def run(*statements: str) -> str:
    """Advise to run these, in order.

    >>> run("drop index a", "create index a on t (b)")
    'Run `drop index a`, then `create index a on t (b)`'
    """
    return "Run " + ", then ".join(f"`{statement}`" for statement in statements)


def making(group: str, name: str, wanted: Attributes) -> str:
    """The SQL that makes a column, constraint or index as it was installed."""
    if group == "indexes":
        return str(wanted["definition"])
    alter = f"alter table {wanted['table']} add"
    if group == "constraints":
        return f"{alter} constraint {_bare(name)} {wanted['definition']}"
    clauses = [
        f"{alter} column {_bare(name)} {wanted['type']}",
        f"default {wanted['default']}" if wanted["default"] else "",
        "not null" if wanted["not_null"] else "",
        f"generated {wanted['identity']} as identity" if wanted["identity"] else "",
    ]
    return " ".join(filter(None, clauses))


def removing(group: str, name: str, found: Attributes) -> tuple[str, ...]:
    """The SQL that removes an object; a table, which may hold rows of ours under another name, is only set aside."""
    if group in ("columns", "constraints"):
        return (f"alter table {found['table']} drop {group.removesuffix('s')} {_bare(name)}",)
    if group == "tables":
        return "create schema if not exists set_aside", f"alter table {name} set schema set_aside"
    return (f"drop {found.get('kind') or {'indexes': 'index', 'types': 'type'}[group]} {name}",)


def for_lost_zone(name: str, aliases: Sequence[str], *, has_windows: bool = False) -> str:
    """Say what to do about a zone that the server has lost.

    >>> for_lost_zone("Mars/Olympus", [])
    "Install the server's whole time zone data, or give policies and sessions another zone"
    """
    if not aliases:
        return "Install the server's whole time zone data, or give policies and sessions another zone"
    old, new = literal(name), literal(aliases[0])
    others = f" ({' and '.join(aliases[1:])} would fit, too)" if aliases[1:] else ""
    statements = run(
        f"update bookingdb.policies set time_zone = {new} where time_zone = {old}",
        f"update public.sessions set time_zone = {new} where time_zone = {old} and start_time > now()",
        *([f"update bookingdb.weekly_hours set time_zone = {new} where time_zone = {old}"] if has_windows else []),
    )
    return f"{statements}{others}, or install the server's whole time zone data"


def for_difference(group: str, name: str, attribute: str, wanted: Attributes) -> str:
    """Say what to do about an object with a wrong attribute."""
    match group, attribute:
        case "tables", "forces_row_security":
            advice = run(f"alter table {name} no force row level security")
        case "tables", "unlogged":
            advice = run(f"alter table {name} set logged")
        case "tables", "ignores":
            remembered = "relhastriggers = true, relhasindex = true, relhasrules = true"
            advice = run(f"update pg_class set {remembered} where oid = '{name}'::regclass")
        case "columns", _:
            alter = f"alter table {wanted['table']} alter column {_bare(name)}"
            advice = run(f"{alter} {_column_clause(attribute, wanted[attribute])}")
        case "constraints", "valid":
            advice = run(f"alter table {wanted['table']} validate constraint {_bare(name)}")
        case "constraints", "has_index":
            schema = wanted["table"].partition(".")[0]
            advice = run(f"reindex index {schema}.{_bare(name)}")
        case "indexes", "valid":
            advice = run(f"reindex index {name}")
        case "constraints" | "indexes", _:
            advice = run(*removing(group, name, wanted), making(group, name, wanted))
        # `create or replace` cannot change these.
        case ("functions", "kind" | "arguments" | "result") | ("views", "kind" | "columns"):
            advice = run(f"drop {wanted['kind']} {name} cascade", "bookingdb migrate --reapply")
        case "functions" | "views", _:
            advice = REAPPLY
        case _:
            advice = "Bring it back to what it was"
    return advice


def for_privilege(name: str, role: str, command: str, privileges: list[str]) -> str:
    """Say what to do about privileges that a role lacks (command 'grant') or has too much ('revoke')."""
    # grants.sql puts right what it names, which is no other role and, in the schema bookingdb, no sequence.
    if role in ("PUBLIC", *KNOWN_ROLES) and not name.startswith("sequence bookingdb."):
        return REAPPLY
    grantee = {"PUBLIC": "public", "OWNER": "current_user"}.get(role, f'"{role}"')
    listed = ", ".join(privilege.removesuffix(" with grant option") for privilege in privileges)
    return run(f"{command} {listed} on {name} {'to' if command == 'grant' else 'from'} {grantee}")


def is_settled(invariant: int, problem: str) -> bool:
    """Tell whether a violation is a matter of the past: nothing repairs it, and no booking to come relies on it."""
    return invariant not in (1, 2, 9, 11) and problem not in (
        "balance is negative",
        "ledger and balance differ",
        "lot belongs to another client than its last ledger entry",
        "credits in a lot that is used up",
        "credits in a lot that is expired",
    )


# Statements that repair a violation, by its problem, with names from its context; and what is said after them.
_GIVE_UP_HOLD = "update bookingdb.holds set released_at = now() where id = '{subject}'"
_FREE_TIME = "delete from bookingdb.calendar where id = '{subject}' and kind = 'hold'"
_REOPEN_LOT = "update public.user_credits set status = 'active' where id = '{subject}'"
_REPAIRS = {
    "lot belongs to another client than its last ledger entry": (
        ["update public.user_credits set user_id = '{ledger_user_id}' where id = '{subject}'"],
        ", unless it is the ledger that is wrong",
    ),
    "session that was not cancelled got its credits back": (
        ["select * from public.reopen_session('{subject}')"],
        ", which takes a credit for it, or cancel it again, or leave it free of charge, and acknowledge this",
    ),
    "credits in a lot that is used up": ([_REOPEN_LOT], ""),
    "credits in a lot that is expired": ([_REOPEN_LOT, "select * from public.expire_credits()"], ""),
    # The time that the client was promised may be somebody else's by now.
    "hold has no calendar row": ([_GIVE_UP_HOLD], ""),
    "calendar row differs from its hold": ([_FREE_TIME, _GIVE_UP_HOLD], ""),
    "calendar row of a hold that is not there": ([_FREE_TIME], ""),
    "calendar row of a hold that was given up": ([_FREE_TIME], ""),
    "local time differs from the start": (
        ["update public.sessions set scheduled_date = '{date}', scheduled_time = '{time}' where id = '{subject}'"],
        ", or move it to its local time with reschedule_session",
    ),
    "effective rules differ from policies, hours and overrides": (["select bookingdb.write_rules(null)"], ""),
    "duration differs from start and end": (
        ["update public.sessions set duration_minutes = {minutes} where id = '{subject}'"],
        ", or move it with reschedule_session",
    ),
}


def for_violation(invariant: int, problem: str, subject: UUID, context: dict[str, Any]) -> str:
    """Say what to do about a row of ``bookingdb.check_invariants()``."""
    if problem in _REPAIRS:
        statements, remark = _REPAIRS[problem]
        return run(*(statement.format(subject=subject, **context) for statement in statements)) + remark
    match invariant:
        case 1:
            return "Cancel or move one of the two"
        case 2:
            return run(f"select bookingdb.sync_calendar(array['{subject}'::uuid])")
        case 3 if context.get("balance") is not None and context["ledger_sum"] == context["ledger_last"] is not None:
            correction = f"set credits_balance = {context['ledger_sum']} where id = '{subject}'"
            return f"{run(f'update public.user_credits {correction}')}, unless it is the ledger that is wrong"
    evidence = f"{_evidence(invariant, problem)} = '{subject}'"
    return f"Look at `select * from {evidence} order by created_at`, and compare with a backup"


def _evidence(invariant: int, problem: str) -> str:
    """The table and the column by which the records of a violation's subject are found."""
    if invariant == 3 or "pass the lot on" in problem:
        return "bookingdb.ledger where lot_id"
    if invariant == 5 or "audit row" in problem:
        return "public.booking_audit_log where session_id"
    if invariant == 6 or "idempotency key" in problem:
        return "bookingdb.idempotency_keys where result_id"
    return "bookingdb.ledger where session_id"


def _bare(name: str) -> str:
    """The name of a column without its table's, and of a constraint."""
    return name.partition(" on ")[0].rpartition(".")[2]


def _column_clause(attribute: str, value: Any) -> str:
    match attribute:
        case "type":
            return f"type {value}"
        case "not_null":
            return "set not null" if value else "drop not null"
        case "default":
            return f"set default {value}" if value else "drop default"
        case _:
            return f"add generated {value} as identity" if value else "drop identity"
