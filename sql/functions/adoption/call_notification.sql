create or replace function bookingdb.call_notification()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_message text;
    v_context text;
begin
    -- Only what a function of ours booked: whoever writes directly calls it as it always did.
    if new.credits_charged > 0 then
        begin
            -- It was written for an application's search_path. This ends with the function.
            perform set_config('search_path', 'public, extensions, pg_temp', true);
            execute tg_argv[0] using to_jsonb(new);
        exception
            when others then
                get stacked diagnostics v_message = message_text, v_context = pg_exception_context;
                -- Where the application has no such function (any more), there is nobody to notify. One that exists,
                -- and does not find what it needs, fails in a line of its own.
                if sqlstate <> '42883' or split_part(v_context, E'\n', 1) not like '%call\_notification%' then
                    raise warning 'the notification of session % failed: %', new.id, v_message;
                end if;
        end;
    end if;
    return null;
end;
$function$;

comment on function bookingdb.call_notification() is
'Trigger on the public.sessions of an adopted database, after INSERT, once a row: runs the statement that is its argument ($1 is the row as jsonb) for a session that a bookingdb function booked, as the application''s own booking function did. An error is a warning and never fails the booking.';
