"""Functions whose expression stands in the place of their calls."""

from __future__ import annotations

import re

import pytest

from bookingdb.install.functions import FunctionFile, SourceError
from bookingdb.install.inlining import inline, remaining
from tests.support import World, run, scalar
from tests.support.call_graph import SOURCE

INLINED = {function.name: function for function in SOURCE.engine if function.is_inlined}

# Calls whose arguments would be needed twice, and are no plain names; or that have a remark in them.
STAY = [
    "functions/booking/book_occurrences.sql: bookingdb.blocked_time(",
    "functions/calendar/sync_calendar.sql: bookingdb.blocked_time(",
    "functions/policy/move_cancellation_terms.sql: bookingdb.add_elapsed(",
    "functions/sessions/move_locked_series.sql: bookingdb.blocked_time(",
]


def written(
    name: str, parameters: str, result: str, body: str, mark: str = "", security: str = "invoker"
) -> FunctionFile:
    """A function's file, with these lines as its body."""
    types = ", ".join(parameter.split()[1] for parameter in parameters.split(", ") if parameter)
    text = (
        f"{mark}create or replace function bookingdb.{name}({parameters})\nreturns {result}\nlanguage plpgsql\n"
        f"immutable\nsecurity {security}\nset search_path = pg_catalog, pg_temp\nas $function$\n"
        f"begin\n{body}\nend;\n$function$;\n\ncomment on function bookingdb.{name}({types}) is\n'A function.';\n"
    )
    return FunctionFile(f"functions/time/{name}.sql", text)


def expression(name: str, parameters: str, result: str, text: str) -> FunctionFile:
    return written(name, parameters, result, f"    return {text};", mark="-- Inlined.\n")


DOUBLED = expression("doubled", "p_number integer", "integer", "p_number + p_number")
SUM = expression("total", "p_one integer, p_other bigint", "bigint", "p_one\n        + p_other")
TEXT = expression("quoted", "p_text text", "text", "'p_text: ''' || p_text || ''''")


def inlined(text: str, *functions: FunctionFile) -> str:
    """The text of a body after the functions were inlined."""
    caller = written("caller", "p_number integer", "text", text)
    (*_, made) = inline([*(functions or (DOUBLED, SUM, TEXT)), caller])
    assert made.text.replace(made.body, caller.body) == caller.text
    return made.body.removeprefix("\nbegin\n").removesuffix("\nend;\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bookingdb.total(1, 2)", "((1)::integer + (2)::bigint)::bigint"),
        ("bookingdb.total(\n    1,\n    2\n)", "((1)::integer + (2)::bigint)::bigint"),
        ("bookingdb.total(f(1, 2), a[3, 4])", "((f(1, 2))::integer + (a[3, 4])::bigint)::bigint"),
        (
            "bookingdb.total(bookingdb.total(1, 2)::integer, 3)",
            "((((1)::integer + (2)::bigint)::bigint::integer)::integer + (3)::bigint)::bigint",
        ),
        # A caller's name is not taken for the parameter of the same name.
        ("bookingdb.total(p_other, p_one)", "((p_other)::integer + (p_one)::bigint)::bigint"),
        ("bookingdb.quoted('), ''(')", "('p_text: ''' || ('), ''(')::text || '''')::text"),
        (r"bookingdb.quoted(E'\'), (')", r"('p_text: ''' || (E'\'), (')::text || '''')::text"),
        ("bookingdb.doubled(p_number)", "((p_number)::integer + (p_number)::integer)::integer"),
        ("bookingdb.doubled(new.number)", "((new.number)::integer + (new.number)::integer)::integer"),
    ],
)
def test_expression_stands_for_the_call(text: str, expected: str) -> None:
    assert inlined(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "bookingdb.doubled(random())",
        "bookingdb.total(p_other => 2, p_one => 1)",
        "bookingdb.total(1, -- one\n2)",
        "bookingdb.total(1)",
        "execute 'select bookingdb.total(1, 2)'",
        "-- bookingdb.total(1, 2)",
        "bookingdb.totals(1, 2)",
        "bookingdb.unknown(1, 2)",
    ],
)
def test_call_that_cannot_be_replaced_stays(text: str) -> None:
    assert inlined(text) == text


def test_argument_of_a_call_that_stays_is_inlined() -> None:
    assert inlined("bookingdb.doubled(bookingdb.total(1, 2)::integer)") == (
        "bookingdb.doubled(((1)::integer + (2)::bigint)::bigint::integer)"
    )


def test_inlined_function_calls_others_that_are_defined_later() -> None:
    outer = expression("outer", "p_number integer", "bigint", "bookingdb.total(p_number, 1)")

    assert inlined("bookingdb.outer(5)", outer, SUM) == "((((5)::integer)::integer + (1)::bigint)::bigint)::bigint"


def test_field_of_a_row_is_read_without_a_cast() -> None:
    row = expression("length", "p_policy bookingdb.effective_policy", "interval", "p_policy.cancellation_window")

    assert inlined("bookingdb.length(v_policy)", row) == "(v_policy.cancellation_window)::interval"
    assert inlined("bookingdb.length(f(null))", row) == (
        "(((f(null))::bookingdb.effective_policy).cancellation_window)::interval"
    )


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (written("f", "", "void", "    perform 1;", mark="-- Inlined.\n"), "is not one expression"),
        (written("f", "", "int", "    return 1;\n    return 2;", mark="-- Inlined.\n"), "is not one expression"),
        (
            written("f", "", "int", "    return 1;", mark="-- Inlined.\n", security="definer"),
            "is not one expression with its caller's rights",
        ),
        (expression("f", "", "int", "(select 1)"), "needs more than built-in functions"),
        (expression("f", "", "int", "bookingdb.unknown()"), "needs more than built-in functions"),
        (expression("f", "", "int", "bookingdb.f()"), "needs more than built-in functions"),
        (expression("f", "p_one int", "int", "1"), "does not use p_one"),
    ],
)
def test_function_that_cannot_be_inlined_is_refused(function: FunctionFile, problem: str) -> None:
    with pytest.raises(SourceError, match=f"sql/functions/time/f.sql is inlined, and {problem}"):
        inline([function])


def test_functions_inlined_in_a_circle_are_refused() -> None:
    one, other = (
        expression(name, "", "int", f"bookingdb.{called}()") for name, called in (("one", "other"), ("other", "one"))
    )

    with pytest.raises(SourceError, match="others inlined"):
        inline([one, other])


def test_calls_of_functions_to_be_inlined_are_written_out() -> None:
    stay = [f"{file.path}: {call}" for file in SOURCE.functions for call in remaining(file.body, INLINED)]

    assert len(INLINED) > 5
    assert sorted(stay) == STAY


# Of each function some arguments; `null` and rows are among them where they matter.
SAMPLES = {
    "acts_for_anyone": [""],
    "add_elapsed": [
        "'2026-03-28 12:00+01'::timestamptz, interval '1 day'",
        "now(), null",
        "'infinity'::timestamptz, -interval '1 year 1 day'",
    ],
    "blocked_time": [
        "p, r from (select bookingdb.policy_of(null) as p, '[2026-01-01, 2026-01-02)'::tstzrange as r) as x"
    ],
    "booking_request": [
        "'3b241101-e2bb-4255-8caf-4136c566a962'::uuid, date '2026-01-01', time '10:00', 60, 'video'::varchar, null,"
        " 'A \"title\"', 'UTC'"
    ],
    "effective_role": [""],
    "free_cancellation_until": ["p, now() from (select bookingdb.policy_of(null) as p) as x"],
    "is_about_time": ["'in_past'", "'not_allowed'", "null"],
    "iso_utc": ["'2026-03-29 01:30:15.9+00'::timestamptz", "null", "'infinity'::timestamptz"],
    "is_same_minute": ["'2026-01-01 10:00:59'::timestamp, timestamp '2026-01-01 10:00'", "localtimestamp, null"],
    "most_attempts": [""],
    "own_role": [""],
    "relay_lock": [""],
    "reminder_subject": ["'3b241101-e2bb-4255-8caf-4136c566a962'::uuid, 'day', '2026-03-29 01:30:15+00'::timestamptz"],
    "request_hash": ["'[1, \"é\"]'::jsonb", "null"],
    "role_is_trusted": ["'nobody of this name'", "current_user", "'pg_monitor'", "null"],
    "person_key": ["'3b241101-e2bb-4255-8caf-4136c566a962'::uuid", "null"],
}


def test_expression_gives_what_the_call_gives(world: World) -> None:
    assert SAMPLES.keys() == INLINED.keys() - {"new_id"}
    for name, samples in SAMPLES.items():
        for sample in samples:
            arguments, _, rest = sample.partition(" from ")
            call = f"bookingdb.{name}({arguments})"
            (*_, caller) = inline([*INLINED.values(), written("caller", "", "text", call)])
            text = caller.body.removeprefix("\nbegin\n").removesuffix("\nend;\n")
            assert text != call
            origin = f" from {rest}" if rest else ""
            query = f"select {call} is not distinct from {text}, pg_typeof({call}) = pg_typeof({text}){origin}"
            with world.connection.transaction():
                world.run("set local timezone = 'Europe/Berlin'")
                assert world.run(query) == [(True, True)], sample


def test_effective_role_is_that_of_set_role(world: World) -> None:
    with world.connect(user=world.superuser) as connection:
        (*_, caller) = inline([*INLINED.values(), written("caller", "", "text", "bookingdb.effective_role()")])
        role = "select " + caller.body.removeprefix("\nbegin\n").removesuffix("\nend;\n")
        assert scalar(connection, role) == world.superuser
        run(connection, "set role pg_monitor")
        assert scalar(connection, role) == "pg_monitor"
        run(connection, "reset role")
        assert scalar(connection, role) == world.superuser


def test_new_ids_are_in_the_order_of_time(world: World) -> None:
    rows = world.run(
        "select x.id::text, extract(epoch from x.t) * 1000 from generate_series(1, 50) as n (n)"
        " cross join lateral (select n.n, bookingdb.new_id() as id, clock_timestamp() as t, pg_sleep(0.002)) as x"
        " order by n.n"
    )

    ids = [id_ for id_, _ in rows]
    assert ids == sorted(ids)
    assert len({id_[15:] for id_ in ids}) == 50
    for id_, milliseconds in rows:
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", id_)
        assert 0 <= milliseconds - int(id_[:13].replace("-", ""), 16) < 1000


def test_new_sessions_have_ids_in_the_order_of_time(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    first, second = (world.book(client, therapist, at)["id"] for at in ("12:00", "10:00"))

    assert first < second
    assert first.version == second.version == 7
