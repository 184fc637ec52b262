"""The side effects of the old booking function: each is named, and goes on happening where its owner wants it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from bookingdb.adoption import application
from bookingdb.adoption.application import Function
from bookingdb.adoption.plan.draft import PlanDraft
from bookingdb.adoption.plpgsql_statements import HANDLER, Call, Statement, calls, statements, written_table
from bookingdb.adoption.plpgsql_text import (
    code,
    effects,
    inserts,
    rewritten,
    rewritten_call,
    session_variables,
)
from bookingdb.install.session import literal

# The function with which most applications tell their users of a booking: its first call has the key `notification`.
_NOTIFIER = "enqueue_notification"
# Tables that bookingdb's functions write themselves.
_OURS = frozenset({"sessions", "user_credits", "booking_audit_log"})
# The answer to an open question that an empty one would leave open.
NOTHING = "none"
# Functions outside of the database's own schemas that reach somebody.
_REACHING = re.compile(
    r"(?:pg_catalog\.)?pg_notify|(?:net|extensions|cron|pgmq|realtime|graphile_worker)\.\w+|http_\w+"
)


@dataclass
class _SideEffect:
    """Something that the old function did: the statement as it stood, and as it can be run for a session ($1)."""

    name: str
    said: str
    statement: str
    conditions: tuple[str, ...]
    unclear: list[str] = field(default_factory=list)
    # Tables of bookingdb's that it writes, too.
    doubled: list[str] = field(default_factory=list)
    is_missing: bool = False
    is_older: bool = False


@dataclass
class _Writers:
    """The functions of the database and what they write, by name: tables, or ``?`` for anything else."""

    bodies: dict[str, list[str]]
    ours: frozenset[str]
    builtin: frozenset[str]
    known: dict[str, frozenset[str]] = field(default_factory=dict)

    def of(self, name: str) -> frozenset[str]:
        """Return what a function writes, itself or by what it calls."""
        if name in self.known or name in self.ours or name not in self.bodies:
            return self.known.get(name, frozenset())
        self.known[name] = frozenset()
        written: set[str] = set()
        for source in self.bodies[name]:
            seen = effects(source)
            written |= seen.inserts | seen.changes
            if seen.notifies or re.search(r"(?<!\bor )\bexecute\b", code(source)):
                written.add("?")
            for called in seen.calls - {name}:
                written |= self.of(called)
        self.known[name] = frozenset(written)
        return self.known[name]


def keep_side_effects(draft: PlanDraft, old: list[Function]) -> None:
    """Ask about each side effect of the old booking function; plan the trigger that runs those that are kept."""
    kept = []
    counted: dict[str, int] = {}
    found = _side_effects(draft, old)
    first = next((each for each in found if each.name == _NOTIFIER), found[0] if found else None)
    for each in found:
        counted[each.name] = counted.get(each.name, 0) + 1
        number = f".{counted[each.name]}" if counted[each.name] > 1 else ""
        key = "notification" if each is first else f"notification.{each.name}{number}"
        if (answer := _ask(draft, key, each)) and answer.strip().lower() != NOTHING:
            kept.append(answer)
    if kept:
        draft.follow(
            "bookingdb_notification",
            "after insert",
            "sessions",
            f"call_notification({', '.join(literal(answer) for answer in kept)})",
            "what the old booking function called is called as before",
        )


def _ask(draft: PlanDraft, key: str, effect: _SideEffect) -> str:
    evidence = [f"The old booking function {'(an older version of it) ' * effect.is_older}ran: {effect.said}."]
    if effect.unclear:
        evidence.append(f"Not known what these are, so they are null: {', '.join(effect.unclear)}.")
    if effect.is_missing:
        evidence.append("No such function exists now; as soon as it does, it is called.")
    evidence.append("Run after each booking, with $1 the session as jsonb; never fails one. Empty: not called.")
    if effect.doubled:
        evidence.append(
            f"It writes {', '.join(effect.doubled)}, as bookingdb does itself: not called, unless you say so."
        )
    if effect.conditions:
        evidence.append(f"It ran only if {' and '.join(effect.conditions)}.")
        evidence.append(
            f'Without the condition it would be: {effect.statement or effect.said}. "{NOTHING}": not called.'
        )
        return draft.ask_openly(key, evidence, {})
    is_kept = bool(effect.statement) and not effect.doubled and not effect.is_older
    if not is_kept and effect.statement:
        evidence.append(f"It would be: {effect.statement}.")
    return draft.ask(key, evidence, {}, effect.statement if is_kept else "")


def _side_effects(draft: PlanDraft, old: list[Function]) -> list[_SideEffect]:
    """Return the side effects of the newest version that has any, and those that only older ones have."""
    ours = frozenset(file.name for file in draft.source.public_functions)
    bodies: dict[str, list[str]] = {}
    for name, source in application.bodies(draft.connection):
        bodies.setdefault(name, []).append(source)
    builtin = frozenset(name for (name,) in draft.connection.execute(_BUILTIN))
    writers = _Writers(bodies, ours, builtin)
    found: list[_SideEffect] = []
    for function in reversed(old):
        more = list(_of_function(draft, function, writers))
        known = {each.name for each in found}
        for each in more:
            each.is_older = bool(known)
        found += [each for each in more if each.name not in known]
    return found


_BUILTIN = "select distinct p.proname::text from pg_proc as p where p.pronamespace = 'pg_catalog'::regnamespace"


def _of_function(draft: PlanDraft, function: Function, writers: _Writers) -> Iterator[_SideEffect]:
    types = {name: column.type for name, column in draft.app.columns.get("sessions", {}).items()}
    prefix = "public.sessions."
    for name, wanted in draft.source.catalogue["columns"].items():
        if name.startswith(prefix):
            types[name.removeprefix(prefix)] = str(wanted["type"])
    known = session_variables(function.source, types)
    for statement in statements(function.source):
        if HANDLER in statement.conditions:
            _note_handler(draft, function, statement, writers)
            continue
        if effect := _written(statement, known):
            yield effect
        elif not written_table(statement.text):
            yield from _called(draft, statement, known, writers)


def _note_handler(draft: PlanDraft, function: Function, statement: Statement, writers: _Writers) -> None:
    written = written_table(statement.text)
    if written or any(writers.of(call.bare_name) for call in calls(statement.text)):
        line = f"{function.signature} ran where something failed: {statement.text}; bookingdb's function does not"
        draft.note("functions", line)


def _written(statement: Statement, known: dict[str, str]) -> _SideEffect | None:
    """Return the write of a table that bookingdb does not know, if the statement is one."""
    written = written_table(statement.text)
    if written is None or written[1] in _OURS:
        return None
    text, unclear = "", list[str]()
    rest = re.sub(r"\s+returning\b.*", "", statement.text, flags=re.I | re.DOTALL)
    insert = next(inserts(statement.text), None)
    if written[0] == "insert" and insert is not None and re.search(r"\)\s*$", rest):
        values = []
        for expression in insert.values.values():
            value, is_clear = rewritten(expression, known)
            values.append(value if is_clear else "null")
            unclear += [] if is_clear else [expression]
        table = written[1] if "." in written[1] else f"public.{written[1]}"
        text = f"insert into {table} ({', '.join(insert.values)}) values ({', '.join(values)})"
        if not _is_one_row(rest):
            text, unclear = "", []
    name = written[1] if written[0] == "insert" else f"{written[0]}.{written[1]}"
    return _SideEffect(name, statement.text, text, statement.conditions, unclear)


def _is_one_row(text: str) -> bool:
    """Tell whether an INSERT ends with the one row of its VALUES."""
    found = re.search(r"\bvalues\s*\(", text, re.I)
    if found is None:
        return False
    depth = 1
    blank = re.sub(r"'(?:[^']|'')*'", lambda each: "_" * len(each[0]), text)
    for place in range(found.end(), len(blank)):
        depth += (blank[place] == "(") - (blank[place] == ")")
        if depth == 0:
            return not blank[place + 1 :].strip()
    return False


def _called(draft: PlanDraft, statement: Statement, known: dict[str, str], writers: _Writers) -> Iterator[_SideEffect]:
    """Yield the outermost calls of a statement that have an effect."""
    is_performed = bool(re.match(r"(?:perform|call)\b", statement.text, re.I))
    if found := re.match(r"notify\s+(\w+)\s*(?:,\s*('(?:[^']|'')*'))?\s*$", statement.text, re.I):
        text = f"select pg_notify('{found[1].lower()}', {found[2] or chr(39) * 2})"
        yield _SideEffect("notify", statement.text, text, statement.conditions)
        return
    inside: list[str] = []
    for number, call in enumerate(calls(statement.text)):
        if call.name in inside:
            inside.remove(call.name)
            continue
        written = writers.of(call.bare_name)
        if not _has_effect(call, written, writers, is_outer=is_performed and number == 0):
            if is_performed and number == 0 and call.bare_name in writers.bodies and call.bare_name not in writers.ours:
                draft.note("functions", f"the old booking function ran {statement.text}, which writes nothing")
            continue
        inside += [each.name for argument in call.arguments for each in calls(argument)]
        yield _call_effect(draft, statement, call, known, written)


def _has_effect(call: Call, written: frozenset[str], writers: _Writers, *, is_outer: bool) -> bool:
    if call.bare_name in writers.ours or re.match(r"pg_(?!notify\b)", call.bare_name):
        return False
    if _REACHING.fullmatch(call.name) or written:
        return True
    # A function that is performed has an effect, unless its text says that it has none.
    is_unknown = call.bare_name not in writers.bodies and call.bare_name not in writers.builtin
    return is_outer and is_unknown and call.bare_name not in ("exists", "coalesce", "from", "where", "in", "and", "not")


def _call_effect(
    draft: PlanDraft, statement: Statement, call: Call, known: dict[str, str], written: frozenset[str]
) -> _SideEffect:
    present = draft.app.called(call.bare_name) if "." not in call.name or call.name.startswith("public.") else []
    fitting = [each for each in present if len(each.argument_types) >= len(call.arguments)]
    kinds = (fitting or present)[-1].argument_types if present else []
    is_qualified = "." in call.name or call.name == "pg_notify"
    name = call.name if is_qualified else f"public.{call.name}"
    text, unclear = rewritten_call(name, call.arguments, kinds, known)
    return _SideEffect(
        call.bare_name,
        statement.text,
        text,
        statement.conditions,
        unclear,
        sorted(written & _OURS),
        is_missing=not is_qualified and not present,
    )
