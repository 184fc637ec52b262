create or replace function bookingdb.people_changed()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_key constant text := coalesce(tg_argv[0], 'id');
    v_keys text[];
    v_people uuid[];
    v_wait boolean := tg_op <> 'DELETE';
begin
    -- Find the people whose answer may have changed. Each row is compared by its key and the columns that matter, by
    -- all columns where none is named.
    if tg_op = 'DELETE' then
        v_keys := array(select distinct to_jsonb(o) ->> v_key from old_rows as o);
    else
        select array_agg(distinct c.key)
        into v_keys
        from (
            select
                r.value ->> v_key as key,
                case when tg_nargs < 2 then r.value else (
                    select jsonb_agg(r.value -> tg_argv[a.number] order by a.number)
                    from generate_series(1, tg_nargs - 1) as a (number)
                ) end as answer
            from old_rows as o
            cross join lateral (select to_jsonb(o) offset 0) as r (value)
            except all
            select
                r.value ->> v_key as key,
                case when tg_nargs < 2 then r.value else (
                    select jsonb_agg(r.value -> tg_argv[a.number] order by a.number)
                    from generate_series(1, tg_nargs - 1) as a (number)
                ) end as answer
            from new_rows as n
            cross join lateral (select to_jsonb(n) offset 0) as r (value)
        ) as c;
    end if;

    if cardinality(v_keys) > 0 then
        if v_key = 'email' then
            v_people := array(
                select u.id
                from public.users as u
                where lower(u.email) = any (array(select lower(k.key) from unnest(v_keys) as k (key)))
            );
        else
            v_people := v_keys::uuid[];
        end if;
        -- Deletions and changes of a key, such as the id or a unique address, do not wait. A booking that holds the
        -- person's lock goes on to read this row by its foreign key, and the row is locked here already: the two would
        -- deadlock. Bookings do not refer to a table that has people by their addresses.
        if v_wait and v_key <> 'email' then
            v_wait := not bookingdb.changes_keys(
                tg_relid, array(select to_jsonb(o) from old_rows as o), array(select to_jsonb(n) from new_rows as n)
            );
        end if;
        perform bookingdb.lock_people(v_people, p_wait => v_wait);
        if tg_op = 'DELETE' then
            perform bookingdb.forget_deleted_people(v_people);
        end if;
        perform bookingdb.mark_rules_changed(v_people);
    end if;
    return null;
end;
$function$;

comment on function bookingdb.people_changed() is
'Trigger of the adapters: a change of who books or is booked waits for bookings in flight; a deletion or a change of a key is refused then. Arguments: id or email, the columns that matter.';
