create or replace function bookingdb.default_events(p_kind text)
returns text[]
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return case p_kind
        when 'mail' then array[
            'session.requested', 'session.booked', 'session.approved', 'session.reopened', 'session.rescheduled',
            'session.transferred', 'session.cancelled', 'session.deleted', 'session.reminder', 'credits.low',
            'credits.expiring'
        ]
        when 'daily' then array[
            'session.booked', 'session.approved', 'session.reopened', 'session.rescheduled', 'session.transferred',
            'session.updated', 'session.cancelled', 'session.completed', 'session.no_show', 'session.deleted'
        ]
        when 'calendar' then '{}'::text[]
        else array['*']
    end;
end;
$function$;

comment on function bookingdb.default_events(text) is
'Returns the events of a destination of this kind that names none.';
