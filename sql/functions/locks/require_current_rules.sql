create or replace function bookingdb.require_current_rules(p_people uuid[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lock_timeout text;
begin
    v_lock_timeout := bookingdb.limit_wait();
    -- Postgres itself raises 40001 where a row is in the way that is not in the snapshot: its person was marked since.
    -- It waits for whoever is marking one.
    insert into bookingdb.rule_changes (person_id)
    select distinct p.id
    from unnest(p_people || uuid '00000000-0000-0000-0000-000000000000') as p (id)
    where p.id is not null
    order by p.id
    on conflict do nothing;
    perform set_config('lock_timeout', v_lock_timeout, true);
exception
    when lock_not_available then
        perform bookingdb.raise_error('busy');
end;
$function$;

comment on function bookingdb.require_current_rules(uuid[]) is
'Proves to a REPEATABLE READ or SERIALIZABLE transaction that nothing marked these people, or the default policy, since its snapshot (mark_rules_changed). Raises: busy.';
