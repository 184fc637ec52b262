create or replace function bookingdb.read_external_events(p_events jsonb, p_therapist_id uuid)
returns bookingdb.external_event[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_time_zone constant text := bookingdb.time_zone_of(p_therapist_id);
begin
    if p_events is null or jsonb_typeof(p_events) <> 'array' or jsonb_array_length(p_events) > 5000 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_events', 'maximum_events', 5000
        ));
    end if;
    return array(
        select row(
            r.external_id, r.uid,
            case when d.is_repeated then 'rejected' else r.outcome end,
            case when not d.is_repeated then r.period end,
            case when d.is_repeated then 'duplicate_external_id' else r.reason end,
            r.number
        )::bookingdb.external_event
        from (
            select e.number, x.external_id, x.uid, x.outcome, x.period, x.reason,
                row_number() over (partition by x.external_id order by e.number) as place
            from jsonb_array_elements(p_events) with ordinality as e (event, number)
            cross join lateral bookingdb.read_external_event(e.event, p_therapist_id, v_time_zone) as x
        ) as r
        cross join lateral (select r.external_id is not null and r.place > 1 as is_repeated) as d
        order by r.number
    );
end;
$function$;

comment on function bookingdb.read_external_events(jsonb, uuid) is
'Reads events of another calendar, each by itself; of an id that is named twice the first counts. Raises: invalid_parameter.';
