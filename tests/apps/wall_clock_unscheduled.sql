-- No columns for the scheduled date and time: the start alone says when a session is, by the clock as if it were UTC.
alter table sessions drop column scheduled_date, drop column scheduled_time;
insert into sessions (id, user_id, therapist_id, start_time, end_time, status)
select id, user_id, therapist_id, wall at time zone 'UTC', wall at time zone 'UTC' + interval '1 hour', status from past_and_future(-30, 30);
-- Two that overlap once more after they are read as they were meant.
insert into sessions (id, user_id, therapist_id, start_time, end_time, status)
select '00000000-0000-4000-8000-200000000001', '00000000-0000-4000-8000-000000000105', therapist_id, start_time + interval '30 minutes', end_time, status
from sessions where id = '00000000-0000-4000-8000-100000000100';
create or replace function create_session_with_credit_deduction(p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time,
  p_duration_minutes int, p_session_type text, p_notes text, p_title text) returns setof sessions language plpgsql as $$
declare v sessions; v_start timestamptz := (p_session_date + p_session_time) at time zone 'UTC';
begin
  if check_booking_conflict(p_therapist_id, p_session_date, p_session_time, p_session_time + make_interval(mins => p_duration_minutes)) then raise exception 'Booking conflict'; end if;
  update user_credits set credits_balance = credits_balance - 1 where user_id = p_user_id and credits_balance > 0;
  if not found then raise exception 'Insufficient credits'; end if;
  insert into sessions (user_id, therapist_id, title, start_time, end_time, duration_minutes)
  values (p_user_id, p_therapist_id, p_title, v_start, v_start + make_interval(mins => p_duration_minutes), p_duration_minutes) returning * into v;
  return next v;
end $$;
