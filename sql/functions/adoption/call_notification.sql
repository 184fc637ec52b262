create or replace function bookingdb.call_notification()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_statement text;
    v_message text;
    v_context text;
begin
    -- Only for sessions that bookingdb booked: direct writers call the notification as they always did.
    if new.credits_charged > 0 then
        foreach v_statement in array tg_argv loop
            begin
                -- The notification was written for the application's search_path. This setting ends with the function.
                perform set_config('search_path', 'public, extensions, pg_temp', true);
                execute v_statement using to_jsonb(new);
            exception
                when others then
                    get stacked diagnostics v_message = message_text, v_context = pg_exception_context;
                    -- Without such a function in the application there is nobody to notify. One that exists and lacks
                    -- something else fails in a context line of its own.
                    if sqlstate <> '42883' or split_part(v_context, E'\n', 1) not like '%call\_notification%' then
                        raise warning 'the notification of session % failed: %', new.id, v_message;
                    end if;
            end;
        end loop;
    end if;
    return null;
end;
$function$;

comment on function bookingdb.call_notification() is
'Trigger on sessions of an adopted database, per row: runs the statements in its arguments ($1: the row) for a session that bookingdb booked, in order. An error becomes a warning and fails no booking.';
