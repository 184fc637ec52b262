-- release_hold(): give a hold up.
begin;
\ir include/setup.sql
select plan(8);

select pg_temp.is_declared($$
    release_hold(p_hold_id uuid) returns void
    language plpgsql volatile security invoker
$$);
select pg_temp.is_executed_by('release_hold', 'authenticated', 'service_role');

-- The client's hold
select h.user_id from public.hold_slot(pg_temp.client(), pg_temp.therapist(), pg_temp.monday(), '10:00') as h;
create function pg_temp.hold() returns uuid language plpgsql stable security definer as $function$
begin
    return (select h.id from bookingdb.holds as h);
end;
$function$;

-- Example
select pg_temp.act_as('authenticated', pg_temp.client());
select lives_ok('select public.release_hold(pg_temp.hold())', 'the client gives it up');
reset role;
select results_eq(
    'select h.released_at is not null from bookingdb.holds as h', array[true], 'the hold says when that was'
);
select is_empty('select c.id from bookingdb.calendar as c', 'its time is free at once');
select is(pg_temp.events(pg_temp.hold()), array['hold.placed', 'hold.released'], 'an event tells of it');
select lives_ok('select public.release_hold(pg_temp.hold())', 'to give it up again changes nothing');

-- Refusal
select results_eq(
    $$ select e.* from pg_temp.error_of('select public.release_hold(pg_temp.nobody())') as e $$,
    $$
        values (
            'PT404', 'Hold not found', jsonb_build_object('code', 'hold_not_found', 'hold_id', pg_temp.nobody())
        )
    $$,
    'a hold that there is not is not given up'
);

select * from finish();
rollback;
