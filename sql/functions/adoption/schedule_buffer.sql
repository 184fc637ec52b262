create or replace function bookingdb.schedule_buffer(p_document jsonb)
returns table (
    minutes integer,
    problem text
)
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_text constant text := btrim(bookingdb.schedule_document(p_document) #>> '{sessionSettings,bufferTime}');
begin
    if v_text ~ '^[0-9]{1,3}(\.0+)?$' and v_text::numeric <= 720 then
        minutes := v_text::numeric::integer;
        return next;
    elsif v_text <> '' then
        problem := format('sessionSettings.bufferTime is "%s": no number from 0 to 720', left(v_text, 40));
        return next;
    end if;
end;
$function$;

comment on function bookingdb.schedule_buffer(jsonb) is
'Returns the minutes that sessionSettings.bufferTime of an application''s schedule keeps free after a session, or why it cannot be adopted. No row where it is not given.';
