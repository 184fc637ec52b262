-- Public.
create or replace function bookingdb.lock_for_booking(p_people uuid[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    -- More than 64 people take the one lock that stops every booking (lock_keys): only trusted callers may.
    v_maximum constant integer := case when bookingdb.caller_is_trusted() then 1000 else 64 end;
begin
    perform bookingdb.authorise_anyone();

    if p_people is null
        or cardinality(p_people) not between 1 and v_maximum
        or exists (select from unnest(p_people) as p (id) where p.id is null) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_people', 'minimum', 1, 'maximum', v_maximum
        ));
    end if;

    -- Logged-in users may lock what their bookings lock anyway: themselves and therapists.
    if not bookingdb.caller_is_trusted() and exists (
        select from unnest(p_people) as p (id)
        where p.id <> bookingdb.actor_id()
            -- offset 0 makes each a look-up by id, whatever the statistics say.
            and not exists (select from bookingdb.therapists as t where t.id = p.id offset 0)
    ) then
        perform bookingdb.raise_error('not_allowed');
    end if;

    perform bookingdb.lock_people(p_people);
end;
$function$;

comment on function bookingdb.lock_for_booking(uuid[]) is
'Takes the locks of these therapists and clients (1 to 1000; 1 to 64 for a logged-in user), in lock order, until the transaction ends. Call it first in a transaction that books several times: it then cannot deadlock. For trusted callers; for a logged-in user with themselves and therapists. Raises: invalid_parameter, not_allowed.';
