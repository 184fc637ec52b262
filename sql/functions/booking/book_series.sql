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
    p_idempotency_key text default null
)
returns setof bookingdb.booked_session
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
    v_date date;
    v_start timestamptz;
    v_series_id uuid;
    v_balance integer;
    v_sqlstate text;
    v_message text;
    v_detail text;
    v_hint text;
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
    v_local := bookingdb.local_start(
        p_session_date, p_session_time, p_time_zone, bookingdb.time_zone_of(p_therapist_id)
    );

    perform bookingdb.lock_people(array[p_therapist_id, p_user_id]);

    -- Months and days are hashed apart: a month is not 30 days.
    v_answer := bookingdb.find_earlier_answer('book_series', p_user_id, p_idempotency_key, jsonb_build_array(
        p_therapist_id, p_session_date, p_session_time, p_occurrences,
        extract(year from p_every) * 12 + extract(month from p_every), extract(day from p_every),
        p_duration_minutes, p_session_type, p_notes, p_title, p_time_zone
    ));
    v_series_id := v_answer.result_id;
    v_balance := v_answer.credits_balance;

    if v_series_id is null then
        v_series_id := gen_random_uuid();
        for v_occurrence in 1 .. p_occurrences loop
            begin
                -- Each date is computed from the first: a series from the 31st stays at the ends of months.
                v_date := v_local.scheduled_date + p_every * (v_occurrence - 1);
                v_start := case
                    when v_occurrence = 1 then v_local.start_time
                    else bookingdb.local_instant(v_date, v_local.scheduled_time, v_local.time_zone)
                end;
                perform bookingdb.book_slot(
                    p_user_id, bookingdb.policy_of(p_therapist_id), v_date, v_local.scheduled_time,
                    v_local.time_zone,
                    tstzrange(v_start, v_start + make_interval(mins => p_duration_minutes)),
                    p_session_type, p_notes, p_title, v_series_id, true
                );
            exception
                when others then
                    get stacked diagnostics
                        v_sqlstate = returned_sqlstate,
                        v_message = message_text,
                        v_detail = pg_exception_detail,
                        v_hint = pg_exception_hint;
                    -- An application's trigger may raise any error: it passes as it is.
                    if not starts_with(v_sqlstate, 'PT') or not starts_with(v_detail, '{') then
                        raise;
                    end if;
                    -- The same error is raised again, with the occurrence it belongs to.
                    raise exception using
                        errcode = v_sqlstate,
                        message = v_message,
                        detail = (v_detail::jsonb || jsonb_build_object(
                            'occurrence', v_occurrence, 'session_date', v_date
                        ))::text,
                        hint = v_hint;
            end;
        end loop;

        v_balance := bookingdb.credits_balance(p_user_id);
        perform bookingdb.record_answer(v_answer, v_series_id, v_balance);
    end if;

    return query
    select b.*
    from (
        -- In the order of their first debits: a session may have been moved since.
        select s.id, row_number() over (order by l.id) as occurrence
        from public.sessions as s
        inner join bookingdb.ledger as l on l.session_id = s.id
            and (l.charge, l.part, l.kind) = (1, 1, 'debit')
        where s.series_id = v_series_id
    ) as o
    -- Each row has the balance after it, a credit less with every one, capped at what an integer holds.
    cross join lateral bookingdb.booked_session(
        o.id, least(v_balance + (p_occurrences - o.occurrence), 2147483647)::integer
    ) as b
    order by o.occurrence;
end;
$function$;

comment on function bookingdb.book_series(
    uuid, uuid, date, time, integer, interval, integer, varchar, text, text, text, text
) is
'Books p_occurrences (1 to 52) sessions at the same local time, p_every (whole days, weeks or months, up to a year) apart, and takes a credit for each: all of them or none. The DETAIL of an error names the first occurrence that failed, and its date. For the user themselves and for trusted callers. Raises: invalid_therapist_id, invalid_parameter.';
