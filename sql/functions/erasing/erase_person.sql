-- Public.
create or replace function bookingdb.erase_person(p_user_id uuid, p_keep text[] default '{}')
returns bookingdb.erased_person
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    c_kinds constant text[] := array['identity', 'payments', 'records'];
    v_is_first_write constant boolean := pg_current_xact_id_if_assigned() is null;
    v_ids uuid[];
    v_new_ids uuid[];
    v_id uuid;
    v_result bookingdb.erased_person;
begin
    perform bookingdb.authorise_trusted();
    if p_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
    if p_keep is null or not p_keep <@ c_kinds then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_keep', 'choices', c_kinds
        ));
    end if;
    v_ids := bookingdb.ids_of_person(p_user_id);
    -- Somebody who was deleted has left entries of the ledger and audit rows.
    if not exists (select from bookingdb.people as p where p.id = any (v_ids))
        and not exists (select from bookingdb.ledger as l where l.user_id = any (v_ids))
        and not exists (select from public.booking_audit_log as a where a.user_id = any (v_ids))
        and not exists (select from bookingdb.erasures as e where e.person_id = any (v_ids)) then
        perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_user_id));
    end if;
    -- A snapshot is proved to be current by the ids of transactions, which must be older than this one's.
    if not v_is_first_write and current_setting('transaction_isolation') <> 'read committed' then
        perform bookingdb.raise_error('busy');
    end if;
    v_ids := bookingdb.lock_person_to_erase(p_user_id);

    -- An erasure takes what was there. Those whose data came since have another one, and what an earlier one took stays
    -- gone: without new data, a later one can only keep less.
    v_new_ids := array(
        select i.id
        from unnest(v_ids) with ordinality as i (id, place)
        left join lateral (
            select max(e.created_at) as erased_at from bookingdb.erasures as e where e.person_id = i.id
        ) as e on true
        where e.erased_at is null
            or exists (
                select from unnest(c_kinds) as k (kind)
                where k.kind <> all (p_keep) and not bookingdb.is_erased(array[i.id], k.kind, e.erased_at)
            )
            or bookingdb.has_data_since(i.id, e.erased_at)
        order by i.place
    );
    insert into bookingdb.erasures (person_id, kept, actor)
    select
        i.id,
        array(
            select k.kind
            from unnest(c_kinds) as k (kind)
            where k.kind = any (p_keep)
                and (
                    bookingdb.has_data_since(i.id, e.erased_at)
                    or not bookingdb.is_erased(array[i.id], k.kind, coalesce(e.erased_at, '-infinity'))
                )
        ) as kept,
        bookingdb.actor() as actor
    from unnest(v_new_ids) as i (id)
    left join lateral (
        select max(o.created_at) as erased_at from bookingdb.erasures as o where o.person_id = i.id
    ) as e on true;
    for v_id in
        select i.id
        from unnest(v_ids) as i (id)
        where i.id <> all (v_new_ids)
    loop
        perform bookingdb.erase_words(array[v_id], array(
            select k.kind
            from unnest(c_kinds) as k (kind)
            where not bookingdb.is_erased(array[v_id], k.kind, 'infinity')
        ), w.is_evidence)
        from (values (false), (true)) as w (is_evidence);
    end loop;

    v_result.person_id := v_ids[1];
    v_result.kept := array(
        select k.kind from unnest(c_kinds) as k (kind) where not bookingdb.is_erased(v_ids[:1], k.kind, 'infinity')
    );
    v_result.erased_at := (
        select max(e.created_at) from bookingdb.erasures as e where e.person_id = v_ids[1]
    );
    v_result.left_over := bookingdb.columns_left_over();
    return v_result;
end;
$function$;

comment on function bookingdb.erase_person(uuid, text[]) is
'Takes the name, the addresses and the words of a person from every table, evidence too, and deactivates them; ids, times and figures stay. p_keep names what the law makes you keep: identity, payments, records. A later call can keep less, and takes what came since. Refused while they have sessions to come or holds. left_over names columns of the application''s own. For trusted callers. Raises: invalid_user_id, invalid_parameter, user_not_found, busy.';
