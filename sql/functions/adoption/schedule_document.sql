create or replace function bookingdb.schedule_document(p_document jsonb)
returns jsonb
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_document jsonb := p_document;
begin
    -- Each turn takes off a layer of quotes.
    while jsonb_typeof(v_document) = 'string' loop
        begin
            v_document := nullif(btrim(v_document #>> '{}', E' \t\r\n'), '')::jsonb;
        exception
            when data_exception or program_limit_exceeded then
                return v_document;
        end;
    end loop;
    return nullif(v_document, 'null');
end;
$function$;

comment on function bookingdb.schedule_document(jsonb) is
'What an application wrote into a column of type jsonb, json or text: JSON inside of a text is read, null, JSON''s null and an empty text are null, and a text that is no JSON stays one.';
