"""Credits that an application keeps in its own way: other writings of a type, debts, payments of several lots."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.apps import CLIENT, OTHER_CLIENT, POOR, differences, rows, schema_dump
from tests.support import connect, run
from tests.support.adoption import balance, make_again, violations, with_answers
from tests.support.commands import done

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
    given = {"zone": "UTC"} | {f"credits.{name}": value for name, value in answers.items()}
    path.write_text(with_answers(path.read_text(encoding="utf-8"), given), encoding="utf-8")
    make_again(url, path)
    return path, tomllib.loads(path.read_text(encoding="utf-8"))


@money
@pytest.mark.parametrize(("choice", "left"), [("settle", [3, 0, 5]), ("zero", [5, 3, 5])])
def test_debt_is_settled_or_let_go(smallest: str, tmp_path: Path, choice: str, left: list[int]) -> None:
    dump, before = schema_dump(smallest), rows(smallest)
    path, plan = plan_of(smallest, tmp_path, **({"negative_balance": choice} if choice == "zero" else {}))
    assert plan["answers"]["credits.negative_balance"] == choice
    text = path.read_text(encoding="utf-8")
    assert f'Client {CLIENT}: 3 before, 3 with "settle", 5 with "zero".' in text.replace("\n# ", " ")
    assert "1 stay owed" in text
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
