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
    -- Each turn removes a layer of quotes.
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
'Reads what an application wrote into a jsonb, json or text column: JSON inside a text is parsed, an empty text and JSON''s null are NULL, a text that is no JSON stays one.';
