"""What real databases have besides the usual: `bookingdb adopt` gives it back as it was, or says why it cannot."""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.apps import CLIENT, THERAPIST, differences, rows, schema_dump
from tests.support import ROOT, connect, run, scalar
from tests.support.adoption import answer_zones, make_again, with_answers
from tests.support.commands import done
from tests.support.hosts import SUPABASE_BEFORE

pytestmark = pytest.mark.slow

SCRIPT = ROOT / "tests" / "apps" / "plain_tables.sql"
_numbers = itertools.count(1)
_GUARDED = """
    alter table sessions enable row level security;
    alter table users enable row level security;
    alter table user_credits enable row level security;
"""


@pytest.fixture
def oddity(request: pytest.FixtureRequest, supabase_server_url: str) -> Iterator[str]:
    """The smallest app with something odd in it."""
    name = f"odd_{next(_numbers)}"
    url = SUPABASE_BEFORE.create_database(supabase_server_url, name)
    with connect(url, options="-c timezone=UTC") as connection:
        run(connection, SCRIPT.read_text(encoding="utf-8") + request.param)
    yield url
    with connect(supabase_server_url) as connection:
        run(connection, f"drop database {name} with (force)")


def plan_of(url: str, folder: Path) -> tuple[Path, dict[str, Any]]:
    path = folder / "plan.toml"
    done(url, "adopt", "--plan", "--output", path)
    answer_zones(url, path)
    return path, tomllib.loads(path.read_text(encoding="utf-8"))


def with_oddity(**scripts: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("oddity", list(scripts.values()), ids=list(scripts), indirect=True)


def attempt(url: str, role: str, statement: str) -> str | None:
    """Run a statement as a caller who is the client, and return how it is refused."""
    with connect(url) as connection:
        claims = json.dumps({"sub": str(CLIENT), "role": role})
        run(connection, "select set_config('request.jwt.claims', %s, false)", claims)
        run(connection, f"set role {role}")
        try:
            run(connection, statement)
        except psycopg.Error as error:
            return str(error.diag.message_primary)
    return None


@with_oddity(
    precise_times=_GUARDED,
    views="""
        create view v as select id, start_time, title from sessions;
        alter view v alter column title set default 'none';
        create function v_insert() returns trigger language plpgsql as 'begin return new; end';
        create trigger v_insert instead of insert on v for each row execute function v_insert();
        revoke all on v from anon, authenticated;
        grant select on v to authenticated with grant option;
        grant select (id) on v to anon;
        create materialized view busy as select therapist_id, start_time, count(*) as n from v
            inner join sessions using (id, start_time) group by 1, 2;
        create unique index busy_key on busy (therapist_id, start_time);
        create materialized view empty as select end_time from sessions with no data;
    """,
    a_policy_of_another_table="""
        create table notes (session_id uuid, body text);
        alter table notes enable row level security;
        create policy "of what is over" on notes as restrictive for select to authenticated using (
            exists (select from sessions as s where s.id = session_id and s.start_time < now()
                and s.status = 'completed')
        );
    """,
    deferred_keys="""
        alter table sessions drop constraint sessions_user_id_fkey;
        alter table sessions add constraint later foreign key (user_id) references users (id)
            deferrable initially deferred;
        update sessions set end_time = null where status = 'scheduled';
    """,
    a_log_that_nobody_may_change="""
        create function no_touch() returns trigger language plpgsql as $$ begin raise exception 'append only'; end $$;
        create trigger no_touch before update or delete on booking_audit_log for each row execute function no_touch();
    """,
    checks_of_another_kind="""
        alter table sessions add constraint small check (status = lower(status));
        update user_credits set user_type = 'individual';
        alter table user_credits add constraint kinds check (user_type in ('individual', 'partner'));
    """,
    a_key_that_others_rest_on="""
        update sessions set scheduled_time = null where status = 'cancelled';
        alter table sessions add constraint one_each unique (therapist_id, scheduled_date, scheduled_time);
        create table rooms (t uuid, d date, s time(0),
            foreign key (t, d, s) references sessions (therapist_id, scheduled_date, scheduled_time));
    """,
    a_domain="""
        create domain session_status as varchar(20)
            check (value in ('scheduled', 'confirmed', 'cancelled', 'completed'));
        alter table sessions alter status drop default, alter status type session_status;
        alter table sessions alter status set default 'scheduled';
        create index active_ones on sessions (start_time) where status <> 'cancelled'::session_status;
    """,
    few_people="""
        delete from sessions;
        delete from user_credits;
        delete from users
        where id::text not in (select min(u.id::text) from users as u group by u.user_type = 'therapist');
    """,
    nobody="delete from sessions; delete from user_credits; delete from users;",
    endless_sessions="""
        update sessions set end_time = 'infinity' where start_time = (select max(start_time) from sessions);
        update sessions set start_time = '0044-03-15 10:00 BC', scheduled_date = null
            where start_time = (select min(start_time) from sessions);
    """,
)
def test_it_is_adopted_and_given_back_as_it_was(oddity: str, tmp_path: Path) -> None:
    dump, before = schema_dump(oddity), rows(oddity)
    path, _ = plan_of(oddity, tmp_path)
    done(oddity, "adopt", "--apply", path)
    for command in (["verify"], ["lint"], ["selftest"], ["adopt", "--report"]):
        done(oddity, *command)
    done(oddity, "adopt", "--undo")
    assert schema_dump(oddity) == dump
    assert differences(before, rows(oddity)) == []


PROBLEMS = {
    "rule": ("create rule soft as on delete to sessions do instead nothing;", "has the rule soft"),
    "inherited": ("create table old_sessions () inherits (sessions);", "is inherited by public.old_sessions"),
    "generated": (
        "alter table sessions add column day date generated always as (start_time::date) stored;",
        "the generated column day",
    ),
    "standard function": (
        "create function next_one() returns timestamp begin atomic select min(start_time) from public.sessions; end;",
        "function public.next_one()",
    ),
    "publication": (
        "create publication p for table sessions where (status = 'scheduled');"
        "alter table sessions replica identity full;",
        "publication p",
    ),
    "trigger of our name": (
        "create function confirm_session() returns trigger language plpgsql as 'begin return new; end';"
        "create trigger c before insert on sessions for each row execute function confirm_session();",
        "is used by trigger c",
    ),
    "function of a view": (
        "create view v as select id, start_time from sessions;"
        "create function all_of_v() returns setof v language sql as 'select * from v';",
        "function public.all_of_v() needs public.v",
    ),
    "key of credits": (
        "alter table user_credits add constraint one_each unique (user_id);"
        "create table invoices (payer uuid references user_credits (user_id));",
        "constraint one_each cannot go while public.invoices",
    ),
    "schema": ("create schema bookingdb;", "a schema bookingdb"),
    "text": (
        "alter table user_credits alter credits_balance drop default, alter credits_balance type text;",
        "user_credits.credits_balance is of type text",
    ),
    "bigint": (
        "drop table booking_audit_log, sessions; create table sessions (id bigserial primary key, user_id bigint,"
        " therapist_id bigint, start_time timestamptz, end_time timestamptz, status int, created_at bigint);",
        "sessions.user_id is of type bigint",
    ),
    "no id": ("alter table user_credits drop column id;", "user_credits has no column id"),
    "view": (
        "alter table user_credits rename to lots;"
        "create view user_credits as select user_id, sum(credits_balance) as credits_balance from lots group by 1;",
        "user_credits is no ordinary table",
    ),
    "no number": (
        "alter table sessions alter duration_minutes type float8; update sessions set duration_minutes = 'NaN';",
        "has NaN or Infinity, no number",
    ),
}


@pytest.mark.parametrize(("oddity", "said"), list(PROBLEMS.values()), ids=list(PROBLEMS), indirect=["oddity"])
def test_unadoptable_oddity_is_a_problem_of_the_plan(oddity: str, said: str, tmp_path: Path) -> None:
    _, plan = plan_of(oddity, tmp_path)
    assert said in "; ".join(plan["problems"])


_GIVE = "update public.user_credits set credits_balance = credits_balance + n where user_id = p"


@with_oddity(
    roundabout=f"""
        create view my_credits as select * from user_credits;
        create schema private;
        create function private.add(p uuid, n int) returns void language sql as '{_GIVE}';
        create function redeem(p uuid) returns void language plpgsql security definer
            as 'begin perform private.add(p, 100); end';
        create function dynamic(p uuid) returns void language plpgsql security definer as $$
            begin execute format('update %I set credits_balance = 9', 'user_credits'); end $$;
        create function standard(p uuid, n int) returns void language sql security definer
            begin atomic {_GIVE}; end;
        create table payments (user_id uuid, n int);
        create function paid() returns trigger language plpgsql as $$ begin
            insert into user_credits (user_id, credits_balance) values (new.user_id, new.n); return new; end $$;
        create trigger paid after insert on payments for each row execute function paid();
    """
)
def test_nobody_gives_credits_by_a_way_round(oddity: str, tmp_path: Path) -> None:
    dump = schema_dump(oddity)
    path, _ = plan_of(oddity, tmp_path)
    assert "payments: paid writes user_credits" in path.read_text(encoding="utf-8")
    done(oddity, "adopt", "--apply", path)
    for statement in (
        "update public.my_credits set credits_balance = 100",
        f"select public.redeem('{CLIENT}')",
        f"select public.dynamic('{CLIENT}')",
        f"select public.standard('{CLIENT}', 5)",
        f"insert into public.payments values ('{CLIENT}', 5)",
    ):
        for role in ("anon", "authenticated"):
            assert "permission denied" in (attempt(oddity, role, statement) or "done"), statement
    done(oddity, "adopt", "--undo")
    assert schema_dump(oddity) == dump


@with_oddity(
    columns=_GUARDED
    + """
        revoke all on users from anon, authenticated;
        grant select (id, name) on users to authenticated;
        create policy everybody on users for select using (true);
    """
)
def test_columns_that_callers_could_not_read_stay_hidden(oddity: str, tmp_path: Path) -> None:
    path, _ = plan_of(oddity, tmp_path)
    done(oddity, "adopt", "--apply", path)
    assert "permission denied" in (attempt(oddity, "authenticated", "select email from public.users") or "done")
    assert attempt(oddity, "authenticated", "select name from public.users") is None


@with_oddity(unguarded="")
def test_browser_writes_its_sessions_and_the_server_its_log(oddity: str, tmp_path: Path) -> None:
    path, plan = plan_of(oddity, tmp_path)
    assert plan["answers"]["rows.own_sessions"] == "policy"
    done(oddity, "adopt", "--apply", path)
    insert = (
        "insert into public.sessions (user_id, therapist_id, start_time, end_time)"
        f" values ('{{}}', '{THERAPIST}', now() + interval '60 days', now() + interval '60 days 1 hour')"
    )
    assert attempt(oddity, "authenticated", insert.format(CLIENT)) is None
    assert "row-level security" in (attempt(oddity, "authenticated", insert.format(THERAPIST)) or "done")
    told = (
        "insert into public.booking_audit_log (session_id, action) select id, 'reminded' from public.sessions limit 1"
    )
    assert attempt(oddity, "service_role", told) is None


@with_oddity(
    refunds="""
        create domain session_status as varchar(20);
        alter table sessions alter status drop default, alter status type session_status;
        create function refund() returns trigger language plpgsql as $$ begin
            update user_credits set credits_balance = credits_balance + 1 where user_id = new.user_id;
            return new; end $$;
        create trigger refund after update on sessions for each row
            when (new.status = 'cancelled'::session_status) execute function refund();
    """
)
def test_trigger_made_again_for_a_new_type_stays_off(oddity: str, tmp_path: Path) -> None:
    dump = schema_dump(oddity)
    path, plan = plan_of(oddity, tmp_path)
    assert plan["answers"]["trigger.sessions.refund"] == "disable"
    done(oddity, "adopt", "--apply", path)
    with connect(oddity) as connection:
        assert scalar(connection, "select tgenabled::text from pg_trigger where tgname = 'refund'") == "D"
    done(oddity, "adopt", "--undo")
    assert schema_dump(oddity) == dump


@with_oddity(
    mails="""
        create table mails (what text);
        create function mail() returns trigger language plpgsql as $$ begin
            insert into mails values (new.action); return new; end $$;
        create trigger mail after insert on booking_audit_log for each row execute function mail();
    """
)
def test_an_adoption_tells_nobody_of_what_has_not_happened(oddity: str, tmp_path: Path) -> None:
    path, _ = plan_of(oddity, tmp_path)
    done(oddity, "adopt", "--apply", path)
    with connect(oddity) as connection:
        assert scalar(connection, "select count(*) from mails") == 0


@with_oddity(
    logged_in="""
        alter table sessions enable row level security;
        grant all on sessions to authenticated;
        create policy "logged in" on sessions for all to authenticated using (auth.role() = 'authenticated');
        create policy "somebody" on sessions for update to authenticated using ((select auth.uid()) is not null);
    """
)
def test_logged_in_user_writes_no_session_of_another(oddity: str, tmp_path: Path) -> None:
    dump = schema_dump(oddity)
    path, plan = plan_of(oddity, tmp_path)
    assert plan["answers"]['policy.sessions."logged in"'] == "narrow"
    assert plan["answers"]["policy.sessions.somebody"] == "narrow"
    done(oddity, "adopt", "--apply", path)
    insert = (
        "insert into public.sessions (user_id, therapist_id, start_time, end_time)"
        f" values ('{{}}', '{THERAPIST}', now() + interval '60 days', now() + interval '60 days 1 hour')"
    )
    assert attempt(oddity, "authenticated", insert.format(CLIENT)) is None
    assert "row-level security" in (attempt(oddity, "authenticated", insert.format(THERAPIST)) or "done")
    done(oddity, "adopt", "--undo")
    assert schema_dump(oddity) == dump


@with_oddity(
    generated="""
        alter table sessions alter start_time type timestamptz, alter end_time type timestamptz;
        alter table sessions add column duration int
            generated always as ((extract(epoch from end_time - start_time) / 60)::int) stored;
    """
)
def test_a_duration_that_is_computed_goes_on_being_computed(oddity: str, tmp_path: Path) -> None:
    dump = schema_dump(oddity)
    path, _ = plan_of(oddity, tmp_path)
    done(oddity, "adopt", "--apply", path)
    with connect(oddity) as connection:
        # By a function of bookingdb, and by the app itself.
        (booked,) = run(
            connection,
            "select b.id from public.create_session_with_credit_deduction(%s, %s, current_date + 40, '09:00', 45) as b",
            CLIENT,
            THERAPIST,
        )[0]
        (written,) = run(
            connection,
            "insert into public.sessions (user_id, therapist_id, start_time, end_time, duration_minutes)"
            " values (%s, %s, now() + interval '50 days', now() + interval '50 days 30 minutes', 30) returning id",
            CLIENT,
            THERAPIST,
        )[0]
        run(connection, "update public.sessions set end_time = end_time + interval '5 minutes' where id = %s", written)
        query = "select duration, duration_minutes from public.sessions where id = %s"
        assert run(connection, query, booked) == [(45, 45)]
        assert run(connection, query, written)[0][0] == 35
    done(oddity, "verify")
    done(oddity, "adopt", "--undo")
    assert schema_dump(oddity) == dump


_REASON = """
    alter table sessions add column cancel_reason text;
    update sessions set cancel_reason = 'ill' where status = 'cancelled';
    alter table sessions add constraint reasons check (status <> 'cancelled' or cancel_reason is not null);
"""


@pytest.mark.parametrize("answer", ["keep", "drop"])
@with_oddity(reasons=_REASON)
def test_check_on_status_and_other_columns_is_asked_about(oddity: str, tmp_path: Path, answer: str) -> None:
    dump = schema_dump(oddity)
    path, plan = plan_of(oddity, tmp_path)
    assert plan["answers"]["constraint.reasons"] == "keep"
    text = path.read_text(encoding="utf-8")
    # Each of the eight sessions that take place, and no other status.
    assert "sessions that take place: cancelled (8)." in " ".join(text.replace("#", " ").split())
    path.write_text(with_answers(text, {"constraint.reasons": answer}), encoding="utf-8")
    make_again(oddity, path)
    done(oddity, "adopt", "--apply", path)
    with connect(oddity) as connection:
        cancel = (
            "select public.cancel_session(id) from public.sessions where status = 'scheduled' and start_time > now()"
        )
        if answer == "keep":
            with pytest.raises(psycopg.errors.CheckViolation):
                run(connection, cancel)
        else:
            run(connection, cancel)
            run(connection, "update public.sessions set cancel_reason = 'all' where status = 'cancelled'")
    done(oddity, "adopt", "--undo")
    assert schema_dump(oddity) == dump
