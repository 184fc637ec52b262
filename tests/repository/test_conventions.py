"""The form of the files under sql/, the words of comments, and the agreement of SQL, Python and docs."""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from bookingdb import AsyncBookings, Bookings
from bookingdb.errors import BY_CODE, BookingFailed
from bookingdb.install.functions import ROOMS, FunctionFile
from tests.support import ROOT
from tests.support.call_graph import ENGINE, SOURCE, called, own_errors

PUBLIC = [function for function in SOURCE.engine if function.is_public]
LONGEST_LINE = 120
LONGEST_COMMENT = 200


def test_a_file_holds_the_function_of_its_name() -> None:
    found = [f"{function.path}: {function.schema}.{function.name}" for function in SOURCE.engine]

    assert found == [f"{file.path}: bookingdb.{PurePosixPath(file.path).stem}" for file in SOURCE.engine]
    assert len(ENGINE) == len(SOURCE.engine), "a function has one signature"


def test_a_function_calls_its_own_room_and_those_below_it() -> None:
    upwards = [
        f"{function.room}/{function.name} calls {ENGINE[name].room}/{name}"
        for function in SOURCE.engine
        for name in called(function)
        if ROOMS.index(ENGINE[name].room) > ROOMS.index(function.room)
    ]

    assert upwards == []


def test_every_room_is_described() -> None:
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "sql" / "README.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert table == list(ROOMS)
    # Nothing is outgoing where no function of the version before changed.
    assert {function.room for function in SOURCE.engine} | {"outgoing"} == set(ROOMS)


def test_entry_functions_plan_without_statistics() -> None:
    """What it calls plans as it does: one plan for all parameters, by an index, never compiled."""
    settings = "set plan_cache_mode = force_generic_plan\nset enable_seqscan = off\nset jit = off\n"

    assert [function.path for function in PUBLIC if settings not in function.header.settings] == []
    assert [function.path for function in PUBLIC if function.header.security != "definer"] == []


def test_invariants_are_checked_without_indexes() -> None:
    """A corrupt index would hide the rows that its constraint missed."""
    scans = ("indexscan", "indexonlyscan", "bitmapscan", "nestloop")
    settings = "".join(f"set enable_{scan} = off\n" for scan in scans)
    readers = [file for file in SOURCE.engine if file.room == "checks" and file.name != "check_invariants"]

    assert len(readers) > 5
    assert [file.path for file in readers if settings not in file.header.settings] == []


def test_public_function_hands_on_parameters_and_rights() -> None:
    assert [face.name for face in SOURCE.public_functions] == sorted(function.name for function in PUBLIC)
    for face in SOURCE.public_functions:
        engine = ENGINE[face.name].header
        handed_on = ", ".join(name for name, _ in engine.arguments)
        assert f"bookingdb.{face.name}({handed_on})" in re.sub(r"(?<=\() | (?=\))", "", " ".join(face.body.split()))
        assert (face.header.parameters, face.header.volatility) == (engine.parameters, engine.volatility)
        assert face.header.security == "invoker"


def test_every_public_function_has_a_pgtap_file() -> None:
    files = {path.stem for path in (ROOT / "tests" / "sql").glob("*.sql")}

    assert files == {function.name for function in PUBLIC}


def test_every_public_function_has_a_method_with_its_parameters() -> None:
    for function in PUBLIC:
        # The one whose name is too long to be typed.
        name = {"create_session_with_credit_deduction": "book_session"}.get(function.name, function.name)
        expected = {parameter.removeprefix("p_") for parameter, _ in function.header.arguments}
        for client in (Bookings, AsyncBookings):
            # Python has a word of its own for from: from_.
            parameters = {name.rstrip("_") for name in inspect.signature(getattr(client, name)).parameters} - {"self"}
            if "error" in parameters:
                parameters = parameters - {"error"} | {"code", "context"}
            # An alternative to date and time.
            assert parameters - {"starts_at"} == expected, function.name


# ----------------------------------------------------------------------------------------------------------------------
# Errors
# ----------------------------------------------------------------------------------------------------------------------

RAISE_ERROR = ENGINE["raise_error"]


class Error(NamedTuple):
    sqlstate: str
    message: str


def errors_of_sql() -> dict[str, Error]:
    rows = re.findall(r'"(\w+)": \["(PT\d{3})", "([^"]+)",', RAISE_ERROR.body)
    return {code: Error(sqlstate, message) for code, sqlstate, message in rows}


def raises(function: FunctionFile) -> list[str]:
    """The codes (and bare SQLSTATEs) that a function's comment lists after "Raises:"."""
    found = re.search(r" Raises: (.+?)\.$", re.sub(r" \([^)]*\)", "", function.header.comment))
    # "busy when lock_timeout runs out" is busy.
    return [item.split()[0] for item in found[1].split(", ")] if found else []


def test_sql_python_and_docs_have_the_same_errors() -> None:
    sql = errors_of_sql()
    python = {
        code: Error(f"PT{error.http_status}", error.message)
        for code, error in BY_CODE.items()
        if error is not BookingFailed
    }
    table = re.findall(
        r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| `(\w+)` \|",
        (ROOT / "docs" / "errors.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    docs = {code: Error(sqlstate, message) for code, sqlstate, message, _ in table}

    assert sql == python
    assert list(sql) == list(python), "in the same order"
    assert docs == {**sql, BookingFailed.code: Error("any other", BookingFailed.message)}
    assert {code: name for code, _, _, name in table} == {code: error.__name__ for code, error in BY_CODE.items()}


def test_messages_are_ascii_and_only_conflicts_say_conflict() -> None:
    other = {"grant_revoked", "invalid_transition", "person_inactive", "person_in_use", "reschedule_refused"}
    for code, (sqlstate, message) in errors_of_sql().items():
        assert re.fullmatch(r"[A-Z][A-Za-z0-9 :,-]+[a-z]", message), code
        assert ("conflict" in message) == (sqlstate == "PT409" and code not in other), code


def test_errors_are_made_in_one_place() -> None:
    elsewhere = r"PT\d{3}|errcode = '(?!integrity|insufficient)"
    found = {function.name for function in SOURCE.functions if re.search(elsewhere, function.body)}

    assert found == {"raise_error", "raise_write_swallowed"}


def test_comment_lists_the_errors_a_function_raises_itself() -> None:
    for function in SOURCE.engine:
        if function is not RAISE_ERROR:
            listed = [code for code in raises(function) if not re.fullmatch(r"\d{5}", code)]
            assert sorted(listed) == sorted(own_errors(function)), function.path


def test_a_comment_is_short_and_its_parts_are_in_order() -> None:
    """That of a public function is its documentation, and may be longer."""
    found = []
    for function in SOURCE.engine:
        comment = function.header.comment
        if not function.is_public and len(comment) > LONGEST_COMMENT:
            found.append(f"{function.path}: has {len(comment)} characters")
        parts = re.findall(r"(?<=\. )(?:Caller holds|Raises): ", comment)
        if [part for part in ("Caller holds: ", "Raises: ") if part in comment] != parts:
            found.append(f"{function.path}: {parts} are not sentences of their own, in this order")

    assert found == []


OURS = re.compile(r"\b(deal|horizon|passed over|roads?|twins?|mended|reckon\w*)\b|\(never\)")
INSTANT = re.compile(r"\binstants?\b")
BEGINNING = r"(?:^|(?<=[.!?] ))"
NO_SUBJECT = re.compile(BEGINNING + r"(?:Who|Whom|Whose|Whoever|That|Whatever|Which|Whichever|Whether|How|Of)\b")
# Function files still have some of these; a changed file is applied again in every database.
NO_SUBJECT_OUTSIDE_FUNCTIONS = re.compile(BEGINNING + r"(?:What|Where|From)\b")


def comments_of_sql(text: str) -> Iterator[str]:
    """The comments of a text, each with the lines that go on with it, and the texts of COMMENT ON."""
    for lines in re.findall(r"(?:^ *--(?: .*)?\n)+", text, re.MULTILINE):
        yield " ".join(line.strip().removeprefix("--").strip() for line in lines.splitlines())
    yield from re.findall(r"^'(.*)$", text, re.MULTILINE)


def comments_of_python(text: str) -> Iterator[str]:
    """The docstrings and comments of a text, each as one line; no command's docstring (its --help)."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef) or (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and not any(".command(" in ast.unparse(decorator) for decorator in node.decorator_list)
        ):
            yield " ".join((ast.get_docstring(node) or "").split())
    last, comment = 0, ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            has_own_line = token.line.strip() == token.string
            if not has_own_line or token.start[0] != last + 1:
                yield comment
                comment = ""
            last, comment = token.start[0] if has_own_line else 0, f"{comment} {token.string.strip('# ')}".strip()
    yield comment


def comments() -> Iterator[tuple[Path, str]]:
    """The comments and docstrings of the package and of sql/; migrations are frozen."""
    for path in sorted((ROOT / "bookingdb").rglob("*.py")):
        yield from ((path, comment) for comment in comments_of_python(path.read_text(encoding="utf-8")))
    for folder in ("bookingdb", "sql"):
        for path in sorted((ROOT / folder).rglob("*.sql")):
            if path.parent.name != "migrations":
                yield from ((path, comment) for comment in comments_of_sql(path.read_text(encoding="utf-8")))


def test_comments_use_the_words_of_the_field() -> None:
    found = []
    for path, comment in comments():
        patterns = [OURS, NO_SUBJECT]
        if path.is_relative_to(ROOT / "sql"):
            patterns.append(INSTANT)
        if not path.is_relative_to(ROOT / "sql" / "functions"):
            patterns.append(NO_SUBJECT_OUTSIDE_FUNCTIONS)
        if any(pattern.search(comment) for pattern in patterns):
            found.append(f"{path.relative_to(ROOT)}: {comment}")

    assert found == []


def test_a_public_comment_says_who_may_call() -> None:
    callers = r"\bfor (trusted callers|every logged-in user|the (user (themselves|whose)|therapist|client))"

    assert [function.path for function in PUBLIC if not re.search(callers, function.header.comment, re.I)] == []


# ----------------------------------------------------------------------------------------------------------------------
# Text
# ----------------------------------------------------------------------------------------------------------------------

SQL_FILES = sorted(path for folder in ("sql", "bookingdb", "tests/sql") for path in (ROOT / folder).rglob("*.sql"))


def test_every_index_says_which_query_or_constraint_needs_it() -> None:
    """In a comment above it; the index that it takes the place of may be dropped between the two."""
    for migration in SOURCE.migrations:
        lines = [line for line in migration.text.splitlines() if line and not line.startswith("drop index ")]
        for number, line in enumerate(lines):
            if line.startswith(("create index ", "create unique index ")):
                assert lines[number - 1].startswith("-- "), line


def test_lines_are_short_and_clean() -> None:
    found = []
    for path in SQL_FILES:
        text = path.read_bytes().decode("ascii")
        lines = text.split("\n")
        if lines.pop() or not lines[-1]:
            found.append(f"{path}: does not end with one line end")
        for number, line in enumerate(lines, 1):
            # A comment's text is one string on one line.
            if len(line) > LONGEST_LINE and not line.startswith("'"):
                found.append(f"{path}:{number}: is too long")
            if line != line.rstrip() or "\t" in line:
                found.append(f"{path}:{number}: ends with white space, or has a tab")

    assert found == []
