create or replace function bookingdb.is_break(p_key text)
returns boolean
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return lower(replace(p_key, '_', '')) in (
        'break', 'breaks', 'breaktime', 'breaktimes', 'pause', 'pauses', 'pausen', 'lunch', 'lunchbreak', 'lunchtime',
        'mittagspause', 'unavailable', 'unavailableslots', 'unavailabletimes', 'blocked', 'blockedslots',
        'blockedtimes', 'timeoff'
    );
end;
$function$;

comment on function bookingdb.is_break(text) is
'Tells whether an application''s schedule keeps the breaks of a day under this key.';
