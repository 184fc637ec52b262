create or replace function bookingdb.erased_record(p_table text, p_row jsonb, p_at timestamptz default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_people constant uuid[] := bookingdb.people_of_record(p_table, p_row);
    v_at constant timestamptz := coalesce(
        p_at, bookingdb.time_of(p_row ->> case p_table
            when 'bookingdb.rewritten_records' then 'rewritten_at' else 'created_at'
        end)
    );
begin
    if v_people = '{}' then
        return p_row;
    end if;
    case
        when p_table = 'bookingdb.ledger' and bookingdb.is_erased(v_people, 'payments', v_at) then
            return p_row || jsonb '{"reason": null}';
        when p_table = 'bookingdb.texts' and bookingdb.is_erased(v_people, 'records', v_at) then
            return p_row || jsonb '{"text": null}';
        when p_table = 'bookingdb.merged_people' and bookingdb.is_erased(v_people, 'records', v_at) then
            return p_row || jsonb '{"reason": null}';
        when p_table = 'public.booking_audit_log' and bookingdb.is_erased(v_people, 'records', v_at) then
            return p_row || jsonb_build_object('changes', bookingdb.changes_without_words(p_row -> 'changes')) || (
                -- An application's own log may have words of its own.
                select coalesce(jsonb_object_agg(c.name, null), '{}')
                from unnest(bookingdb.own_columns_of_log()) as c (name)
                where p_row ? c.name
            );
        when p_table = 'bookingdb.rewritten_records' then
            return p_row || jsonb_build_object(
                'old_row', bookingdb.erased_record(p_row ->> 'table_name', p_row -> 'old_row', v_at),
                'new_row', bookingdb.erased_record(
                    p_row ->> 'table_name', nullif(p_row -> 'new_row', 'null'), v_at
                )
            );
        when p_table = 'bookingdb.adoption' and bookingdb.is_erased(v_people, case p_row ->> 'object'
            when 'public.sessions' then 'records'
            when 'public.user_credits' then 'payments'
            else 'identity'
        end, v_at) then
            return p_row || jsonb_build_object(
                'original', bookingdb.without_words(p_row -> 'original'),
                'adopted', bookingdb.without_words(p_row -> 'adopted')
            );
        else
            return p_row;
    end case;
end;
$function$;

comment on function bookingdb.erased_record(text, jsonb, timestamptz) is
'Returns what the erasures on record leave of a row of an append-only table (schema.name). p_at (NULL: its own time) is when it came.';
