create or replace function bookingdb.session_changes(p_old public.sessions, p_new public.sessions)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_same public.sessions := p_old;
    v_old jsonb;
begin
    -- A move changes its times, and mostly nothing else. (The comparison of all columns costs a move a tenth of what a
    -- look at each would.)
    v_same.scheduled_date := p_new.scheduled_date;
    v_same.scheduled_time := p_new.scheduled_time;
    v_same.start_time := p_new.start_time;
    v_same.end_time := p_new.end_time;
    v_same.free_cancellation_until := p_new.free_cancellation_until;
    v_same.revision := p_new.revision;
    v_same.updated_at := p_new.updated_at;
    if v_same operator(pg_catalog.*=) p_new then
        return case when p_new.scheduled_date is distinct from p_old.scheduled_date then jsonb_build_object(
            'scheduled_date', jsonb_build_object('old', p_old.scheduled_date, 'new', p_new.scheduled_date)
        ) else '{}' end
        || case when p_new.scheduled_time is distinct from p_old.scheduled_time then jsonb_build_object(
            'scheduled_time', jsonb_build_object('old', p_old.scheduled_time, 'new', p_new.scheduled_time)
        ) else '{}' end
        || case when p_new.start_time is distinct from p_old.start_time then jsonb_build_object(
            'start_time', jsonb_build_object('old', p_old.start_time, 'new', p_new.start_time)
        ) else '{}' end
        || case when p_new.end_time is distinct from p_old.end_time then jsonb_build_object(
            'end_time', jsonb_build_object('old', p_old.end_time, 'new', p_new.end_time)
        ) else '{}' end
        || case
            when p_new.free_cancellation_until is distinct from p_old.free_cancellation_until then jsonb_build_object(
                'free_cancellation_until', jsonb_build_object(
                    'old', p_old.free_cancellation_until, 'new', p_new.free_cancellation_until
                )
            )
            else '{}'
        end;
    end if;

    v_old := to_jsonb(p_old);
    -- Each column is looked up: a join of both rows would cost a cancellation 3 % of its instructions.
    return (
        select coalesce(
            jsonb_object_agg(
                n.key,
                -- Words must stay where they can be erased: the log refers to them. Notes are private, and a reason of
                -- a change is the session's: only the fact is recorded. The reason of a cancellation is kept once,
                -- whatever becomes of it.
                case when n.key in ('description', 'change_reason') then jsonb '{}'
                    when n.key = 'cancellation_reason' and v_old -> n.key <> 'null' then jsonb '{}'
                    when n.key = any (bookingdb.columns_without_words()) then
                        jsonb_build_object('old', v_old -> n.key, 'new', n.value)
                    else bookingdb.refer_to_texts(n.key, p_old, p_new) end
            ),
            jsonb '{}'
        )
        from jsonb_each(to_jsonb(p_new)) as n
        where n.value <> (v_old -> n.key) and n.key <> all (bookingdb.columns_of_no_change())
    );
end;
$function$;

comment on function bookingdb.session_changes(public.sessions, public.sessions) is
'Returns what an UPDATE changed, for the audit log: {"column": {"old": ..., "new": ...}}, timestamps in UTC; words are kept in bookingdb.texts. description and change_reason have no values.';
