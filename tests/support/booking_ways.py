"""The two ways of a booking, each under a savepoint: what one of them leaves."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from tests.support import World

# What one way leaves: the answer or the error, the rows it wrote, and the locks it holds. Everything is undone.
TRIED = """
create function pg_temp.tried(p_quickly boolean, p_asked jsonb, p_acting_as text) returns jsonb
language plpgsql as $$
declare
    v_session bookingdb.booked_session;
    a record;
    v_found jsonb;
    v_sqlstate text;
    v_message text;
    v_detail text;
begin
    select * into a from jsonb_to_record(p_asked) as r (
        user_id uuid, therapist_id uuid, session_date date, session_time time, minutes integer, session_type text,
        notes text, title text, time_zone text, key text
    );
    perform set_config('bookingdb.acting_as', p_acting_as, true);
    if p_quickly then
        v_session := bookingdb.book_quickly(
            a.user_id, a.therapist_id, a.session_date, a.session_time, a.minutes, a.session_type, a.notes, a.title,
            a.time_zone, a.key, bookingdb.actor()
        );
    else
        v_session := bookingdb.book_once(
            'create_session_with_credit_deduction', a.user_id, a.therapist_id, a.session_date, a.session_time,
            a.minutes, a.session_type, a.notes, a.title, a.time_zone, a.key, false
        );
    end if;
    v_found := jsonb_build_object(
        'answer', to_jsonb(v_session),
        'session', (select jsonb_agg(s) from public.sessions as s where s.id = v_session.id),
        'calendar', (select jsonb_agg(c) from bookingdb.calendar as c where c.id = v_session.id),
        'ledger', (
            select jsonb_agg(to_jsonb(l) - 'id' order by l.id)
            from bookingdb.ledger as l where l.session_id = v_session.id
        ),
        'lots', (select jsonb_agg(c order by c.id) from public.user_credits as c where c.user_id = a.user_id),
        'audit', (
            select jsonb_agg(to_jsonb(l) - 'id' - 'entry' order by l.id)
            from public.booking_audit_log as l where l.session_id = v_session.id
        ),
        'events', (
            select jsonb_agg(to_jsonb(o) - 'id' order by o.id)
            from bookingdb.outbox as o where o.subject_id = v_session.id
        ),
        'keys', (select jsonb_agg(k order by k.key) from bookingdb.idempotency_keys as k where k.user_id = a.user_id),
        'locks', (
            select jsonb_agg(jsonb_build_array(l.classid, l.objid, l.mode) order by l.classid, l.objid, l.mode)
            from pg_locks as l where l.pid = pg_backend_pid() and l.locktype = 'advisory'
        )
    );
    v_found := replace(
        regexp_replace(v_found::text, '"(created_at|updated_at)": "[^"]*"', '"\\1": ""', 'g'),
        coalesce(v_session.id::text, '-'), case when v_session.id is null then '-' else 'session' end
    )::jsonb;
    raise sqlstate 'ZZ001';
exception
    when sqlstate 'ZZ001' then
        return case when v_session.id is not null then v_found end;
    when others then
        get stacked diagnostics
            v_sqlstate = returned_sqlstate, v_message = message_text, v_detail = pg_exception_detail;
        return jsonb_build_object('error', array[v_sqlstate, v_message, v_detail]);
end
$$
"""


def compare(world: World, asked: dict[str, Any], acting_as: str) -> dict[str, Any] | None:
    """Hold that the quick way did what the other does, or nothing; return what it did."""
    tried = "select pg_temp.tried(%s, %s, %s)"
    quickly = world.scalar(tried, True, Jsonb(asked), acting_as)
    if quickly is None:
        return None
    assert quickly == world.scalar(tried, False, Jsonb(asked), acting_as), asked
    found: dict[str, Any] = quickly
    return found
