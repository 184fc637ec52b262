-- Public.
create or replace function bookingdb.book_series(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_occurrences integer,
    p_every interval default '7 days',
    p_duration_minutes integer default 60,
    p_session_type varchar default 'video',
    p_notes text default '',
    p_title text default 'Therapy Session',
    p_time_zone text default null,
    p_idempotency_key text default null,
    p_on_conflict text default 'fail'
)
returns setof bookingdb.booked_occurrence
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_answer bookingdb.idempotency_keys;
    v_local bookingdb.local_start;
    v_series_id uuid;
    v_client_id uuid := p_user_id;
    v_balance integer;
    -- What became of each occurrence.
    v_outcomes jsonb;
begin
    perform bookingdb.authorise(p_user_id);

    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    perform bookingdb.require_session_minutes(p_duration_minutes);
    perform bookingdb.require_booking_texts(p_session_type, p_notes, p_title, p_idempotency_key);
    if p_occurrences is null or p_occurrences not between 1 and 52 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_occurrences', 'minimum', 1, 'maximum', 52
        ));
    end if;
    -- Whole days, weeks or months: every session is at the same local time.
    if p_every is null
        or date_trunc('day', p_every) <> p_every
        or least(extract(year from p_every), extract(month from p_every), extract(day from p_every)) < 0
        or extract(epoch from p_every) not between 86400 and 366 * 86400 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_every', 'minimum', '1 day', 'maximum', '1 year'
        ));
    end if;
    if p_on_conflict is null or p_on_conflict not in ('fail', 'skip') then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_on_conflict', 'allowed', jsonb_build_array('fail', 'skip')
        ));
    end if;
    perform bookingdb.lock_people(array[p_therapist_id, p_user_id]);

    -- Months and days are hashed apart: a month is not 30 days.
    v_answer := bookingdb.find_earlier_answer('book_series', p_user_id, p_idempotency_key, jsonb_build_array(
        p_therapist_id, p_session_date, p_session_time, p_occurrences,
        extract(year from p_every) * 12 + extract(month from p_every), extract(day from p_every),
        p_duration_minutes, p_session_type, p_notes, p_title, p_time_zone
    ) || case when p_on_conflict = 'skip' then jsonb '["skip"]' else jsonb '[]' end);
    v_series_id := v_answer.result_id;
    v_balance := v_answer.credits_balance;
    v_outcomes := v_answer.result;
    if v_series_id is not null then
        v_client_id := coalesce(bookingdb.merged_into(p_user_id), p_user_id);
    end if;

    if v_series_id is null then
        if p_on_conflict = 'skip' and coalesce(p_time_zone, '') !~ '^(Z$|[+-])' then
            -- UTC skips no time: a first time that is skipped by a clock change can be left out like the others.
            perform bookingdb.local_instant(p_session_date, p_session_time, 'UTC');
            v_local := row(null, p_session_date, p_session_time, bookingdb.resolve_time_zone(
                p_time_zone, bookingdb.time_zone_of(p_therapist_id)
            ));
        else
            v_local := bookingdb.local_start(
                p_session_date, p_session_time, p_time_zone, bookingdb.time_zone_of(p_therapist_id)
            );
        end if;
        v_series_id := bookingdb.new_id();
        v_outcomes := bookingdb.book_occurrences(
            v_series_id, p_user_id, p_therapist_id, v_local, p_occurrences, p_every, p_duration_minutes, p_session_type,
            p_notes, p_title, p_on_conflict = 'skip'
        );
        v_answer.result := v_outcomes;
        v_balance := bookingdb.credits_balance(p_user_id);
        perform bookingdb.record_answer(v_answer, v_series_id, v_balance);
    elsif v_outcomes is null then
        -- An answer from before outcomes were kept: the sessions that are left, in the order of their first debits.
        select jsonb_agg(jsonb_build_object('session_id', s.id) order by l.id)
        into v_outcomes
        from public.sessions as s
        inner join bookingdb.ledger as l on l.session_id = s.id
            and (l.charge, l.part, l.kind) = (1, 1, 'debit')
        where s.series_id = v_series_id;
    end if;

    return query
    with occurrences as (
        select e.outcome ->> 'time_zone' as time_zone, e.outcome -> 'error' as error, e.occurrence::integer,
            (e.outcome ->> 'session_id')::uuid as session_id,
            -- Each row has the balance after it, a credit less with every one, capped at what an integer holds.
            least(
                v_balance + count(*) filter (where e.outcome ? 'session_id') over (
                    order by e.occurrence rows between 1 following and unbounded following
                ),
                2147483647
            )::integer as balance
        from jsonb_array_elements(v_outcomes) with ordinality as e (outcome, occurrence)
    )
    select b.*, o.occurrence, 'booked', null::jsonb
    from occurrences as o
    -- What was deleted since, or is another client's, is left out: a look-up by id.
    cross join lateral (
        select s.id
        from public.sessions as s
        where s.id = o.session_id and s.user_id = v_client_id
    ) as n
    cross join lateral bookingdb.booked_session(n.id, o.balance, p_user_id) as b
    union all
    select null, p_user_id, p_therapist_id, p_title, coalesce(p_notes, ''), (o.error ->> 'session_date')::date,
        p_session_time, (o.error ->> 'start_time')::timestamptz, (o.error ->> 'end_time')::timestamptz,
        p_duration_minutes, p_session_type, null, null, o.time_zone, o.balance, o.occurrence, 'skipped', o.error
    from occurrences as o
    where o.error is not null
    order by occurrence;
end;
$function$;

comment on function bookingdb.book_series(
    uuid, uuid, date, time, integer, interval, integer, varchar, text, text, text, text, text
) is
'Books p_occurrences (1 to 52) sessions at the same local time, p_every (whole days, weeks or months, up to a year) apart, and takes a credit for each: all of them or none. With p_on_conflict => ''skip'' it books those whose time is free, and returns the others with the outcome ''skipped'' and their error; when none is free, it is refused. The DETAIL of an error names the first occurrence that failed, and its date. For the user themselves and for trusted callers. Raises: invalid_therapist_id, invalid_parameter.';
