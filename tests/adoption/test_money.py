"""Credits that an application keeps in its own way: other writings of a type, debts, payments of several lots."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.apps import CLIENT, OTHER_CLIENT, POOR, differences, rows, schema_dump
from tests.support import connect, run
from tests.support.adoption import balance, make_again, violations, with_answers
from tests.support.commands import bookingdb, done

pytestmark = pytest.mark.slow

# c1 has 5 and -2, c2 has -4 beside 3 (Individual), c3 5 in two writings.
MONEY = """
    delete from user_credits;
    alter table user_credits add column payment_reference text, add column expires_at timestamptz;
    insert into user_credits (user_id, user_type, credits_balance, payment_reference, expires_at) values
        ('00000000-0000-4000-8000-0000000000c1', 'user', 1, 'pi_1', now() + interval '9 days'),
        ('00000000-0000-4000-8000-0000000000c1', 'user', 4, 'pi_2', null),
        ('00000000-0000-4000-8000-0000000000c1', 'user', -2, null, null),
        ('00000000-0000-4000-8000-0000000000c2', 'Individual', 3, 'pi_3', null),
        ('00000000-0000-4000-8000-0000000000c2', 'user', -4, null, null),
        ('00000000-0000-4000-8000-0000000000c3', ' INDIVIDUAL ', 3, null, null),
        ('00000000-0000-4000-8000-0000000000c3', 'USER', 2, null, null);
    create function add_paid(p uuid, r text) returns void language sql as $$
        insert into user_credits (user_id, credits_balance, payment_reference) values (p, 1, r)
    $$;
"""
TWICE = MONEY + "update user_credits set payment_reference = 'pi_1' where payment_reference = 'pi_2';"
money = pytest.mark.parametrize("smallest", [MONEY], ids=["money"], indirect=True)


def plan_of(url: str, folder: Path, **answers: str) -> tuple[Path, dict[str, Any]]:
    path = folder / "plan.toml"
    done(url, "adopt", "--plan", "--output", path)
    asked = tomllib.loads(path.read_text(encoding="utf-8"))["answers"]
    zones = {name: "UTC" for name in ("zone", "zone.timestamps") if name in asked}
    given = zones | {f"credits.{name}": value for name, value in answers.items()}
    path.write_text(with_answers(path.read_text(encoding="utf-8"), given), encoding="utf-8")
    make_again(url, path)
    return path, tomllib.loads(path.read_text(encoding="utf-8"))


@money
@pytest.mark.parametrize(("choice", "left"), [("settle", [3, 0, 5]), ("zero", [5, 3, 5])])
def test_debt_is_settled_or_let_go(smallest: str, tmp_path: Path, choice: str, left: list[int]) -> None:
    dump, before = schema_dump(smallest), rows(smallest)
    path, plan = plan_of(smallest, tmp_path, **({"negative_balance": choice} if choice == "zero" else {}))
    assert plan["answers"]["credits.negative_balance"] == choice
    text = path.read_text(encoding="utf-8").replace("\n# ", " ")
    assert f'Client {CLIENT}: 3 before, 3 with "settle", 5 with "zero".' in text
    assert 'They can spend 3 before, 3 with "settle", 5 with "zero".' in text
    assert '"settle" lets go 1 credit, "zero" lets go 4.' in text
    done(smallest, "adopt", "--apply", path)
    with connect(smallest) as connection:
        assert [balance(connection, each) for each in (CLIENT, OTHER_CLIENT, POOR)] == left
        assert violations(connection) == []
        if choice == "settle":
            # The lot that ends first pays first.
            paid = "select credits_balance, status from user_credits where payment_reference = %s"
            assert run(connection, paid, "pi_1") == [(0, "used")]
            assert run(connection, paid, "pi_2") == [(3, "active")]
    done(smallest, "adopt", "--undo")
    assert schema_dump(smallest) == dump
    assert differences(before, rows(smallest)) == []


@money
def test_type_in_another_writing_counts_later_too(smallest: str, tmp_path: Path) -> None:
    path, _ = plan_of(smallest, tmp_path)
    done(smallest, "adopt", "--apply", path)
    with connect(smallest) as connection:
        insert = "insert into user_credits (user_id, user_type, credits_balance) values (%s, %s, 1)"
        for writing in ("INDIVIDUAL", " individual ", "individual"):
            run(connection, insert, POOR, writing)
        assert balance(connection, POOR) == 8
        assert violations(connection) == []


@pytest.mark.parametrize(
    ("smallest", "said"),
    [(MONEY, "refused with 23505"), (TWICE, "a direct INSERT can grant a payment twice")],
    ids=["once", "twice"],
    indirect=["smallest"],
)
def test_second_lot_of_a_payment_is_explained(smallest: str, said: str, tmp_path: Path) -> None:
    path, plan = plan_of(smallest, tmp_path)
    (lines,) = (each["lines"] for each in plan["found"] if each["what"] == "payments")
    assert said in " ".join(lines)
    done(smallest, "adopt", "--apply", path)
    with connect(smallest) as connection:
        unique = run(connection, "select 1 from pg_class where relname = 'user_credits_payment_reference_key'")
    assert bool(unique) is ("23505" in said)
    assert "add_paid" in " ".join(lines) or not unique


# c3 owes 5; of 9 credits only the 2 that are active pay, in whatever writing, and not the 7 of another type.
UNPAID = """
    delete from user_credits;
    insert into user_credits (user_id, user_type, status, credits_balance) values
        ('00000000-0000-4000-8000-0000000000c1', 'user', 'active', 3),
        ('00000000-0000-4000-8000-0000000000c3', 'user', 'active', -5),
        ('00000000-0000-4000-8000-0000000000c3', 'user', ' ACTIVE ', 2),
        ('00000000-0000-4000-8000-0000000000c3', 'partner', 'active', 7),
        ('00000000-0000-4000-8000-0000000000c2', 'user', 'Active', 4),
        ('00000000-0000-4000-8000-0000000000c2', 'user', 'Frozen', 6);
"""


@pytest.mark.parametrize("smallest", [UNPAID], ids=["unpaid"], indirect=True)
@pytest.mark.parametrize(("choice", "left", "let_go"), [("settle", [7, 0], 3), ("zero", [9, 2], 5)])
def test_debt_that_no_lot_can_pay_is_told(
    smallest: str, tmp_path: Path, choice: str, left: list[int], let_go: int
) -> None:
    dump, before = schema_dump(smallest), rows(smallest)
    path, plan = plan_of(smallest, tmp_path, negative_balance=choice)
    text = path.read_text(encoding="utf-8").replace("\n# ", " ")
    assert f'Client {POOR}: 4 before, 7 with "settle", 9 with "zero".' in text
    assert 'They can spend -3 before, 0 with "settle", 2 with "zero".' in text
    assert '"settle" lets go 3 credits, "zero" lets go 5.' in text
    assert 'The lots that 1 client can spend do not pay their debt in full: "settle" lets go 3 credits.' in text
    assert f"The debts of 1 client are not paid in full: {let_go} credits are let go." in text
    assert "The credits to spend differ from the lots of today for 2 clients." in text
    assert f"{POOR} has 4, and can spend {left[1]}" in text
    assert f"{OTHER_CLIENT} has 10, and can spend 4" in text
    assert plan["answers"]["credits.status_writing"] == "known"
    done(smallest, "adopt", "--apply", path)
    with connect(smallest) as connection:
        total = "select sum(credits_balance)::int from user_credits where user_id = %s"
        assert [run(connection, total, POOR)[0][0], balance(connection, POOR)] == left
        assert balance(connection, OTHER_CLIENT) == 4
        frozen = "select status from user_credits where user_id = %s and credits_balance = 6"
        assert run(connection, frozen, OTHER_CLIENT) == [("frozen",)]
        assert violations(connection) == []
    done(smallest, "adopt", "--undo")
    assert schema_dump(smallest) == dump
    assert differences(before, rows(smallest)) == []


NO_NUMBER = """
    alter table user_credits alter column credits_balance type {kind};
    update user_credits set credits_balance = '{value}'
    where id = (select id from user_credits order by id limit 1);
"""
NO_LENGTH = """
    alter table sessions add column duration {kind} default 60;
    update sessions set duration = '{value}' where id = (select id from sessions order by id limit 1);
"""


@pytest.mark.parametrize(
    ("smallest", "table", "column"),
    [
        (NO_NUMBER.format(kind="numeric", value="NaN"), "user_credits", "credits_balance"),
        (NO_NUMBER.format(kind="real", value="Infinity"), "user_credits", "credits_balance"),
        (NO_LENGTH.format(kind="numeric", value="NaN"), "sessions", "duration"),
        (NO_LENGTH.format(kind="double precision", value="-Infinity"), "sessions", "duration"),
    ],
    ids=["balance-nan", "balance-infinity", "duration-nan", "duration-infinity"],
    indirect=["smallest"],
)
def test_number_that_is_none_is_a_problem(smallest: str, table: str, column: str, tmp_path: Path) -> None:
    with connect(smallest) as connection:
        ((id_,),) = run(connection, f"select id::text from {table} order by id limit 1")
    path = tmp_path / "plan.toml"
    bookingdb(smallest, "adopt", "--plan", "--output", path)
    problems = tomllib.loads(path.read_text(encoding="utf-8"))["problems"]
    (problem,) = problems
    assert problem.startswith(f"public.{table}.{column} (")
    assert "NaN or Infinity" in problem
    assert id_ in problem


@pytest.mark.parametrize(
    ("smallest", "said"),
    [
        (
            "create table prices (price numeric); alter table sessions add column price numeric default 'NaN';",
            "",
        ),
        (
            "alter table user_credits alter column credits_balance type numeric;"
            " update user_credits set credits_balance = 1.5 where id = (select id from user_credits limit 1);",
            "has fractions; bookingdb counts whole ones: id ",
        ),
    ],
    ids=["price", "fraction"],
    indirect=["smallest"],
)
def test_problem_of_numbers_is_of_ours_and_has_ids(smallest: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    bookingdb(smallest, "adopt", "--plan", "--output", path)
    problems = tomllib.loads(path.read_text(encoding="utf-8")).get("problems", [])
    assert any(said in problem for problem in problems) if said else problems == []


TURNED = """
    drop function if exists cancel_session;
    create function create_session_with_credit_deduction(
        p_therapist_id uuid, p_user_id uuid, p_session_date date, p_session_time time, p_duration_minutes integer
    ) returns void language sql as $$ select $$;
"""


@pytest.mark.parametrize("smallest", [TURNED], ids=["turned"], indirect=True)
def test_turned_parameters_are_asked_about(smallest: str, tmp_path: Path) -> None:
    path, plan = plan_of(smallest, tmp_path)
    (key,) = (key for key in plan["answers"] if key.startswith("replace.public.create_session_with_credit_deduction"))
    text = " ".join(path.read_text(encoding="utf-8").replace("\n#", " ").split())
    assert "Its parameters stand in the order p_therapist_id, p_user_id, p_session_date" in text
    assert "those of bookingdb in the order p_user_id, p_therapist_id, p_session_date" in text
    callers = f"Callers of {key.removeprefix('replace.')} by position"
    assert f"{callers} pass p_therapist_id for p_user_id, p_user_id for p_therapist_id, until" in text
    assert "fail until they use the parameters" not in text
