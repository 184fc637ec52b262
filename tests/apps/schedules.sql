-- Booking + availability editor (jsonb written by the frontend as it is)

CREATE TABLE IF NOT EXISTS public.users (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  email TEXT UNIQUE,
  full_name TEXT,
  user_type TEXT CHECK (user_type IN ('individual','partner','therapist','admin')) DEFAULT 'individual',
  is_active BOOLEAN DEFAULT true,
  is_verified BOOLEAN DEFAULT false,
  created_at TIMESTAMPTZ DEFAULT now()
);
CREATE TABLE IF NOT EXISTS public.sessions (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id UUID REFERENCES public.users(id),
  therapist_id UUID REFERENCES public.users(id),
  title VARCHAR(255),
  description TEXT,
  scheduled_date DATE,
  scheduled_time TIME,
  start_time TIMESTAMPTZ,
  end_time TIMESTAMPTZ,
  duration_minutes INTEGER DEFAULT 60,
  session_type VARCHAR(50) DEFAULT 'video',
  status VARCHAR(50) DEFAULT 'scheduled',
  join_url TEXT,
  created_at TIMESTAMPTZ DEFAULT now(),
  updated_at TIMESTAMPTZ DEFAULT now()
);
ALTER TABLE public.sessions ADD CONSTRAINT sessions_status_check CHECK (status::text = ANY (ARRAY['scheduled'::text, 'confirmed', 'in_progress', 'completed', 'cancelled', 'no_show', 'pending_approval']));
CREATE TABLE IF NOT EXISTS public.user_credits (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id UUID REFERENCES public.users(id),
  user_type TEXT DEFAULT 'user',
  credits_balance INTEGER DEFAULT 0 CHECK (credits_balance >= 0),
  credits_purchased INTEGER DEFAULT 0,
  credits_used INTEGER DEFAULT 0,
  credits_expired INTEGER DEFAULT 0,
  expires_at TIMESTAMPTZ,
  status TEXT DEFAULT 'active',
  created_at TIMESTAMPTZ DEFAULT now(),
  updated_at TIMESTAMPTZ DEFAULT now()
);

CREATE TABLE IF NOT EXISTS public.availability_weekly_schedules (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  therapist_id UUID NOT NULL REFERENCES public.users(id),
  weekly_availability JSONB NOT NULL,
  is_active BOOLEAN DEFAULT true,
  created_at TIMESTAMPTZ DEFAULT now(),
  updated_at TIMESTAMPTZ DEFAULT now()
);
CREATE TABLE IF NOT EXISTS public.availability_overrides (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  therapist_id UUID NOT NULL REFERENCES public.users(id),
  override_date DATE NOT NULL,
  override_type TEXT NOT NULL CHECK (override_type IN ('unavailable', 'custom_hours')),
  start_time TIME,
  end_time TIME,
  reason TEXT,
  is_active BOOLEAN DEFAULT true,
  created_at TIMESTAMPTZ DEFAULT now()
);

INSERT INTO public.users (id, email, full_name, user_type, is_active, is_verified) VALUES
  ('00000000-0000-4000-8000-0000000000a1', 'ada@schedules.example', 'Ada', 'therapist', true, true),
  ('00000000-0000-4000-8000-0000000000a2', 'ben@schedules.example', 'Ben', 'therapist', true, true),
  ('00000000-0000-4000-8000-0000000000a3', 'gone@schedules.example', 'Gone', 'therapist', false, true),
  ('00000000-0000-4000-8000-0000000000a4', 'new@schedules.example', 'New', 'therapist', true, false),
  ('00000000-0000-4000-8000-0000000000a6', 'broken@schedules.example', 'Broken schedule', 'therapist', true, true),
  ('00000000-0000-4000-8000-0000000000c1', 'carla@schedules.example', 'Carla', 'individual', true, true),
  ('00000000-0000-4000-8000-0000000000c2', 'carl@schedules.example', 'Carl', 'individual', true, true),
  ('00000000-0000-4000-8000-0000000000c3', 'poor@schedules.example', 'Poor', 'individual', true, true);
INSERT INTO public.users (id, email, full_name)
SELECT ('00000000-0000-4000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid, 'client' || n || '@schedules.example', 'Client ' || n FROM generate_series(1, 30) n;

INSERT INTO public.availability_weekly_schedules (id, therapist_id, weekly_availability, is_active) VALUES
  ('00000000-0000-4000-8000-000000005c01', '00000000-0000-4000-8000-0000000000a1', '{
    "standardHours": {
      "monday":    {"enabled": true, "generalHours": {"start": "08:00", "end": "22:00"}, "customSlots": [], "timeSlots": []},
      "tuesday":   {"enabled": true, "generalHours": {"start": "08:00", "end": "22:00"}, "customSlots": [], "timeSlots": [
          {"start": "12:30", "end": "13:30", "type": "break"}]},
      "wednesday": {"enabled": true, "generalHours": {"start": "08:00", "end": "22:00"}, "customSlots": [
          {"start": "22:30", "end": "23:30", "isAvailable": true}, {"start": "10:00", "end": "11:00", "isAvailable": false}]},
      "thursday":  {"enabled": true, "generalHours": {"start": "00:00", "end": "23:59"}},
      "friday":    {"enabled": true, "timeSlots": [
          {"start": "08:00", "end": "12:00", "type": "available"}, {"start": "12:00", "end": "13:00", "type": "unavailable"}, {"start": "13:00", "end": "23:00", "type": "available"}]},
      "saturday":  {"enabled": true, "generalHours": {"start": "08:00", "end": "23:00"}},
      "sunday":    {"enabled": true, "generalHours": {"start": "08:00", "end": "23:00"}}
    },
    "sessionSettings": {"bufferTime": 15, "sessionDuration": 60, "maxSessionsPerDay": 8}, "timezone": "Europe/London"}', true),
  -- an older one that nobody switched off
  ('00000000-0000-4000-8000-000000005c02', '00000000-0000-4000-8000-0000000000a1', '{"standardHours": {"monday": {"enabled": true, "generalHours": {"start": "06:00", "end": "07:00"}}}}', false),
  ('00000000-0000-4000-8000-000000005c03', '00000000-0000-4000-8000-0000000000a2', '{
    "standardHours": {
      "Monday":  {"enabled": true, "generalHours": {"start": "22:00", "end": "02:00"}},
      "Tuesday": {"enabled": true, "generalHours": {"start": "08:00:00", "end": "24:00"}, "customSlots": null},
      "Wednesday": {"enabled": false, "generalHours": {"start": "09:00", "end": "17:00"}},
      "Thursday": {"enabled": false}
    }, "sessionSettings": {"bufferTime": "10"}}', true),
  ('00000000-0000-4000-8000-000000005c04', '00000000-0000-4000-8000-0000000000a6', '{
    "standardHours": {"monday": {"enabled": true, "generalHours": {"start": "9am", "end": "5pm"}}, "funday": {"enabled": true}, "tuesday": {"enabled": "yes"}}, "sessionSettings": {"bufferTime": "a while"}}', true),
  ('00000000-0000-4000-8000-000000005c05', '00000000-0000-4000-8000-0000000000a3', '[]', true);
INSERT INTO public.availability_overrides (id, therapist_id, override_date, override_type, start_time, end_time, reason, is_active) VALUES
  ('00000000-0000-4000-8000-000000000f01', '00000000-0000-4000-8000-0000000000a1', current_date + 60, 'unavailable', NULL, NULL, 'holiday', true),
  ('00000000-0000-4000-8000-000000000f02', '00000000-0000-4000-8000-0000000000a1', current_date + 61, 'custom_hours', '10:00', '12:00', 'only the morning', true),
  ('00000000-0000-4000-8000-000000000f03', '00000000-0000-4000-8000-0000000000a1', current_date + 61, 'custom_hours', '15:00', '16:00', 'and one more', true),
  ('00000000-0000-4000-8000-000000000f04', '00000000-0000-4000-8000-0000000000a1', current_date + 62, 'unavailable', NULL, NULL, 'taken back', false),
  ('00000000-0000-4000-8000-000000000f05', '00000000-0000-4000-8000-0000000000a1', current_date + 63, 'unavailable', '12:00', '14:00', 'dentist', true),
  ('00000000-0000-4000-8000-000000000f06', '00000000-0000-4000-8000-0000000000a1', current_date + 64, 'custom_hours', NULL, NULL, 'saved too early', true),
  ('00000000-0000-4000-8000-000000000f07', '00000000-0000-4000-8000-0000000000a2', current_date + 60, 'unavailable', NULL, NULL, NULL, true),
  ('00000000-0000-4000-8000-000000000f08', '00000000-0000-4000-8000-0000000000a2', current_date + 60, 'unavailable', NULL, NULL, 'twice', true);

INSERT INTO public.sessions (id, user_id, therapist_id, title, scheduled_date, scheduled_time, start_time, end_time, status, created_at)
SELECT ('00000000-0000-4000-8000-1' || lpad(n::text, 11, '0'))::uuid,
  ('00000000-0000-4000-8000-0000000001' || lpad((n % 30 + 1)::text, 2, '0'))::uuid,
  ('00000000-0000-4000-8000-0000000000a' || (n % 2 + 1))::uuid, 'Session', d.day, d.hour,
  (d.day + d.hour) AT TIME ZONE 'Europe/London', (d.day + d.hour) AT TIME ZONE 'Europe/London' + interval '1 hour',
  CASE WHEN n % 11 = 0 THEN 'cancelled' WHEN d.day < (now() AT TIME ZONE 'Europe/London')::date THEN 'completed' ELSE 'scheduled' END,
  now() - interval '70 days' + n * interval '1 minute'
FROM generate_series(0, 239) n, LATERAL (SELECT (now() AT TIME ZONE 'Europe/London')::date - 20 + n / 8 AS day, time '08:00' + n % 8 / 2 * interval '2 hours' AS hour) d;
INSERT INTO public.sessions (id, user_id, therapist_id, title, start_time, end_time, status, created_at)
SELECT ('00000000-0000-4000-8000-5e55000000' || v.n)::uuid, ('00000000-0000-4000-8000-0000000000' || v.u)::uuid,
  ('00000000-0000-4000-8000-0000000000' || v.t)::uuid, v.title, b.day + v.s::interval, b.day + v.e::interval, v.status,
  now() - interval '3 days' + v.n::int * interval '1 minute'
FROM (SELECT date_trunc('day', now(), 'Europe/London') AS day) b, (VALUES
  ('01', 'c1', 'a1', 'overlaps 02', '16 days 18:00', '16 days 19:00', 'scheduled'),
  ('02', 'c2', 'a1', 'overlaps 01', '16 days 18:30', '16 days 19:30', 'pending_approval'),
  ('03', 'c1', 'a1', 'client in two places, 04', '17 days 18:00', '17 days 19:00', 'scheduled'),
  ('04', 'c1', 'a2', 'client in two places, 03', '17 days 18:15', '17 days 19:15', 'scheduled'),
  ('05', 'c1', 'a2', 'ends before it starts', '18 days 18:00', '18 days 17:00', 'scheduled'),
  ('06', 'c2', 'a2', 'no end', '18 days 20:00', NULL, 'scheduled'),
  ('07', 'c2', 'a1', 'no length', '18 days 20:30', '18 days 20:30', 'scheduled'),
  ('08', 'c2', 'a1', 'no status', '19 days 18:00', '19 days 19:00', NULL),
  ('09', NULL, 'a1', 'no client', '19 days 20:00', '19 days 21:00', 'scheduled'),
  ('10', 'c2', NULL, 'no therapist', '19 days 20:00', '19 days 21:00', 'scheduled'),
  ('11', 'c1', 'a3', 'therapist left', '20 days 18:00', '20 days 19:00', 'scheduled'),
  ('12', 'c1', 'a4', 'therapist not verified', '20 days 19:00', '20 days 20:00', 'scheduled'),
  ('20', 'c2', 'a1', 'nothing known', NULL, NULL, 'scheduled')
) v (n, u, t, title, s, e, status);
-- all overlaps of the future, found again and again
INSERT INTO public.sessions (id, user_id, therapist_id, title, start_time, end_time, status, created_at)
SELECT ('00000000-0000-4000-8000-2' || lpad(n::text, 11, '0'))::uuid, ('00000000-0000-4000-8000-0000000001' || lpad((n % 30 + 1)::text, 2, '0'))::uuid,
  '00000000-0000-4000-8000-0000000000a2', 'group, badly modelled', date_trunc('day', now(), 'Europe/London') + interval '12 days 20:00' + n % 4 * interval '15 minutes',
  date_trunc('day', now(), 'Europe/London') + interval '12 days 21:00' + n % 4 * interval '15 minutes', 'confirmed', now() - interval '2 days'
FROM generate_series(1, 20) n;

INSERT INTO public.user_credits (id, user_id, credits_balance, credits_purchased, credits_used, status) VALUES
  ('00000000-0000-4000-8000-00000000c101', '00000000-0000-4000-8000-0000000000c1', 5, 5, 0, 'active'),
  ('00000000-0000-4000-8000-00000000c201', '00000000-0000-4000-8000-0000000000c2', 2, 2, 0, 'active'),
  ('00000000-0000-4000-8000-00000000c202', '00000000-0000-4000-8000-0000000000c2', 6, 6, 0, 'refunded'),
  ('00000000-0000-4000-8000-00000000c301', '00000000-0000-4000-8000-0000000000c3', NULL, 0, 0, 'active');
INSERT INTO public.user_credits (user_id, credits_balance, credits_purchased) SELECT id, 2, 2 FROM public.users WHERE email LIKE 'client%';

-- enqueue_notification: one argument, returns what it was given
CREATE TABLE public.notifications (id bigserial PRIMARY KEY, body jsonb NOT NULL);
CREATE FUNCTION public.enqueue_notification(payload jsonb) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  INSERT INTO public.notifications (body) VALUES (payload);
  RETURN payload;
END $$;

CREATE OR REPLACE FUNCTION public.check_booking_conflict(p_therapist_id UUID, p_session_date DATE, p_start_time TIME, p_end_time TIME) RETURNS BOOLEAN LANGUAGE sql SECURITY DEFINER AS
'SELECT EXISTS (SELECT 1 FROM public.sessions WHERE therapist_id = $1 AND scheduled_date = $2 AND status = ''scheduled'' AND scheduled_time >= $3 AND scheduled_time < $4)';

CREATE OR REPLACE FUNCTION public.create_session_with_credit_deduction(
  p_user_id UUID, p_therapist_id UUID, p_session_date DATE, p_session_time TIME, p_duration_minutes INTEGER DEFAULT 60,
  p_session_type VARCHAR DEFAULT 'video', p_notes TEXT DEFAULT '', p_title TEXT DEFAULT 'Session'
) RETURNS SETOF public.sessions LANGUAGE plpgsql AS $$
DECLARE r public.sessions;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM public.users WHERE id = p_therapist_id AND user_type = 'therapist' AND is_active AND is_verified) THEN
    RAISE EXCEPTION 'Therapist not found';
  END IF;
  IF (SELECT COALESCE(SUM(credits_balance), 0) FROM public.user_credits WHERE user_id = p_user_id) < 1 THEN RAISE EXCEPTION 'Insufficient credits'; END IF;
  IF public.check_booking_conflict(p_therapist_id, p_session_date, p_session_time, p_session_time + p_duration_minutes * interval '1 minute') THEN RAISE EXCEPTION 'Booking conflict'; END IF;
  UPDATE public.user_credits SET credits_balance = credits_balance - 1 WHERE id = (SELECT id FROM public.user_credits WHERE user_id = p_user_id AND credits_balance > 0 LIMIT 1);
  INSERT INTO public.sessions (user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time, duration_minutes, session_type)
  VALUES (p_user_id, p_therapist_id, p_title, p_notes, p_session_date, p_session_time, (p_session_date + p_session_time) AT TIME ZONE 'Europe/London',
    (p_session_date + p_session_time) AT TIME ZONE 'Europe/London' + p_duration_minutes * interval '1 minute', p_duration_minutes, p_session_type) RETURNING * INTO r;
  PERFORM public.enqueue_notification(jsonb_build_object('type', 'session_booked', 'user_id', p_user_id, 'session_id', r.id));
  RETURN NEXT r;
END $$;

ALTER TABLE public.sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY "Enable insert for everyone" ON public.sessions FOR INSERT WITH CHECK (true);
DO $$ BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'anon') THEN
    GRANT ALL ON ALL TABLES IN SCHEMA public TO anon, authenticated, service_role;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO anon, authenticated, service_role;
  END IF;
END $$;
