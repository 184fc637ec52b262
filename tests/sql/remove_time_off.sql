-- remove_time_off(): take time off back.
begin;
\ir include/setup.sql
select plan(7);

select pg_temp.is_declared($$
    remove_time_off(p_time_off_id uuid) returns void
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('remove_time_off', 'authenticated', 'service_role');

-- The therapist's day off
select t.reason
from public.add_time_off(pg_temp.therapist(), pg_temp.at('09:00'), pg_temp.at('18:00'), 'a day off') as t;

create function pg_temp.time_off() returns uuid language plpgsql stable security definer as $function$
begin
    return (select a.id from bookingdb.absences as a);
end;
$function$;

-- Example
select pg_temp.act_as('authenticated', pg_temp.therapist());
select lives_ok('select public.remove_time_off(pg_temp.time_off())', 'the therapist takes it back');
reset role;
select is_empty('select a.id from bookingdb.absences as a', 'its row is gone');
select is(
    public.check_booking_conflict(pg_temp.therapist(), pg_temp.monday(), '14:00', '15:00'), false,
    'the therapist can be booked again'
);
select is(
    pg_temp.events(pg_temp.therapist()), array['availability.changed', 'availability.changed'], 'an event tells of it'
);

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.remove_time_off(pg_temp.nobody())') as e $$,
    $$
        values (
            'PT404', 'Time off not found', jsonb_build_object(
                'code', 'time_off_not_found', 'time_off_id', pg_temp.nobody()
            )
        )
    $$,
    'only time off that there is is taken back'
);

select * from finish();
rollback;
