create or replace function bookingdb.people_of_record(p_table text, p_row jsonb)
returns uuid[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_key uuid;
    v_people uuid[] := '{}';
begin
    if p_row is null then
        return v_people;
    end if;
    case p_table
        when 'bookingdb.ledger' then
            v_people := array[bookingdb.uuid_of(p_row ->> 'user_id')];
            -- Why credits passed on is the affair of both.
            if p_row ->> 'kind' = 'transfer' then
                v_people := v_people || bookingdb.other_of_transfer(
                    jsonb_populate_record(null::bookingdb.ledger, p_row)
                );
            end if;
        when 'bookingdb.texts' then
            v_people := array[bookingdb.uuid_of(p_row ->> 'user_id')];
            -- Why a session was cancelled may be the therapist's own affair.
            if p_row ->> 'column_name' = 'cancellation_reason' then
                v_people := v_people || bookingdb.uuid_of(p_row ->> 'actor');
            end if;
        when 'bookingdb.merged_people' then
            v_people := array[
                bookingdb.uuid_of(p_row ->> 'from_user_id'), bookingdb.uuid_of(p_row ->> 'into_user_id')
            ];
        when 'public.booking_audit_log' then
            v_people := array[
                bookingdb.uuid_of(p_row ->> 'user_id'), bookingdb.uuid_of(p_row #>> '{changes,user_id,old}')
            ];
        when 'bookingdb.rewritten_records' then
            v_people := bookingdb.people_of_record(p_row ->> 'table_name', p_row -> 'old_row')
                || bookingdb.people_of_record(p_row ->> 'table_name', p_row -> 'new_row');
        when 'bookingdb.adoption' then
            v_key := bookingdb.uuid_of(p_row #>> '{row_key,id}');
            if p_row ->> 'kind' = 'row' and p_row ->> 'object' = 'public.sessions' then
                v_people := array(
                    select s.user_id from public.sessions as s where s.id = v_key
                    union
                    -- An audit row that somebody planted must not open it: a change of the session's client counts.
                    select bookingdb.uuid_of(a.changes #>> '{user_id,old}')
                    from public.booking_audit_log as a
                    where a.session_id = v_key
                    union
                    select a.user_id
                    from public.booking_audit_log as a
                    where a.session_id = v_key
                        and not exists (select from public.sessions as s where s.id = v_key)
                );
            elsif p_row ->> 'kind' = 'row' and p_row ->> 'object' = 'public.user_credits' then
                v_people := array(
                    select c.user_id from public.user_credits as c where c.id = v_key
                    union
                    select l.user_id from bookingdb.ledger as l where l.lot_id = v_key
                );
            elsif p_row ->> 'kind' = 'row' then
                v_people := array[v_key, bookingdb.uuid_of(p_row #>> '{original,user_id}')];
            end if;
        else
            return v_people;
    end case;
    return array_remove(v_people, null);
end;
$function$;

comment on function bookingdb.people_of_record(text, jsonb) is
'Returns the people whose words a row of an append-only table (schema.name) may have.';
