create or replace function bookingdb.kept_context(p_context jsonb)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Each key with the form of its value. Anything else may be somebody's text, and is dropped.
    return (
        select coalesce(jsonb_object_agg(c.key, c.value), '{}')
        from (
            values
            ('user_id', 'id'),
            ('therapist_id', 'id'),
            ('session_id', 'id'),
            ('detail_session_id', 'id'),
            ('other_session_id', 'id'),
            ('hold_id', 'id'),
            ('detail_hold_id', 'id'),
            ('lot_id', 'id'),
            ('package_id', 'id'),
            ('time_off_id', 'id'),
            ('series_id', 'id'),
            ('start_time', 'timestamp'),
            ('end_time', 'timestamp'),
            ('next_free', 'timestamp'),
            ('expires_at', 'timestamp'),
            ('free_cancellation_until', 'timestamp'),
            ('approval_until', 'timestamp'),
            ('until', 'timestamp'),
            ('session_date', 'date'),
            ('session_time', 'time'),
            ('time_zone', 'zone'),
            ('detail_time_zone', 'zone'),
            ('alias', 'zone'),
            ('duration_minutes', 'figure'),
            ('detail_duration_minutes', 'figure'),
            ('occurrence', 'figure'),
            ('occurrences', 'figure'),
            ('window', 'figure'),
            ('credits_balance', 'figure'),
            ('lot_balance', 'figure'),
            ('limit', 'figure'),
            ('count', 'figure'),
            ('minimum_length', 'figure'),
            ('maximum_length', 'figure'),
            ('maximum_days', 'figure'),
            ('maximum_minutes', 'figure'),
            ('maximum_events', 'figure'),
            ('maximum_windows', 'figure'),
            ('minimum', 'bound'),
            ('maximum', 'bound'),
            ('rule', 'word'),
            ('reason', 'word'),
            ('status', 'word'),
            ('asked', 'word'),
            ('parameter', 'word'),
            ('destination', 'word'),
            ('event', 'word'),
            ('setting', 'word'),
            ('format', 'word'),
            ('table', 'word'),
            ('missing', 'word'),
            ('reserved', 'word'),
            ('allowed', 'words'),
            ('choices', 'words')
        ) as k (key, form)
        cross join lateral (
            select
                k.key,
                jsonb_extract_path(p_context, k.key) as value,
                jsonb_extract_path_text(p_context, k.key) as text
        ) as c
        where case k.form
            when 'id' then bookingdb.uuid_of(c.text) is not null
            when 'timestamp' then c.text ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$'
            when 'date' then c.text ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'
            when 'time' then c.text ~ '^[0-9]{2}:[0-9]{2}(:00)?$'
            when 'figure' then c.text ~ '^-?[0-9]{1,10}$' and jsonb_typeof(c.value) = 'number'
            -- A figure, a length of time or a date.
            when 'bound' then c.text ~ '^-?[0-9]{1,10}( (second|minute|hour|day|week|month|year)s?)?$'
                or c.text ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?$'
            when 'word' then c.text ~ '^[a-z][a-z_]{0,39}$'
            when 'words' then c.text ~ '^\[("[a-z][a-z_]{0,39}"(, )?|(true|false)(, )?){1,20}\]$'
            -- No EXISTS, which may be hashed: all zones would be read.
            else (select true from bookingdb.time_zones as z where z.name = c.text)
        end
    );
end;
$function$;

comment on function bookingdb.kept_context(jsonb) is
'Returns what record_refusal() keeps of the context of an error: ids, timestamps, figures and single words, by known keys.';
