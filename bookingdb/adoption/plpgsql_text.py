"""The effects of an application's function, as far as its text says: read, never run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_TOKENS = re.compile(
    r"""
    (?P<comment> --[^\n]* | /\*.*?\*/ )
    | (?P<string> [eE]?'(?:[^']|'')*' )
    | (?P<dollar> \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
    | (?P<quoted> "(?:[^"]|"")*" )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
# Words that look like a call, and are none.
_NO_CALLS = frozenset(
    """
    abs all and any array as begin bit_length case cast ceil char check clock_timestamp coalesce concat conflict
    count current_setting date_trunc decimal declare delete else elsif end exception execute exists extract
    filter floor for foreach format from gen_random_uuid greatest hashtext if in insert interval into
    json_build_object jsonb_build_object jsonb_set lateral least length loop lower make_interval max min not now
    nullif numeric of on or over overlaps perform pg_advisory_xact_lock primary raise references return returns
    round row row_number select set some sum then time timestamp timezone to_char to_jsonb trim tsrange
    tstzrange unnest update upper using values varchar when where while
    """.split()  # noqa: SIM905 (a list of as many words is no better to read)
)


@dataclass(frozen=True)
class Effects:
    """The effects of a trigger function, as its text says."""

    assigns: frozenset[str]
    inserts: frozenset[str]
    changes: frozenset[str]
    reads: frozenset[str]
    calls: frozenset[str]
    raises: bool
    notifies: bool


def code(source: str) -> str:
    """Return the text in lower case, without comments, and with strings emptied.

    >>> code("NEW.a := 'it''s'; -- done")
    "new.a := ''; "
    """

    def parts() -> Iterator[str]:
        for token in _TOKENS.finditer(source):
            if token["comment"]:
                yield " " if token["comment"].startswith("/*") else ""
            elif token["string"] or token["dollar"]:
                yield "''"
            elif token["quoted"]:
                yield token["quoted"].strip('"').lower()
            else:
                yield token["other"].lower()

    return "".join(parts())


def without_comments(source: str) -> str:
    """Return the text without its comments.

    >>> without_comments("a := 'b'; -- no breaks")
    "a := 'b'; "
    """

    def part(token: re.Match[str]) -> str:
        comment = token["comment"]
        return token[0] if not comment else " " if comment.startswith("/*") else ""

    return "".join(map(part, _TOKENS.finditer(source)))


def effects(source: str) -> Effects:
    """Read the body of a trigger function.

    >>> sorted(effects("begin new.start_time := new.scheduled_date + new.scheduled_time; return new; end").assigns)
    ['start_time']
    """
    text = code(source)
    tables = r"(?:public\.)?(\w+)"
    return Effects(
        assigns=frozenset(re.findall(r"(?<![\w.])new\.(\w+)\s*:?=(?!=)", _statements_only(text))),
        inserts=frozenset(re.findall(rf"\binsert\s+into\s+{tables}", text)),
        changes=frozenset(re.findall(rf"\b(?:update|delete\s+from|merge\s+into)\s+(?:only\s+)?{tables}", text))
        - {"set", "of"},
        reads=frozenset(re.findall(rf"\b(?:from|join)\s+{tables}", text)),
        calls=frozenset(re.findall(r"(?:\bpublic\.)?(?<![\w.])(\w+)\s*\(", text.replace("public.", ""))) - _NO_CALLS,
        raises=bool(re.search(r"\braise\s+(?:exception|using|\w+\s*;|'')|\braise\s*;", text)),
        notifies=bool(re.search(r"\b(?:pg_)?notify\b|\bnet\.http", text)),
    )


def givers(bodies: list[tuple[str, str]], table: str, but: frozenset[str]) -> frozenset[str]:
    """The names of functions that write a table: in their text, in what they EXECUTE, or in what they call.

    >>> sorted(givers([("add", "update t set a = 1"), ("buy", "perform private.add(5)"), ("see", "table t")], "t",
    ...     frozenset()))
    ['add', 'buy']
    """
    seen = {name: effects(source) for name, source in bodies}
    calls: dict[str, set[str]] = {}
    found: set[str] = set()
    for name, source in bodies:
        text = code(source)
        seen_here = effects(source)
        calls.setdefault(name, set()).update(re.findall(r"(\w+)\s*\(", text))
        dynamic = (
            re.search(r"\bexecute\b", text)
            and re.search(rf"\b{table}\b", source)
            and re.search(r"\b(?:insert|update|delete|merge)\b", source, re.IGNORECASE)
        )
        if table in seen_here.inserts | seen_here.changes or dynamic:
            found.add(name)
    found -= but
    while more := {name for name in seen if name not in found and name not in but and calls[name] & found}:
        found |= more
    return frozenset(found)


def _statements_only(text: str) -> str:
    """Leave out conditions, in which ``new.a = b`` assigns nothing."""
    text = " ".join(text.split())
    text = re.sub(r"\bend (?:if|loop|case)\b", " ", text)
    text = re.sub(r"\b(?:if|elsif|when|while)\b.*?\b(?:then|loop)\b", " ; ", text)
    text = re.sub(r"\b(?:where|and|or|on|select|return|perform)\b[^;]*?(?=;|\binto\b)", " ", text)
    # select ... into new.a: an assignment, too.
    return re.sub(r"\binto\s+(?:strict\s+)?((?:new\.\w+\s*,?\s*)+)", _as_assignments, text)


def _as_assignments(found: re.Match[str]) -> str:
    return "; ".join(f"{name} := 0" for name in re.findall(r"new\.\w+", found[1])) + "; "


def clock_readings(source: str) -> list[str]:
    """List the expressions that make an instant of a clock: `at time zone`, or a cast that takes the server's zone.

    >>> clock_readings("begin v_a := (p_day + p_hour) at time zone 'UTC'; v_b := p_text::timestamptz; end")
    ["v_a := (p_day + p_hour) at time zone 'UTC'", 'v_b := p_text::timestamptz']
    """
    text = " ".join(without_comments(source).split())
    pattern = (
        r"[^;,]{0,100}?(?:\bat\s+time\s+zone\s+(?:'[^']*'|\w+)|::\s*(?:timestamptz|timestamp\s+with\s+time\s+zone)\b)"
    )
    found = (re.sub(r"^(?:begin|declare)\s+", "", each.strip(), flags=re.I) for each in re.findall(pattern, text, re.I))
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Insert:
    """An INSERT with VALUES: its table, and the expression of each column, as the text has them."""

    table: str
    values: dict[str, str]


def inserts(source: str) -> Iterator[Insert]:
    """Yield the INSERT ... (columns) VALUES (expressions) of a function's body."""
    text = without_comments(source)
    pattern = re.compile(
        r"\binsert\s+into\s+(?:public\.)?\"?(\w+)\"?(?:\s+as\s+\w+)?\s*\(([^()]*)\)\s*values\s*\(", re.I
    )
    for found in pattern.finditer(text):
        columns = [name.strip().strip('"').lower() for name in found[2].split(",")]
        expressions = arguments(text, found.end())
        if len(columns) == len(expressions):
            yield Insert(found[1].lower(), dict(zip(columns, expressions, strict=True)))


def arguments(text: str, start: int) -> list[str]:
    """Split what stands between the parenthesis opened before `start` and its end at its outer commas."""
    depth, found, current = 1, list[str](), list[str]()
    for token in _TOKENS.finditer(text, start):
        piece = token[0]
        if token["other"]:
            depth += (piece in "([") - (piece in ")]")
            if depth == 0:
                break
            if piece == "," and depth == 1:
                found.append("".join(current).strip())
                current = []
                continue
        current.append(piece)
    last = "".join(current).strip()
    return [*found, last] if last or found else []


_VARCHAR_LIST = re.compile(
    r"\((\w+)\)::text (= ANY|<> ALL) \(\(ARRAY\["
    r"((?:'(?:[^']|'')*'::character varying(?:\(\d+\))?(?:, )?)+)\]\)::text\[\]\)"
)


def readable(definition: str) -> str:
    """Write a definition so that Postgres reads what it had: it prints lists of varchar in a form that is another one.

    >>> readable("CHECK (((a)::text = ANY ((ARRAY['b'::character varying, 'c'::character varying])::text[])))")
    "CHECK ((a in ('b', 'c')))"
    """

    def listed(found: re.Match[str]) -> str:
        values = re.sub(r"::character varying(?:\(\d+\))?", "", found[3])
        return f"{found[1]} {'in' if found[2] == '= ANY' else 'not in'} ({values})"

    return _VARCHAR_LIST.sub(listed, definition)


# The parameters and the usual variables of a booking function, as values of the session that was booked.
_KNOWN = {
    r"p_user_id|v_user_id": "($1 ->> 'user_id')::uuid",
    r"p_therapist_id|v_therapist_id": "($1 ->> 'therapist_id')::uuid",
    r"v_?(?:new_)?session_?id|v_id|new_session_id|session_id|v_session\.id|v_new_session\.id": "($1 ->> 'id')::uuid",
    r"v_start(?:_time|_at|_timestamp|_ts)?|p_start_time": "($1 ->> 'start_time')::timestamptz",
    r"v_end(?:_time|_at|_timestamp|_ts)?|p_end_time": "($1 ->> 'end_time')::timestamptz",
    r"p_session_date": "($1 ->> 'scheduled_date')::date",
    r"p_session_time": "($1 ->> 'scheduled_time')::time",
    r"p_duration_minutes": "($1 ->> 'duration_minutes')::integer",
    r"p_session_type": "($1 ->> 'session_type')",
    r"p_title": "($1 ->> 'title')",
    r"p_notes": "($1 ->> 'description')",
}  # fmt: skip
# Words of an expression that are no names.
_KEYWORDS = frozenset(
    """
    null true false at time zone interval and or array case when then else end is not in like ilike between distinct
    from current_date current_time current_timestamp localtimestamp default
    with without precision
    """.split()  # noqa: SIM905 (a list of as many words is no better to read)
)


def rewritten(expression: str, known: Mapping[str, str] | None = None) -> tuple[str, bool]:
    """Write an expression of the old function for a row as jsonb ($1); also whether all of it is known.

    Args:
        expression: SQL with parameters and variables of the function.
        known: patterns of further names, and what they are.

    >>> rewritten("lower(p_title) || v_other")
    ("lower(($1 ->> 'title')) || v_other", False)
    """
    pieces = re.split(r"('(?:[^']|'')*')", expression)
    names = {**(known or {}), **_KNOWN}
    pattern = re.compile("|".join(rf"(?P<k{n}>(?<![\w.$>])(?:{each})(?![\w.(]))" for n, each in enumerate(names)), re.I)
    values = list(names.values())
    for number in range(0, len(pieces), 2):
        pieces[number] = pattern.sub(lambda found: values[int(str(found.lastgroup)[1:])], pieces[number])
    text = "".join(pieces)
    bare = re.sub(r"\$1 ->> '\w+'|'(?:[^']|'')*'|::\s*\w+(?:\[\])?", " ", text)
    left = [
        word
        for word in re.findall(r"(?<![\w.$])([a-z_]\w*)(?!\w|\s*\()", bare, re.I)
        if word.lower() not in _KEYWORDS and not re.search(rf"\b{word}\s*(?:=>|:=)", bare)
    ]
    return text, not left


def rewritten_call(
    name: str, call: list[str], kinds: list[str], known: Mapping[str, str] | None = None
) -> tuple[str, list[str]]:
    """Write the call of the old function for a row as jsonb ($1); also what is not known of it.

    >>> rewritten_call("public.inform", ["p_user_id", "'booked'"], [])[0]
    "select public.inform(($1 ->> 'user_id')::uuid, 'booked')"
    """
    unclear: list[str] = []
    written = []
    for place, expression in enumerate(call):
        label, value = "", expression
        if named := re.match(r"(\w+)\s*(?:=>|:=)\s*(.*)", expression, re.DOTALL):
            label, value = f"{named[1]} => ", named[2]
        text, is_clear = rewritten(value, known)
        if not is_clear:
            unclear.append(expression)
            text = f"null::{kinds[place]}" if place < len(kinds) and not label else "null"
        written.append(label + text)
    return f"select {name}({', '.join(written)})", unclear


def session_variables(source: str, types: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that hold the session that a function inserts, or one of its columns, and what they are.

    Args:
        source: the body of the function.
        types: the columns of sessions, with their types.

    >>> session_variables("insert into sessions (title) values (v_a) returning * into v;", {"title": "text"})
    {'v_a': "($1 ->> 'title')", 'v\\\\.title': "($1 ->> 'title')"}
    """
    found = {}
    for insert in inserts(source):
        if insert.table == "sessions":
            for column, expression in insert.values.items():
                is_new = not any(re.fullmatch(pattern, expression, re.I) for pattern in _KNOWN)
                if is_new and column in types and re.fullmatch(r"[a-z_]\w*", expression, re.I):
                    found[re.escape(expression)] = _column_of_session(column, types)
    returning = (
        r"\binsert\s+into\s+(?:public\.)?sessions\b[^;]*?\breturning\s+([^;]+?)\s+into\s+(?:strict\s+)?([\w\s,]+?)\s*;"
    )
    for columns, variables in re.findall(returning, without_comments(source), re.I):
        names = [name.strip() for name in variables.split(",")]
        for column, name in zip(columns.split(","), names, strict=False):
            bare = column.strip().rpartition(".")[2].lower()
            if bare == "*":
                found |= {rf"{re.escape(name)}\.{each}": _column_of_session(each, types) for each in types}
            elif bare in types:
                found[re.escape(name)] = _column_of_session(bare, types)
    return found


def _column_of_session(column: str, types: Mapping[str, str]) -> str:
    kind = types[column]
    if kind.startswith("json"):
        return f"($1 -> '{column}')"
    return f"($1 ->> '{column}')" + ("" if kind.startswith(("text", "character")) else f"::{kind}")
