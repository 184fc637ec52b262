-- Public.
create or replace function bookingdb.find_people(p_search text, p_limit integer default 20)
returns setof bookingdb.found_person
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_search constant text := btrim(p_search);
    v_id constant uuid := bookingdb.uuid_of(btrim(p_search));
    v_people bookingdb.people[];
begin
    perform bookingdb.authorise_trusted();
    perform bookingdb.require_length('p_search', coalesce(v_search, ''), 1, 320);
    perform bookingdb.require_limit(p_limit);

    -- An id or a whole e-mail address means one person, whatever other addresses and names have in them.
    if v_id is not null then
        v_people := array(
            select p
            from bookingdb.people as p
            where p.id = v_id
            order by p.user_type
            limit p_limit
        );
    elsif v_search ~ '@' then
        v_people := array(
            select p
            from bookingdb.people as p
            where lower(p.email) = lower(v_search)
            order by p.email = v_search desc, p.is_active desc, p.user_type, p.id
            limit p_limit
        );
    end if;
    if coalesce(cardinality(v_people), 0) = 0 then
        v_people := bookingdb.people_with_text(v_search, p_limit);
    end if;

    return query
    select
        f.id,
        f.email,
        f.full_name,
        f.user_type,
        f.is_active,
        f.is_verified,
        case when f.user_type = 'therapist' then (bookingdb.policy_of(f.id)).time_zone end,
        case
            when f.user_type <> 'therapist'
                or exists (select from bookingdb.therapist_clients as t where t.therapist_id = f.id offset 0)
                then bookingdb.credits_balance(f.id)
        end
    from unnest(v_people) with ordinality as f
    order by f.ordinality;
end;
$function$;

comment on function bookingdb.find_people(text, integer) is
'Finds people by their id, their e-mail address, or a part of their name or address, the best match first, at most p_limit (1 to 1000) of them, also those who are not active. With a therapist''s time zone, and the credits that a client, or a therapist who is a client as well, can spend. For trusted callers.';
