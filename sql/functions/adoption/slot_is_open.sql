create or replace function bookingdb.slot_is_open(p_slot jsonb)
returns boolean
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_says constant text := lower(
        coalesce(p_slot ->> 'isAvailable', p_slot ->> 'is_available', p_slot ->> 'type')
    );
begin
    return case
        when v_says in ('true', 'available') then true
        when v_says in ('false', 'break', 'unavailable') then false
    end;
end;
$function$;

comment on function bookingdb.slot_is_open(jsonb) is
'Tells whether a slot of an application''s schedule is a time at which somebody can be booked. NULL: it does not say, or says something unknown.';
