create or replace function bookingdb.write_rules(p_people uuid[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- Writers for single therapists share this key. The default policy's writer takes it alone, and rewrites all rows.
    c_key constant bigint := 7238106512347104;
    c_default constant uuid := '00000000-0000-0000-0000-000000000000';
    v_is_default constant boolean := p_people is null or array_position(p_people, null) is not null;
    v_lock_timeout text;
    v_people uuid[] := p_people;
    v_with_hours uuid[];
    v_wanted bookingdb.rules[];
    v_new uuid[];
begin
    v_lock_timeout := bookingdb.limit_short_wait();
    perform bookingdb.lock_key(c_key, not v_is_default, true);
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        -- Rows that exist are updated, and Postgres itself raises 40001. New ones of others are known by their marks.
        perform bookingdb.require_current_rules(
            case when v_is_default then bookingdb.marks_of_new_rules(null) else '{}' end
        );
    end if;

    if not v_is_default then
        v_with_hours := bookingdb.people_with_hours(v_people);
    -- The default policy says nothing of hours.
    elsif p_people is not null and exists (select from bookingdb.rules as r where r.therapist_id = c_default) then
        v_people := array(select r.therapist_id from bookingdb.rules as r) || array_remove(p_people, null);
        v_with_hours := array(select r.therapist_id from bookingdb.rules as r where r.has_hours);
    else
        v_with_hours := bookingdb.people_with_hours(null);
        v_people := array(
            select r.therapist_id from bookingdb.rules as r
            union
            select coalesce(p.therapist_id, c_default) from bookingdb.policies as p
        ) || v_with_hours;
    end if;

    v_wanted := array(select e from bookingdb.effective_rules(v_people, v_with_hours) as e);
    v_new := array(
        select w.therapist_id
        from unnest(v_wanted) as w
        -- offset 0: look-ups by id, whatever the statistics say.
        where not exists (select from bookingdb.rules as r where r.therapist_id = w.therapist_id offset 0)
    );
    if v_new <> '{}' then
        perform bookingdb.mark_rules_changed(
            case when v_is_default then array[c_default] else bookingdb.marks_of_new_rules(v_new) end
        );
    end if;
    delete from bookingdb.rules as r
    where r.therapist_id = any (v_people)
        and r.therapist_id not in (select w.therapist_id from unnest(v_wanted) as w);
    -- No upsert: it would insert again a row that another transaction deleted since this snapshot.
    update bookingdb.rules as r
    set has_hours = w.has_hours,
        is_plain = w.is_plain,
        buffer_before = w.buffer_before,
        buffer_after = w.buffer_after,
        open_week = w.open_week,
        has_dated_hours = w.has_dated_hours,
        override_dates = w.override_dates,
        :name = w.:name -- for each setting
    from unnest(v_wanted) as w
    -- As texts: 24 hours equal a day, and are something else where clocks change.
    where r.therapist_id = w.therapist_id
        and r.therapist_id = any (v_people)
        and r::text is distinct from w::text;
    insert into bookingdb.rules (
        therapist_id,
        has_hours,
        is_plain,
        buffer_before,
        buffer_after,
        open_week,
        has_dated_hours,
        override_dates,
        :name -- for each setting
    )
    select
        w.therapist_id,
        w.has_hours,
        w.is_plain,
        w.buffer_before,
        w.buffer_after,
        w.open_week,
        w.has_dated_hours,
        w.override_dates,
        w.:name -- for each setting
    from unnest(v_wanted) as w
    where w.therapist_id = any (v_new)
    -- Postgres itself raises 40001 for a row that this snapshot hides.
    on conflict do nothing;
    perform set_config('lock_timeout', v_lock_timeout, true);
end;
$function$;

comment on function bookingdb.write_rules(uuid[]) is
'Brings bookingdb.rules into step for these therapists, one being NULL for the default policy and so for all; NULL: computes every row anew. Caller holds: their locks and marks.';
