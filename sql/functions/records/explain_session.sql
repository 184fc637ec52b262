-- Public.
create or replace function bookingdb.explain_session(p_session_id uuid)
returns setof bookingdb.session_step
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_steps bookingdb.session_step[];
begin
    perform bookingdb.authorise_trusted();
    if p_session_id is null then
        perform bookingdb.raise_error('invalid_session_id');
    end if;

    v_steps := array(select s from bookingdb.session_steps(p_session_id) as s);
    -- Without a booking there is no story, whoever was refused one.
    if not exists (select from unnest(v_steps) as s where s.source in ('audit', 'ledger'))
        and not exists (select from public.sessions as s where s.id = p_session_id) then
        perform bookingdb.raise_error('session_not_found', jsonb_build_object('session_id', p_session_id));
    end if;
    v_steps := v_steps || array(
        select row(
            e.created_at, 'event', e.event, null, null, null,
            e.payload || jsonb_build_object('handled_at', e.handled_at)
        )::bookingdb.session_step
        from bookingdb.events_about(p_session_id, array(select s.at from unnest(v_steps) as s)) as e
    );

    -- At equal timestamps the order of the sources above stays.
    return query
    select
        s.at, s.source, s.what, s.actor, a.full_name, a.email,
        s.details || jsonb_strip_nulls(jsonb_build_object(
            'user_name', coalesce(u.full_name, u.email), 'therapist_name', coalesce(t.full_name, t.email)
        ))
    from unnest(v_steps) with ordinality as s (at, source, what, actor, actor_name, actor_email, details, number)
    cross join lateral bookingdb.person_of(s.actor) as a
    cross join lateral bookingdb.person_of(s.details ->> 'user_id') as u
    cross join lateral bookingdb.person_of(
        coalesce(s.details #>> '{changes,therapist_id,new}', s.details ->> 'therapist_id')
    ) as t
    order by s.at, s.number;
end;
$function$;

comment on function bookingdb.explain_session(uuid) is
'Tells the story of a session, in the order of time: what audit log, ledger, hold, events and refusals say of it, who did it, and the figures. A session that was deleted still has one. Events that were taken from the outbox are not in it. For trusted callers. Raises: invalid_session_id, session_not_found.';
