"""What every file under sql/ looks like, and that SQL, Python and docs say the same."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from bookingdb import AsyncBookings, Bookings
from bookingdb.errors import BY_CODE, BookingFailed
from bookingdb.install import source
from bookingdb.install.source import FunctionFile, SqlFile

ROOT = Path(__file__).parent.parent
SOURCE = source.load()
BY_SIGNATURE_NAME = {(function.schema, function.name): function for function in SOURCE.functions}
PUBLIC = [function for function in SOURCE.functions if function.schema == "public"]
ENGINE = [function for function in SOURCE.functions if function.schema == "bookingdb"]

every_function = pytest.mark.parametrize("function", SOURCE.functions, ids=lambda function: function.path)
every_public_function = pytest.mark.parametrize("function", PUBLIC, ids=lambda function: function.name)

# A function file, whole: one function with everything said in this order, and its comment.
LAYOUT = re.compile(
    r"create or replace function (?P<schema>\w+)\.(?P<name>\w+)\((?P<parameters>[^$]*?)\)\n"
    r"returns (?P<result>[^$]+?)\n"
    r"language plpgsql\n"
    r"(?P<volatility>immutable|stable|volatile)\n"
    r"security (?P<security>definer|invoker)\n"
    r"set search_path = pg_catalog, pg_temp\n"
    r"(?:set (?!search_path)\w+ = ['\w]+\n)*"
    r"as \$function\$\n(?P<body>(?:(?!\$function\$)[\s\S])+)\$function\$;\n"
    r"\n"
    r"comment on function (?P=schema)\.(?P=name)\([^)]*\) is\n"
    r"'(?P<comment>(?:[^'\n]|'')+)';\n"
)
LONGEST_LINE = 120


class Header(NamedTuple):
    """What a function file says about its function, white space made single."""

    schema: str
    name: str
    parameters: str
    result: str
    volatility: str
    security: str
    body: str
    comment: str

    @property
    def types(self) -> list[tuple[str, str]]:
        """Names and types of the parameters, without their defaults."""
        found = [parameter.partition(" default ")[0].split() for parameter in self.parameters.split(", ")]
        return [(parts[0], parts[1]) for parts in found if parts]

    @property
    def signature(self) -> str:
        return f"{self.name}({', '.join(type_ for _, type_ in self.types)})"


def flat(text: str) -> str:
    """A text with all white space made single, and none inside of brackets."""
    return re.sub(r"(?<=\() | (?=\))", "", " ".join(text.split()))


def header(function: FunctionFile) -> Header:
    found = LAYOUT.fullmatch(function.text)
    assert found is not None, f"sql/{function.path} is not laid out as all function files are"
    parts = found.groupdict()
    body, comment = parts.pop("body"), parts.pop("comment")
    return Header(**{name: flat(text) for name, text in parts.items()}, body=body, comment=comment.replace("''", "'"))


@every_function
def test_a_file_holds_one_function_of_its_name_in_its_folders_schema_in_the_usual_order(function: FunctionFile) -> None:
    found = header(function)

    assert (found.schema, found.name) == (function.schema, function.name)
    assert flat(function.signature).replace(", ", ",") == f"{found.schema}.{found.signature}".replace(", ", ",")


def test_no_function_has_an_overload() -> None:
    assert len(BY_SIGNATURE_NAME) == len(SOURCE.functions)
    assert {function.schema for function in SOURCE.functions} == {"public", "bookingdb"}


@every_public_function
def test_a_public_function_only_hands_on_to_its_twin(function: FunctionFile) -> None:
    found = header(function)
    twin = header(BY_SIGNATURE_NAME["bookingdb", function.name])

    assert found.security == "invoker"
    assert twin.security == "definer"
    assert twin.volatility == found.volatility
    assert twin.types == found.types
    assert "default" not in twin.parameters, "a default is said once, by the public function"
    handed_on = ", ".join(name for name, _ in found.types)
    assert f"bookingdb.{function.name}({handed_on})" in flat(found.body)
    assert len(found.body.strip().splitlines()) <= 12


@every_public_function
def test_what_callers_enter_by_plans_without_regard_to_statistics(function: FunctionFile) -> None:
    """What it calls plans as it does: one plan for all parameters, by an index, never compiled."""
    twin = next(twin for twin in ENGINE if twin.name == function.name)

    assert "set plan_cache_mode = force_generic_plan\nset enable_seqscan = off\nset jit = off\n" in twin.text, twin.path


def test_grants_name_every_function_exactly_once() -> None:
    # Two literals without a comma between them are one, as for Postgres.
    text = re.sub(r"'\n\s+'", "", SOURCE.grants.text)
    lists = dict(re.findall(r"(c_\w+) constant text\[\] := array\[(.*?)\];", text, re.DOTALL))
    public, policies, internal = (
        re.findall(r"'([^']+)'", lists[name]) for name in ("c_public", "c_policies", "c_internal")
    )

    assert sorted(public) == sorted(header(function).signature for function in PUBLIC)
    twins = [header(function).signature for function in ENGINE if ("public", function.name) in BY_SIGNATURE_NAME]
    assert sorted(public) == sorted(twins)
    assert sorted(policies + internal + twins) == sorted(header(function).signature for function in ENGINE)


def test_every_public_function_has_a_pgtap_file_and_every_such_file_a_function() -> None:
    files = {path.stem for path in (ROOT / "tests" / "sql").glob("*.sql")}

    assert files == {function.name for function in PUBLIC}


@every_public_function
def test_every_public_function_has_a_method_with_its_parameters(function: FunctionFile) -> None:
    # The one whose name is too long to be typed.
    name = {"create_session_with_credit_deduction": "book_session"}.get(function.name, function.name)

    expected = {parameter.removeprefix("p_") for parameter, _ in header(function).types}
    for client in (Bookings, AsyncBookings):
        # Python has a word of its own for from: from_.
        parameters = {name.rstrip("_") for name in inspect.signature(getattr(client, name)).parameters} - {"self"}
        # An alternative to date and time.
        assert parameters - {"starts_at"} == expected


@every_public_function
def test_every_public_function_is_documented_with_its_signature(function: FunctionFile) -> None:
    found = header(function)
    reference = (ROOT / "docs" / "sql-reference.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {function.name}\n(.*?)(?=^## |\Z)", reference, re.MULTILINE | re.DOTALL)
    assert section is not None, f"docs/sql-reference.md has no section {function.name}"
    blocks = [flat(block) for block in re.findall(r"```sql[^\n]*\n(.*?)```", section[1], re.DOTALL)]

    assert f"{function.name}({found.parameters}) returns {found.result}" in blocks

    errors = re.search(r"^Errors.*?: (.*?)\.$", section[1], re.MULTILINE | re.DOTALL)
    assert errors is not None, f"docs/sql-reference.md does not list the errors of {function.name}"
    listed = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", errors[1]))
    assert sorted(listed) == sorted(raises(BY_SIGNATURE_NAME["bookingdb", function.name]))


# ----------------------------------------------------------------------------------------------------------------------
# Errors
# ----------------------------------------------------------------------------------------------------------------------

RAISE_ERROR = BY_SIGNATURE_NAME["bookingdb", "raise_error"]


class Error(NamedTuple):
    sqlstate: str
    message: str


def errors_of_sql() -> dict[str, Error]:
    rows = re.findall(r"\('(\w+)', '(PT\d{3})', '([^']+)',", RAISE_ERROR.body)
    return {code: Error(sqlstate, message) for code, sqlstate, message in rows}


def raises(function: FunctionFile) -> list[str]:
    """The codes (and bare SQLSTATEs) that a function's comment lists after "Raises"."""
    found = re.search(r"\bRaises (.+?)\.$", re.sub(r" \([^)]*\)", "", header(function).comment))
    # "busy when lock_timeout runs out" is busy.
    return [item.split()[0] for item in found[1].split(", ")] if found else []


def codes_of(function: FunctionFile, seen: frozenset[str] = frozenset()) -> set[str]:
    """The codes that a function raises itself, and those of the functions it calls."""
    codes = set(re.findall(r"raise_error\('(\w+)'", function.body))
    for name in set(re.findall(r"bookingdb\.(\w+)\(", function.body)) - seen - {"raise_error"}:
        codes |= codes_of(BY_SIGNATURE_NAME["bookingdb", name], seen | {name})
    return codes


# What a function called may raise but cannot in this call: there is a user id, else not_authenticated came before.
CANNOT_COME = {("register_client", "invalid_user_id")}


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


def test_messages_are_fixed_ascii_and_only_conflicts_are_called_so() -> None:
    for code, (sqlstate, message) in errors_of_sql().items():
        assert re.fullmatch(r"[A-Z][A-Za-z0-9 :,-]+[a-z]", message), code
        assert ("conflict" in message) == (sqlstate == "PT409" and code != "invalid_transition"), code


def test_errors_are_made_in_one_place() -> None:
    for function in SOURCE.functions:
        if function is not RAISE_ERROR:
            assert not re.search(r"PT\d{3}|errcode = '(?!internal_error|integrity|insufficient)", function.body), (
                function.path
            )


@pytest.mark.parametrize("function", ENGINE, ids=lambda function: function.name)
def test_a_comment_lists_the_errors_that_can_come(function: FunctionFile) -> None:
    listed = [code for code in raises(function) if not re.fullmatch(r"\d{5}", code)]

    assert len(set(listed)) == len(listed)
    assert set(listed) <= set(errors_of_sql())
    if function is not RAISE_ERROR:
        assert set(listed) == {code for code in codes_of(function) if (function.name, code) not in CANNOT_COME}


@every_public_function
def test_a_public_comment_says_who_may_call_and_where_the_errors_are(function: FunctionFile) -> None:
    comment = header(function).comment

    callers = "trusted callers|the user (itself|whose)|every logged-in user|the (therapist|client)"
    assert re.search(rf"\bfor ({callers})", comment, re.I)
    assert comment.endswith(" Errors: docs/errors.md.")


# ----------------------------------------------------------------------------------------------------------------------
# Text
# ----------------------------------------------------------------------------------------------------------------------

SQL_FILES = sorted([*(ROOT / "sql").rglob("*.sql"), *(ROOT / "tests" / "sql").rglob("*.sql")])


@pytest.mark.parametrize("migration", SOURCE.migrations, ids=lambda migration: migration.name)
def test_every_index_says_which_query_or_constraint_needs_it(migration: SqlFile) -> None:
    """In a comment above it; the index that it takes the place of may be dropped between the two."""
    lines = [line for line in migration.text.splitlines() if line and not line.startswith("drop index ")]
    for number, line in enumerate(lines):
        if line.startswith(("create index ", "create unique index ")):
            assert lines[number - 1].startswith("-- "), line


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_are_short_and_clean(path: Path) -> None:
    text = path.read_bytes().decode("ascii")

    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    for number, line in enumerate(text.splitlines(), 1):
        # A comment's text is one string on one line.
        assert len(line) <= LONGEST_LINE or line.startswith("'"), f"line {number} is too long"
        assert line == line.rstrip(), f"line {number} ends with white space"
        assert "\t" not in line, f"line {number} has a tab"
