create or replace function bookingdb.people_of_refusal(
    p_refusal bookingdb.refusals,
    p_user_id uuid,
    p_context jsonb
)
returns bookingdb.refusals
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_hold_id constant uuid := p_context ->> 'hold_id';
    v_session_id constant uuid := coalesce((p_context ->> 'session_id')::uuid, v_hold_id);
    v_user_id uuid;
    v_therapist_id uuid;
begin
    -- A session that a hold became has its id.
    select s.id, s.user_id, s.therapist_id
    into p_refusal.session_id, v_user_id, v_therapist_id
    from public.sessions as s
    where s.id = v_session_id;
    if not found then
        select h.user_id, h.therapist_id
        into v_user_id, v_therapist_id
        from bookingdb.holds as h
        where h.id = v_hold_id;
    end if;

    -- Logged-in users write about themselves, and into the story of no session in which they have no part.
    if p_refusal.user_id is not null and p_refusal.user_id not in (v_user_id, v_therapist_id) is not false then
        p_refusal.session_id := null;
        v_therapist_id := null;
    end if;
    p_refusal.user_id := coalesce(p_refusal.user_id, p_user_id, v_user_id);
    p_refusal.therapist_id := coalesce(p_refusal.therapist_id, v_therapist_id);
    return p_refusal;
end;
$function$;

comment on function bookingdb.people_of_refusal(bookingdb.refusals, uuid, jsonb) is
'Completes whom a refusal is about, from the session or hold that its context names. A user_id that it has already is that of a logged-in user.';
