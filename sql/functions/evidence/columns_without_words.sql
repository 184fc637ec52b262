create or replace function bookingdb.columns_without_words()
returns text[]
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Anything else may be somebody's words: those of ours (title, session_type), and every column of an application's.
    return array[
        'id', 'user_id', 'therapist_id', 'scheduled_date', 'scheduled_time', 'start_time', 'end_time',
        'duration_minutes', 'status', 'time_zone', 'credits_charged', 'created_at', 'updated_at',
        'free_cancellation_until', 'series_id', 'hours_overridden', 'overridden_rules', 'cancellation_notice',
        'approval_until'
    ];
end;
$function$;

comment on function bookingdb.columns_without_words() is
'Returns the columns of public.sessions whose values the audit log holds itself: ids, times, figures, statuses, rules.';
