create or replace function bookingdb.shown_record(p_table text, p_row jsonb, p_people uuid[])
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_clients constant text[] := array[
        'user_id', 'old_user_id', 'client_id', 'from_user_id', 'into_user_id', 'to_user_id', 'person_id'
    ];
    v_is_own constant boolean := coalesce(
        p_row ->> 'user_id' = any (p_people::text[]), p_row #>> '{payload,user_id}' = any (p_people::text[]), true
    );
    v_row jsonb := p_row;
    v_key text;
begin
    -- The other half of a transfer is somebody else's.
    if p_table = 'bookingdb.ledger' and p_row ->> 'user_id' <> all (p_people::text[]) then
        return null;
    end if;
    -- An answer may speak of others, as that of a transfer does; what came of it is in the other tables.
    if p_table = 'bookingdb.idempotency_keys' then
        v_row := v_row - 'result';
    end if;
    -- Nobody needs the hash of a secret, which lets guesses be tried elsewhere.
    if p_table = 'bookingdb.calendar_feeds' then
        v_row := v_row - 'secret_hash';
    end if;
    if p_table = 'bookingdb.rewritten_records' then
        foreach v_key in array array['old_row', 'new_row'] loop
            v_row := v_row || jsonb_build_object(v_key, case
                when p_people && bookingdb.people_of_record(p_row ->> 'table_name', nullif(p_row -> v_key, 'null'))
                    then bookingdb.shown_record(p_row ->> 'table_name', p_row -> v_key, p_people)
            end);
        end loop;
    end if;
    if p_table = 'public.booking_audit_log' then
        v_row := v_row || jsonb_build_object('changes', case
            when v_is_own then bookingdb.resolved_changes(v_row -> 'changes')
            else bookingdb.changes_without_words(v_row -> 'changes')
        end);
        foreach v_key in array array['old', 'new'] loop
            if v_row #>> array['changes', 'user_id', v_key] <> all (p_people::text[]) then
                v_row := v_row #- array['changes', 'user_id', v_key];
            end if;
        end loop;
    end if;
    -- A therapist's sessions, and what they did, are others' affairs, too.
    if p_table = 'public.sessions' and not v_is_own then
        v_row := bookingdb.without_words(v_row) || case
            when bookingdb.author_of_reason((p_row ->> 'id')::uuid) = any (p_people::text[])
                then jsonb_build_object('cancellation_reason', p_row -> 'cancellation_reason')
            else '{}'
        end;
    end if;
    foreach v_key in array c_clients loop
        if v_row ->> v_key <> all (p_people::text[]) then
            v_row := v_row - v_key;
        end if;
        if v_row #>> array['payload', v_key] <> all (p_people::text[]) then
            v_row := v_row #- array['payload', v_key];
        end if;
    end loop;
    if bookingdb.uuid_of(v_row ->> 'actor') <> all (p_people) then
        v_row := v_row - 'actor';
    end if;
    return v_row;
end;
$function$;

comment on function bookingdb.shown_record(text, jsonb, uuid[]) is
'Returns a row as a person may see it: words that are theirs, and no other client, nor who else did something. NULL: it is nothing of theirs.';
