create or replace function bookingdb.erase_words(p_people uuid[], p_kept text[], p_is_evidence boolean)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_part record;
    v_table text;
    v_lock_timeout text;
begin
    v_lock_timeout := bookingdb.limit_wait();
    foreach v_table in array array['users', 'therapists', 'profiles'] loop
        continue when not bookingdb.keeps_people(v_table);
        execute format('update public.%I as t set is_active = false where t.id = any ($1) and t.is_active', v_table)
        using p_people;
    end loop;

    update bookingdb.therapist_clients as t
    set is_active = false
    where t.therapist_id = any (p_people) and t.is_active;

    for v_part in
        select
            d.table_name,
            d.condition,
            d.erasure,
            array_agg(quote_ident(d.column_name) order by d.place) filter (where d.column_name is not null) as columns,
            array_agg(bookingdb.erasure_of_column(to_regclass(d.table_name), d.column_name) order by d.place) as sets
        from bookingdb.personal_data() with ordinality as d (table_name, condition, column_name, kind, erasure, place)
        where d.kind <> 'none'
            and (d.erasure = 'reduced') = p_is_evidence
            and (p_is_evidence or d.kind <> all (p_kept))
        group by d.table_name, d.condition, d.erasure
        order by min(d.place)
    loop
        if v_part.erasure = 'deleted' then
            execute format('delete from %s as t where %s', v_part.table_name, v_part.condition)
            using p_people;
        elsif v_part.erasure = 'payload' then
            execute format(
                'update %1$s as t set payload = bookingdb.erased_payload(t.payload)'
                ' where (%2$s) and bookingdb.erased_payload(t.payload) <> t.payload',
                v_part.table_name, v_part.condition
            )
            using p_people;
        elsif v_part.erasure = 'reduced' then
            if v_part.table_name = 'public.booking_audit_log' then
                v_part.columns := v_part.columns || array(
                    select quote_ident(c.name) from unnest(bookingdb.own_columns_of_log()) as c (name)
                );
            end if;
            execute format(
                'update %1$s as t set (%2$s) = (select r.%3$s from jsonb_populate_record(null::%1$s,'
                ' bookingdb.erased_record(%4$L, to_jsonb(t))) as r)'
                ' where (%5$s) and bookingdb.erased_record(%4$L, to_jsonb(t)) <> to_jsonb(t)',
                v_part.table_name, array_to_string(v_part.columns, ', '), array_to_string(v_part.columns, ', r.'),
                v_part.table_name, v_part.condition
            )
            using p_people;
        else
            execute format(
                'update %1$s as t set %2$s where (%3$s) and not (%4$s)',
                v_part.table_name, array_to_string(v_part.sets, ', '), v_part.condition,
                replace(array_to_string(v_part.sets, ' and '), ' = ', ' is not distinct from ')
            )
            using p_people;
        end if;
    end loop;
    perform set_config('lock_timeout', v_lock_timeout, true);
exception
    when lock_not_available then
        perform bookingdb.raise_error('busy');
end;
$function$;

comment on function bookingdb.erase_words(uuid[], text[], boolean) is
'Deactivates a person and takes their words, but for kinds that are kept; or those of evidence, as the erasures say. Repeating is harmless. Caller holds: all of lock_person_to_erase(). Raises: busy.';
