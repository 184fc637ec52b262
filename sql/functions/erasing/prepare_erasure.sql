create or replace function bookingdb.prepare_erasure()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- A record of what was not done would open evidence to whoever plants one: writing it down is doing it, as a whole.
    -- It opens what came before. Changing a session leaves evidence, which has to be older, too.
    -- The person may be locked by this transaction already, so that it must not wait for a session.
    perform bookingdb.lock_person_to_erase(new.person_id, p_wait => false);
    perform bookingdb.erase_words(array[new.person_id], new.kept, false);
    new.created_at := clock_timestamp();
    return new;
end;
$function$;

comment on function bookingdb.prepare_erasure() is
'Trigger on bookingdb.erasures, per row, before: takes the words that are no evidence, and says when that was.';
