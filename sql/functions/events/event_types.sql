create or replace function bookingdb.event_types()
returns text[]
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return array[
        'session.requested',
        'session.booked',
        'session.approved',
        'session.confirmed',
        'session.started',
        'session.completed',
        'session.no_show',
        'session.cancelled',
        'session.reopened',
        'session.rescheduled',
        'session.transferred',
        'session.updated',
        'session.deleted',
        'session.reminder',
        'hold.placed',
        'hold.booked',
        'hold.released',
        'credits.granted',
        'credits.spent',
        'credits.returned',
        'credits.low',
        'credits.expiring',
        'credits.expired',
        'credits.adjusted',
        'credits.transferred',
        'credits.extended',
        'credits.frozen',
        'credits.thawed',
        'credits.revoked',
        'credits.reinstated',
        'person.merged',
        'person.erased',
        'contact.changed',
        'availability.changed'
    ];
end;
$function$;

comment on function bookingdb.event_types() is
'Returns every type of event that a destination can ask for.';
