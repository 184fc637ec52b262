"""Take one guard away at a time, in a scratch copy, and see which test notices: `python -m tests.torture.mutants`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click

from tests.torture import figures

ROOT = Path(__file__).parents[2]
FUNCTIONS = "functions/bookingdb"
CORE = "migrations/0001_core.sql"
BEGIN, END = "<!-- mutants: written by python -m tests.torture.mutants -->", "<!-- end of mutants -->"
# After those that a mutant names, which most likely know of it, until one notices.
SELECTION = (
    "tests/test_booking.py", "tests/test_faults.py", "tests/test_concurrency.py", "tests/test_direct_writes.py",
    "tests/test_life.py", "tests/test_life_races.py", "tests/test_access.py",
)  # fmt: skip
# Seconds; what has not been noticed by then has survived.
PATIENCE = 300


@dataclass(frozen=True)
class Mutant:
    """A guard, and how it is removed: what in which file under sql/ becomes what."""

    guard: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _function(name: str) -> str:
    return f"{FUNCTIONS}/{name}.sql"


CONCURRENCY, FAULTS, BOOKING = "tests/test_concurrency.py", "tests/test_faults.py", "tests/test_booking.py"
LIFE, ACCESS, DIRECT = "tests/test_life.py", "tests/test_access.py", "tests/test_direct_writes.py"
EXCLUSION = "exclude using gist ({0} with =, {1} with &&)\n    where (kind in ('session', 'hold'))"

MUTANTS = (
    Mutant(
        "the locks of people", _function("lock_people"), "    if cardinality(v_keys) > c_too_many then",
        "    return;\n    if cardinality(v_keys) > c_too_many then", (CONCURRENCY,),
    ),
    Mutant(
        "the order of these locks", _function("lock_people"),
        "array_agg(distinct bookingdb.person_key(p.id) order by bookingdb.person_key(p.id))",
        "array_agg(bookingdb.person_key(p.id))", (FAULTS,),
    ),
    Mutant(
        "the lock of a session's row", _function("lock_session"), "    for update skip locked;", ";",
        ("tests/test_life_races.py",),
    ),
    Mutant(
        "the constraint on a therapist's time", CORE, EXCLUSION.format("therapist_id", "blocked"),
        EXCLUSION.format("therapist_id", "blocked").replace("'session', 'hold'", "'none'"), (CONCURRENCY, FAULTS),
    ),
    Mutant(
        "the constraint on a client's time", CORE, EXCLUSION.format("client_id", "period"),
        EXCLUSION.format("client_id", "period").replace("'session', 'hold'", "'none'"), (CONCURRENCY, FAULTS),
    ),
    Mutant(
        "the row of an idempotency key", _function("remember_answer"), "if p_key is null then", "if true then",
        (BOOKING,),
    ),
    Mutant(
        "the parameters of an idempotency key", _function("find_answer"), "v_answer.request_hash <> p_request_hash",
        "false", (BOOKING,),
    ),
    Mutant(
        "the balance that cannot be negative", CORE, "check (credits_balance >= 0)", "check (credits_balance >= -9)",
        (DIRECT,),
    ),
    Mutant(
        "the look at the balance before a debit", _function("take_credit"),
        "            and l.credits_balance > 0\n            and (l.expires_at is null or l.expires_at > v_now)",
        "            and (l.expires_at is null or l.expires_at > v_now)", (FAULTS, BOOKING),
    ),
    Mutant(
        "the order in which lots are spent", _function("take_credit"),
        "order by l.priority, l.expires_at asc nulls last", "order by l.priority, l.expires_at desc nulls first",
        (BOOKING, FAULTS),
    ),
    Mutant(
        "one debit and one refund a session", CORE, "unique (session_id, kind)", "unique (id, session_id, kind)",
        (DIRECT, LIFE),
    ),
    Mutant(
        "the look for an earlier refund", _function("return_credit"),
        "l.session_id = p_session.id and l.kind = 'refund'", "false", (LIFE,),
    ),
    Mutant("the table of transitions", _function("require_transition"), "if not exists (", "if false and not exists (",
           (LIFE,)),
    Mutant(
        "the expiry of a hold", _function("book_hold"), " and c.expires_at > clock_timestamp()", "", (LIFE,)
    ),
    Mutant("who may act for a client", _function("authorise"), "p_user_id <> v_actor_id", "false", (ACCESS,)),
    Mutant(
        "who has a part in a session", _function("part_in_session"),
        "perform bookingdb.raise_error('not_allowed'", "return 'client'; perform bookingdb.raise_error('not_allowed'",
        (ACCESS, LIFE),
    ),
    Mutant(
        "a revoke on the engine's functions", "grants.sql",
        "    foreach v_name in array c_policies || c_internal loop", "    foreach v_name in array c_policies loop",
        (ACCESS,),
    ),
    Mutant(
        "the ledger that is only added to", "triggers.sql",
        "create trigger _bookingdb_append_only before delete or update on bookingdb.ledger",
        "create trigger _bookingdb_append_only before delete on bookingdb.ledger", (DIRECT,),
    ),
    Mutant(
        "the calendar that follows direct writes", "triggers.sql",
        "create trigger _bookingdb_calendar_update after update on public.sessions\n"
        "referencing old table as old_rows new table as new_rows\n"
        "for each statement execute function bookingdb.sessions_changed();\n", "", (DIRECT,),
    ),
)  # fmt: skip


def scratch_copy(folder: Path) -> None:
    """Copy what git knows of, which is all that the tests need."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def apply(mutant: Mutant, folder: Path) -> None:
    """Remove the guard. Raises ValueError where it is not to be found."""
    path = folder / "sql" / mutant.file
    text = path.read_text(encoding="utf-8")
    if mutant.old not in text:
        raise ValueError(f"{mutant.guard}: sql/{mutant.file} has nowhere {mutant.old!r}")
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")


def killer(mutant: Mutant, folder: Path) -> str | None:
    """The first test that fails without the guard; None where none does."""
    apply(mutant, folder)
    deadline = time.monotonic() + PATIENCE
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    for file in dict.fromkeys((*mutant.tests, *SELECTION)):
        try:
            ran = subprocess.run(
                [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", file],
                cwd=folder, env=environment, capture_output=True, text=True, check=False,
                timeout=max(1.0, deadline - time.monotonic()),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        if ran.returncode != 0:
            found = re.search(r"^(?:FAILED|ERROR) tests/(\S+?)(?:\[| |$)", ran.stdout, re.MULTILINE)
            return found[1] if found else f"{file}: {ran.stdout[-200:]}"
    return None


@click.command()
@click.argument("guard", nargs=-1)
def main(guard: tuple[str, ...]) -> None:
    """Remove each guard (or those whose name has one of these words), and write down who noticed."""
    rows, survived = [], 0
    for mutant in MUTANTS:
        if guard and not any(word in mutant.guard for word in guard):
            continue
        with tempfile.TemporaryDirectory(prefix="bookingdb-mutant-") as name:
            scratch_copy(Path(name))
            found = killer(mutant, Path(name))
        survived += found is None
        killed_by = f"`{found}`" if found else "**nobody**"
        rows.append(figures.row((mutant.guard, f"`sql/{mutant.file}`", killed_by)))
        click.echo(rows[-1])
    if not guard:
        figures.replace_between(BEGIN, END, "\n".join(["| guard removed | in | noticed by |", "|---|---|---|", *rows]))
    sys.exit(survived > 0)


if __name__ == "__main__":
    main()
