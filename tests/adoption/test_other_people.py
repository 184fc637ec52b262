"""People whom an application keeps otherwise than bookingdb: with columns that must be filled, or in other tables."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.apps import CLIENT, THERAPIST, differences, rows, schema_dump
from tests.support import connect, run, scalar
from tests.support.adoption import answer_zones, make_again, violations, with_answers
from tests.support.commands import done

pytestmark = pytest.mark.slow

WITH_PHONE = """
    alter table users add column phone text, add column plan text not null default 'free';
    update users set phone = '+44 ' || email;
    alter table users alter column phone set not null;
"""
with_phone = pytest.mark.parametrize("smallest", [WITH_PHONE], ids=["phone"], indirect=True)


def plan_of(url: str, folder: Path, **answers: str) -> tuple[Path, dict[str, Any]]:
    path = folder / "plan.toml"
    done(url, "adopt", "--plan", "--output", path)
    given = {"zone": "UTC"} | {f"column.users.{name}": value for name, value in answers.items()}
    path.write_text(with_answers(path.read_text(encoding="utf-8"), given), encoding="utf-8")
    make_again(url, path)
    if "answers" in (plan := tomllib.loads(path.read_text(encoding="utf-8"))) and not plan["problems"]:
        answer_zones(url, path)
    return path, tomllib.loads(path.read_text(encoding="utf-8"))


@with_phone
def test_column_that_must_be_filled_is_asked_about(smallest: str, tmp_path: Path) -> None:
    _, plan = plan_of(smallest, tmp_path)
    assert {key for key in plan["answers"] if key.startswith("column.")} == {"column.users.phone"}
    assert plan["answers"]["column.users.phone"] == "keep"


@with_phone
def test_known_person_is_registered_and_new_one_is_refused(smallest: str, tmp_path: Path) -> None:
    dump, before = schema_dump(smallest), rows(smallest)
    path, _ = plan_of(smallest, tmp_path)
    done(smallest, "adopt", "--apply", path)
    with connect(smallest) as connection:
        for statement, person in (
            ("select register_client('C1@plain.example')", CLIENT),
            ("select register_client('c1@plain.example', p_user_id => '00000000-0000-4000-8000-0000000000c1')", CLIENT),
            ("select register_therapist('a1@plain.example')", THERAPIST),
        ):
            assert scalar(connection, statement) == person
        for function in ("register_client", "register_therapist"):
            with pytest.raises(psycopg.Error) as refused:
                run(connection, f"select {function}('new@plain.example')")
            assert (refused.value.sqlstate, refused.value.diag.message_primary) == ("PT400", "Invalid parameter")
            assert json.loads(refused.value.diag.message_detail or "") == {
                "code": "invalid_parameter",
                "parameter": "phone",
                "reason": "missing",
                "table": "users",
            }
        assert violations(connection) == []
    done(smallest, "adopt", "--undo")
    assert schema_dump(smallest) == dump
    # The addresses were written as they were given.
    assert {each.table for each in differences(before, rows(smallest))} <= {"public.users"}


@with_phone
def test_column_may_become_null(smallest: str, tmp_path: Path) -> None:
    dump = schema_dump(smallest)
    path, _ = plan_of(smallest, tmp_path, phone="null")
    done(smallest, "adopt", "--apply", path)
    with connect(smallest) as connection, connection.transaction(force_rollback=True):
        assert scalar(connection, "select register_client('new@plain.example')")
        assert violations(connection) == []
    done(smallest, "adopt", "--undo")
    assert schema_dump(smallest) == dump


OTHERS = {
    "integer ids": (
        "drop table booking_audit_log, user_credits, sessions, users;"
        "create table users (id serial primary key, email text);"
        "create table sessions (id bigserial primary key, user_id int references users (id), therapist_id int,"
        " start_time timestamptz, end_time timestamptz, status int);",
        ["sessions.user_id is of type integer", "ids of type uuid"],
    ),
    "other tables": (
        "alter table sessions drop constraint sessions_user_id_fkey, drop constraint sessions_therapist_id_fkey;"
        "alter table user_credits drop constraint user_credits_user_id_fkey; drop table users;"
        "create table clients (id uuid primary key); create table practitioners (id uuid primary key);",
        ["people are kept in public.clients, public.practitioners", "--adapter FILE"],
    ),
    "keys of other tables": (
        "alter table sessions drop constraint sessions_user_id_fkey; create table customers (id uuid primary key);"
        "insert into customers select id from users;"
        "alter table sessions add foreign key (user_id) references customers (id);",
        ["people are kept in public.customers;"],
    ),
    "other columns": (
        "alter table sessions rename column user_id to client_id; create table clients (id uuid primary key);",
        ["people are kept in public.clients;"],
    ),
    "both": (
        "drop table booking_audit_log, user_credits, sessions, users;"
        "create table clients (id serial primary key); create table sessions (id serial primary key,"
        " client_id int references clients (id), starts_at timestamptz);",
        ["sessions.id is of type integer", "people are kept in public.clients;"],
    ),
}


@pytest.mark.parametrize(("smallest", "said"), list(OTHERS.values()), ids=list(OTHERS), indirect=["smallest"])
def test_people_of_another_kind_are_one_problem(smallest: str, said: list[str]) -> None:
    plan = tomllib.loads(done(smallest, "adopt", "--plan").stdout)
    (problem,) = plan["problems"]
    assert problem.startswith("this database cannot be adopted yet: ")
    assert [part for part in said if part not in problem] == []
    assert (plan["changes"], plan["answers"]) == ([], {})


@pytest.mark.parametrize(
    "smallest",
    [
        "create table clients (id uuid primary key references users (id)); insert into clients select id from users;"
        "alter table sessions drop constraint sessions_user_id_fkey, add foreign key (user_id) references clients (id);"
    ],
    ids=["extended"],
    indirect=True,
)
def test_table_that_extends_users_is_no_problem(smallest: str) -> None:
    assert tomllib.loads(done(smallest, "adopt", "--plan").stdout)["problems"] == []
