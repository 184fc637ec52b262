"""Queries lie in files beside the modules that send them, and get their values as psql gives them."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.types.json import Jsonb

from bookingdb import queries
from bookingdb.queries import QueryError, fill


@pytest.mark.parametrize(
    ("text", "value", "filled"),
    [
        ("x = :'v'", "it's", "x = 'it''s'"),
        ("x = :'v'", r"a\b", r"x = E'a\\b'"),
        ("x = :'v'", 5, "x = 5"),
        ("x = :'v'", True, "x = true"),
        ("x = :'v'", None, "x = NULL"),
        ("x = any(:'v')", ["a", "b'"], "x = any(array['a', 'b'''])"),
        ("x = any(:'v')", (), "x = any(array[]::text[])"),
        ("x = :'v'", Jsonb({"a": 1}), """x = '{"a": 1}'::jsonb"""),
        ('select :"v", t.:"v"', 'Say "so"', 'select "Say ""so""", t."Say ""so"""'),
        ("values :v", "(1), (2)", "values (1), (2)"),
    ],
)
def test_value_is_written_as_its_placeholder_says(text: str, value: object, filled: str) -> None:
    assert fill(text, {"v": value}) == filled


@pytest.mark.parametrize("text", ["a::v", "names[1:v]", "names[:v]", "'10:30'", "'{SUBLINK :varlevelsup 1}'"])
def test_colons_of_postgres_are_no_placeholders(text: str) -> None:
    assert fill(text, {"v": "wrong"}) == text


@pytest.mark.parametrize("text", ["x = :'v'", 'x = :"v"'])
def test_quoted_placeholder_without_a_value_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match="no value for"):
        fill(text, {"w": "x"})


def test_comment_at_the_top_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "with_queries"
    (folder / "sql" / "inner").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "sql" / "inner" / "b.sql").write_bytes(b"-- The first.\r\n-- kind: odd\r\nselect 1\r\n-- Here.\r\n")
    (folder / "sql" / "inner" / "a.sql").write_text("select '%I', :'x'\n")
    monkeypatch.syspath_prepend(tmp_path)

    assert queries.names("with_queries", "inner") == ["inner/a", "inner/b"]
    assert queries.heading("with_queries", "inner/b") == "The first.\nkind: odd"
    assert queries.load("with_queries", "inner/b") == "select 1\n-- Here."
    assert queries.heading("with_queries", "inner/a") == ""
    assert queries.load("with_queries", "inner/a", x=1, y=2) == "select '%I', 1"
