-- A therapist with rules, for the functions that book, hold and move, which all go by them.

create function pg_temp.third_therapist() returns uuid language sql immutable
return uuid '00000000-0000-4000-8000-0000000000a3';
create function pg_temp.third_client() returns uuid language sql immutable
return uuid '00000000-0000-4000-8000-0000000000c4';
create function pg_temp.fourth_client() returns uuid language sql immutable
return uuid '00000000-0000-4000-8000-0000000000c5';

-- The instant of a local time of the therapist, some days after the Monday.
create function pg_temp.at(p_days integer, p_time time) returns timestamptz language sql stable
return (pg_temp.monday() + p_days + p_time) at time zone 'Asia/Kathmandu';

-- In Kathmandu, on Mondays from nine to twelve and on Fridays from ten in the evening to two. The second Monday is
-- closed; on the third the therapist is off for an hour, and busy elsewhere for half an hour; on the fourth somebody
-- has a session, and holds another time. The fourth client has nothing yet that could be in its way.
select public.register_therapist('third@therapist.test', 'Third', pg_temp.third_therapist(), 'Asia/Kathmandu');
select public.register_client('third@client.test', 'Third', pg_temp.third_client());
select public.register_client('fourth@client.test', 'Fourth', pg_temp.fourth_client());
select g.lot_balance from public.grant_credits(pg_temp.third_client(), 5) as g;
select g.lot_balance from public.grant_credits(pg_temp.fourth_client(), 10) as g;
select h.weekday
from public.set_weekly_hours(
    pg_temp.third_therapist(),
    '[
        {"weekday": 1, "start_time": "09:00", "end_time": "12:00"},
        {"weekday": 5, "start_time": "22:00", "end_time": "02:00"}
    ]'
) as h;
select d.override_date from public.set_date_override(pg_temp.third_therapist(), pg_temp.monday() + 7, '[]') as d;
select t.id
from public.add_time_off(pg_temp.third_therapist(), pg_temp.at(14, '09:00'), pg_temp.at(14, '10:00')) as t;
select y.inserted
from public.sync_external_busy(
    pg_temp.third_therapist(), 'calendar',
    jsonb_build_array(
        jsonb_build_object(
            'external_id', 'a', 'start_time', pg_temp.at(14, '10:00'), 'end_time', pg_temp.at(14, '10:30')
        )
    )
) as y;
select pg_temp.book(
    'in the way', pg_temp.third_client(), pg_temp.third_therapist(), pg_temp.monday() + 21 - current_date, '10:00'
);
select h.id
from public.hold_slot(pg_temp.third_client(), pg_temp.third_therapist(), pg_temp.monday() + 21, '09:00') as h;

-- What a statement is refused with, '' where it is not: code, rule, and what is free next, in days after the Monday and
-- local time. Whatever it does is undone. The statement has three gaps: for date, time and minutes.
create function pg_temp.refusal(
    p_statement text, p_days integer, p_time time, p_minutes integer default 60
) returns text language plpgsql as $function$
declare
    v_detail jsonb;
    v_next timestamp;
begin
    v_detail := pg_temp.detail_of(
        format('do %L', format(
            'begin perform %s; raise exception using detail = ''{"code": ""}''; end;',
            format(p_statement, pg_temp.monday() + p_days, p_time, p_minutes)
        ))
    );
    v_next := (v_detail ->> 'next_free')::timestamptz at time zone 'Asia/Kathmandu';
    return concat_ws(
        ' ', v_detail ->> 'code', v_detail ->> 'rule', v_next::date - pg_temp.monday(), to_char(v_next, 'HH24:MI')
    );
end;
$function$;

-- Every rule: what such a statement comes to, and what it should.
create function pg_temp.by_rule(p_statement text) returns table (outcome text, expected text, name text)
language plpgsql as $function$
begin
    return query
    select pg_temp.refusal(p_statement, r.days, r.time, r.minutes), r.expected, r.name
    from (
        values
        (0, time '09:00', 60, '', 'the first hour of a window'),
        (0, '11:00', 60, '', 'the last one'),
        (0, '10:07', 33, '', 'no grid binds a booking'),
        (4, '23:30', 60, '', 'across midnight'),
        (5, '01:00', 60, '', 'the part of a window that lies on the next day'),
        (0, '08:00', 60, 'outside_availability weekly_hours 0 09:00', 'before the hours'),
        (0, '11:30', 60, 'outside_availability weekly_hours 4 22:00', 'half outside'),
        (1, '09:00', 60, 'outside_availability weekly_hours 4 22:00', 'a day without hours'),
        (5, '01:30', 60, 'outside_availability weekly_hours 11 22:00', 'beyond the window of the day before'),
        (7, '09:00', 60, 'outside_availability date_override 11 22:00', 'a closed date'),
        (14, '09:30', 60, 'booking_conflict time_off 14 10:30', 'time off'),
        (14, '10:15', 60, 'booking_conflict external 14 10:30', 'an appointment elsewhere'),
        (14, '08:30', 60, 'outside_availability weekly_hours 14 10:30', 'hours are looked at first'),
        (21, '10:30', 60, 'booking_conflict session 21 11:00', 'a session'),
        (21, '09:00', 30, 'booking_conflict hold 21 11:00', 'a hold'),
        (400, '10:00', 60, 'too_far maximum_advance', 'more than a year ahead'),
        (-30, '10:00', 60, 'in_past', 'the past')
    ) as r (days, time, minutes, expected, name);

    perform public.set_policy(
        '{"buffer_before_minutes": 10, "buffer_after_minutes": 5}', pg_temp.third_therapist()
    );
    return query
    select pg_temp.refusal(p_statement, r.days, r.time, r.minutes), r.expected, r.name
    from (
        values
        (21, time '11:09', 45, 'booking_conflict buffer 21 11:15', 'too soon after a session'),
        (21, '11:10', 45, '', 'after the buffer'),
        (14, '10:39', 45, 'booking_conflict buffer 14 10:45', 'too soon after an appointment elsewhere'),
        (14, '10:40', 45, '', 'after that buffer'),
        (0, '09:00', 180, '', 'hours need no buffers')
    ) as r (days, time, minutes, expected, name);

    perform public.set_policy(
        '{"buffer_before_minutes": null, "buffer_after_minutes": null, "maximum_sessions_per_day": 2}',
        pg_temp.third_therapist()
    );
    outcome := pg_temp.refusal(p_statement, 21, '11:00');
    expected := 'booking_conflict maximum_sessions_per_day 25 22:00';
    name := 'a session and a hold fill a day of two';
    return next;
    outcome := pg_temp.refusal(p_statement, 25, '22:00');
    expected := '';
    name := 'another day is not full';
    return next;
    perform public.set_policy(
        '{"maximum_sessions_per_day": null, "maximum_sessions_per_week": 2}', pg_temp.third_therapist()
    );
    outcome := pg_temp.refusal(p_statement, 25, '22:00');
    expected := 'booking_conflict maximum_sessions_per_week 28 09:00';
    name := 'they fill a week of two';
    return next;
    update public.sessions as s set status = 'completed'
    where s.title = 'in the way';
    outcome := pg_temp.refusal(p_statement, 25, '22:00');
    name := 'what has taken place counts';
    return next;
    update public.sessions as s set status = 'cancelled'
    where s.title = 'in the way';
    outcome := pg_temp.refusal(p_statement, 25, '22:00');
    expected := '';
    name := 'what was cancelled does not';
    return next;
    update public.sessions as s set status = 'scheduled'
    where s.title = 'in the way';

    perform public.set_policy(
        '{"maximum_sessions_per_week": null, "minimum_notice": "90 days"}', pg_temp.third_therapist()
    );
    outcome := regexp_replace(pg_temp.refusal(p_statement, 0, '09:00'), ' \d+ ', ' later ');
    expected := 'too_soon minimum_notice later ' || (
        select to_char(n.local_time, 'HH24:MI') from public.next_available_slot(pg_temp.third_therapist()) as n
    );
    name := 'too soon';
    return next;
    outcome := pg_temp.refusal(p_statement, 112, '09:00');
    expected := '';
    name := 'soon enough';
    return next;
    perform public.set_policy(
        '{"minimum_notice": null, "maximum_advance": "13 days"}', pg_temp.third_therapist()
    );
    outcome := pg_temp.refusal(p_statement, 14, '11:00');
    expected := 'too_far maximum_advance';
    name := 'too far';
    return next;
    perform public.set_policy('{"maximum_advance": null, "require_hours": true}', pg_temp.third_therapist());
    perform public.set_weekly_hours(pg_temp.third_therapist(), '[]');
    outcome := pg_temp.refusal(p_statement, 0, '09:00');
    expected := 'outside_availability require_hours';
    name := 'hours that there must be';
    return next;
    perform public.set_policy('{"require_hours": null}', pg_temp.third_therapist());
    outcome := pg_temp.refusal(p_statement, 0, '03:00');
    expected := '';
    name := 'without hours any time will do';
    return next;
end;
$function$;
