-- A year of a practice, booked by the functions themselves: {therapists} therapists with forty sessions a week, and
-- {clients} clients who buy ten credits at a time. It lies ahead; year_passed.sql moves it into the past.
do $block$
declare
    c_first constant date := current_date + 2;
    v_therapists uuid[];
    v_clients uuid[];
    v_client uuid;
    v_hold uuid;
    v_session uuid;
    v_slot integer := 0;
    v_key text;
begin
    for v_number in 1 .. {therapists} loop
        v_therapists[v_number] := public.register_therapist('therapist' || v_number || '@example.com', 'A Therapist');
        perform public.add_time_off(
            v_therapists[v_number], (c_first + w.week * 7 + 4)::timestamptz + interval '20 hours',
            (c_first + w.week * 7 + 5)::timestamptz, 'an evening off'
        )
        from generate_series(0, 51) as w (week);
        perform public.sync_external_busy(
            v_therapists[v_number], 'another calendar',
            (
                select jsonb_agg(jsonb_build_object(
                    'external_id', 'event ' || d.day || ' ' || h.hour,
                    'start_time', (c_first + d.day)::timestamptz + make_interval(hours => h.hour),
                    'end_time', (c_first + d.day)::timestamptz + make_interval(hours => h.hour, mins => 30)
                ))
                from generate_series(0, 363) as d (day)
                cross join (values (6), (17)) as h (hour)
                where d.day % 7 < 5
            )
        );
    end loop;
    for v_number in 1 .. {clients} loop
        v_clients[v_number] := public.register_client('client' || v_number || '@example.com', 'A Client');
        for v_purchase in 1 .. 12 loop
            perform public.grant_credits(
                v_clients[v_number], 10, 'payment ' || v_number || ' ' || v_purchase,
                p_idempotency_key => 'purchase ' || v_purchase
            );
        end loop;
        commit;
    end loop;

    for v_day in 0 .. 363 loop
        continue when v_day % 7 > 4;
        for v_number in 1 .. {therapists} loop
            for v_hour in 8 .. 15 loop
                v_slot := v_slot + 1;
                -- No client has two sessions at a time.
                v_client := v_clients[1 + (v_day * 8 + v_hour + v_number * ({clients} / {therapists})) % {clients}];
                v_key := 'booking ' || v_slot;
                if v_slot % 2 = 0 then
                    v_hold := (public.hold_slot(
                        v_client, v_therapists[v_number], c_first + v_day, make_time(v_hour, 0, 0), 60,
                        p_idempotency_key => v_key
                    )).id;
                    v_session := (public.book_hold(v_hold, p_idempotency_key => v_key)).id;
                else
                    v_session := (public.create_session_with_credit_deduction(
                        v_client, v_therapists[v_number], c_first + v_day, make_time(v_hour, 0, 0), 60,
                        p_idempotency_key => v_key
                    )).id;
                end if;
                -- One in twenty is cancelled.
                if v_slot % 20 = 7 then
                    perform public.cancel_session(v_session, 'no time', p_idempotency_key => 'cancel ' || v_slot);
                end if;
            end loop;
            -- Somebody looked at the evening and went away.
            v_hold := (public.hold_slot(v_client, v_therapists[v_number], c_first + v_day, '18:00', 60)).id;
            update bookingdb.calendar set expires_at = clock_timestamp() - interval '1 second' where id = v_hold;
            update bookingdb.holds set expires_at = clock_timestamp() - interval '1 second' where id = v_hold;
        end loop;
        commit;
    end loop;
end;
$block$
