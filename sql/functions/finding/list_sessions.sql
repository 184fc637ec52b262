-- Public.
create or replace function bookingdb.list_sessions(
    p_user_id uuid default null,
    p_therapist_id uuid default null,
    p_statuses text[] default null,
    p_starts_from timestamptz default null,
    p_starts_before timestamptz default null,
    p_limit integer default 50,
    p_cursor text default null,
    p_descending boolean default false
)
returns setof bookingdb.listed_session
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_filter constant text := concat(
        case when p_user_id is not null then ' and s.user_id = $1' end,
        case when p_therapist_id is not null then ' and s.therapist_id = $2' end,
        case when p_statuses is not null then ' and s.status = any ($3)' end,
        case when p_starts_from is not null then ' and s.start_time >= $4' end,
        case when p_starts_before is not null then ' and s.start_time < $5' end
    );
    v_parts text[] := array[''];
    v_part text;
    v_order constant text := case when p_descending then 'desc' else 'asc' end;
    v_after constant text := case when p_descending then '<' else '>' end;
    v_place bookingdb.session_place;
    v_pages text[] := '{}';
begin
    perform bookingdb.authorise_anyone();
    perform bookingdb.require_statuses(p_statuses);
    if p_limit is null or p_limit < 1 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_limit', 'minimum', 1));
    end if;
    if p_descending is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_descending', 'reason', 'missing'
        ));
    end if;
    if p_cursor is not null then
        v_place := bookingdb.session_place(p_cursor);
    end if;
    if not bookingdb.caller_is_trusted() then
        -- A therapist gets those of the client that are with her.
        if p_user_id <> bookingdb.actor_id() and not exists (
            select from bookingdb.people as p
            where p.id = bookingdb.actor_id() and p.user_type = 'therapist'
        ) then
            perform bookingdb.authorise(p_user_id);
        end if;
        v_parts := array[
            ' and s.user_id = $6', ' and s.therapist_id = $6 and s.user_id is distinct from $6'
        ];
    end if;

    -- Only the conditions asked for, and one query for each part and for sessions with and without a start: so each
    -- reads its index from the cursor on, and no further than the page needs. With p_statuses it passes over others.
    foreach v_part in array v_parts loop
        if p_cursor is null or v_place.start_time is not null then
            v_pages := v_pages || format(
                '(select s.id, s.start_time from public.sessions as s'
                ' where s.start_time >= ''-infinity'' %1$s %2$s %3$s order by s.start_time %4$s, s.id %4$s limit $7)',
                v_filter, v_part,
                case when p_cursor is not null then format(' and (s.start_time, s.id) %s ($8, $9)', v_after) end,
                v_order
            );
        end if;
        if p_starts_from is null and p_starts_before is null then
            v_pages := v_pages || format(
                '(select s.id, s.start_time from public.sessions as s where s.start_time is null %1$s %2$s %3$s'
                ' order by s.id %4$s limit $7)',
                v_filter, v_part,
                case
                    when p_cursor is not null and v_place.start_time is null then format(' and s.id %s $9', v_after)
                end,
                v_order
            );
        end if;
    end loop;
    if v_pages = '{}' then
        return;
    end if;

    return query execute format(
        'select l.* from (select p.* from (%1$s) as p order by p.start_time %2$s nulls last, p.id %2$s limit $7) as p'
        ' inner join public.sessions as s on s.id = p.id cross join lateral bookingdb.listed_session(s) as l'
        ' order by p.start_time %2$s nulls last, p.id %2$s',
        array_to_string(v_pages, ' union all '), v_order
    )
    using p_user_id, p_therapist_id, p_statuses, p_starts_from, p_starts_before, bookingdb.actor_id(), p_limit,
        v_place.start_time, v_place.session_id;
end;
$function$;

comment on function bookingdb.list_sessions(
    uuid, uuid, text[], timestamptz, timestamptz, integer, text, boolean
) is
'Lists sessions in the order of their start, or with p_descending the latest first; those without a start come last. The next page begins after the row whose cursor is given as p_cursor. With the names of both people and what the caller may do next with each. For every logged-in user, who sees the sessions in which they have a part, and for trusted callers, who see all. Only a therapist may ask for another person''s sessions, and sees those with her. Raises: invalid_parameter.';
