create or replace function bookingdb.mark_rules_changed(p_people uuid[])
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
    -- A transaction marks a person once, however many rows it writes. NULL is the default policy's therapist. In the
    -- order of ids, so that those who mark several people do not deadlock.
    insert into bookingdb.rule_changes as r (person_id)
    select p.id
    from (
        select distinct coalesce(i.id, '00000000-0000-0000-0000-000000000000') as id
        from unnest(p_people) as i (id)
    ) as p
    where not exists (
        select from bookingdb.rule_changes as m
        where m.person_id = p.id and m.changed_by = pg_current_xact_id() and m.changed_at = transaction_timestamp()
        -- A look-up by id, whatever the statistics say.
        offset 0
    )
    order by p.id
    on conflict (person_id) do update
    set changed_by = pg_current_xact_id(),
        changed_at = transaction_timestamp();
    perform set_config('lock_timeout', v_lock_timeout, true);
exception
    when lock_not_available then
        perform bookingdb.raise_error('busy');
end;
$function$;

comment on function bookingdb.mark_rules_changed(uuid[]) is
'Says that what decides about bookings of these people changed (NULL: the default policy), so that require_current_rules() finds older snapshots. Raises: busy.';
