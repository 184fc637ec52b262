-- One balance per user. user_credits hangs on auth.users, everything else on our own users table.
CREATE TYPE user_role AS ENUM ('individual', 'partner', 'therapist', 'admin');

CREATE TABLE users (
  id UUID PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE,
  email TEXT NOT NULL,
  name TEXT,
  user_type user_role NOT NULL DEFAULT 'individual',
  is_active BOOLEAN DEFAULT TRUE,
  is_verified BOOLEAN DEFAULT FALSE
);

CREATE TABLE sessions (
  id UUID DEFAULT gen_random_uuid() PRIMARY KEY,
  user_id UUID,
  therapist_id UUID,
  title VARCHAR(255) DEFAULT 'Therapy Session',
  description TEXT,
  scheduled_date DATE,
  scheduled_time TIME,
  start_time TIMESTAMPTZ,
  end_time TIMESTAMPTZ,
  duration_minutes INTEGER,
  session_type TEXT,
  status TEXT DEFAULT 'scheduled',
  created_at TIMESTAMPTZ DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  CONSTRAINT chk_status CHECK (status = ANY (ARRAY['pending_approval', 'scheduled', 'confirmed', 'in_progress', 'completed', 'cancelled'])),
  CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id),
  CONSTRAINT sessions_therapist_id_fkey FOREIGN KEY (therapist_id) REFERENCES users (id)
);

CREATE TABLE user_credits (
  id UUID DEFAULT gen_random_uuid() PRIMARY KEY,
  user_id UUID NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
  user_type TEXT NOT NULL DEFAULT 'user',
  credits_balance INTEGER NOT NULL DEFAULT 0,
  credits_purchased INTEGER NOT NULL DEFAULT 0,
  credits_used INTEGER NOT NULL DEFAULT 0,
  created_at TIMESTAMPTZ DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  UNIQUE (user_id, user_type)
);

CREATE TABLE booking_audit_log (
  id UUID DEFAULT gen_random_uuid() PRIMARY KEY,
  session_id UUID NOT NULL,
  user_id UUID,
  action TEXT NOT NULL,
  old_status TEXT,
  new_status TEXT,
  changes JSONB,
  ip_address INET,
  created_at TIMESTAMPTZ DEFAULT NOW()
);

INSERT INTO users (id, email, name, user_type, is_active, is_verified)
SELECT a.id, a.email, split_part(a.email, '@', 1),
  (CASE WHEN a.email LIKE 'ada@%' OR a.email LIKE 'ben@%' OR a.email LIKE 'gone@%' THEN 'therapist' ELSE 'individual' END)::user_role,
  a.email NOT LIKE 'gone@%', true
FROM auth.users a WHERE a.email LIKE '%@single.example' AND a.email NOT LIKE 'halfway@%';

INSERT INTO sessions (id, user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time, duration_minutes, session_type, status, created_at)
SELECT ('00000000-0000-4000-8000-1' || lpad(n::text, 11, '0'))::uuid,
  ('00000000-0000-4000-8000-0000000001' || lpad((n % 30 + 1)::text, 2, '0'))::uuid,
  ('00000000-0000-4000-8000-0000000000a' || (n % 2 + 1))::uuid, d.day, d.hour,
  (d.day + d.hour) AT TIME ZONE 'America/New_York', (d.day + d.hour) AT TIME ZONE 'America/New_York' + INTERVAL '45 minutes', 45, 'video',
  CASE WHEN n % 11 = 0 THEN 'cancelled' WHEN d.day < (NOW() AT TIME ZONE 'America/New_York')::date THEN 'completed' WHEN n % 4 = 0 THEN 'pending_approval' ELSE 'scheduled' END,
  NOW() - INTERVAL '70 days' + n * INTERVAL '1 minute'
FROM generate_series(0, 239) n, LATERAL (
  SELECT (NOW() AT TIME ZONE 'America/New_York')::date - 20 + n / 8 AS day, TIME '08:00' + n % 8 / 2 * INTERVAL '2 hours' AS hour) d;
INSERT INTO sessions (id, user_id, therapist_id, title, start_time, end_time, status, created_at)
SELECT ('00000000-0000-4000-8000-5e55000000' || v.n)::uuid, ('00000000-0000-4000-8000-0000000000' || v.u)::uuid,
  ('00000000-0000-4000-8000-0000000000' || v.t)::uuid, v.title, b.day + v.s::interval, b.day + v.e::interval, v.status,
  NOW() - INTERVAL '3 days' + v.n::int * INTERVAL '1 minute'
FROM (SELECT date_trunc('day', NOW(), 'America/New_York') AS day) b, (VALUES
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
  ('20', 'c2', 'a1', 'nothing known', NULL, NULL, 'scheduled')
) v (n, u, t, title, s, e, status);

INSERT INTO user_credits (id, user_id, user_type, credits_balance, credits_purchased, credits_used) VALUES
  ('00000000-0000-4000-8000-00000000c101', '00000000-0000-4000-8000-0000000000c1', 'user', 5, 10, 5),
  ('00000000-0000-4000-8000-00000000c102', '00000000-0000-4000-8000-0000000000c1', 'individual', 2, 2, 0),   -- from before the rename
  ('00000000-0000-4000-8000-00000000c201', '00000000-0000-4000-8000-0000000000c2', 'individual', 3, 3, 0),
  ('00000000-0000-4000-8000-00000000c301', '00000000-0000-4000-8000-0000000000c3', 'user', -1, 2, 3),
  -- signed up, paid, and the row in users never came
  ('00000000-0000-4000-8000-00000000e101', '00000000-0000-4000-8000-0000000000e1', 'user', 4, 4, 0);
INSERT INTO user_credits (user_id, credits_balance, credits_purchased, credits_used)
SELECT id, 2, 6, 4 FROM users WHERE email LIKE 'client%';

CREATE FUNCTION check_booking_conflict(p_therapist_id UUID, p_session_date DATE, p_start_time TIME, p_end_time TIME) RETURNS BOOLEAN
LANGUAGE sql AS $$
  SELECT EXISTS (SELECT 1 FROM sessions s WHERE s.therapist_id = p_therapist_id AND s.scheduled_date = p_session_date
    AND s.status IN ('scheduled', 'confirmed') AND s.scheduled_time < p_end_time
    AND s.scheduled_time + s.duration_minutes * INTERVAL '1 minute' > p_start_time);
$$;

CREATE FUNCTION create_session_with_credit_deduction(
  p_user_id UUID, p_therapist_id UUID, p_session_date DATE, p_session_time TIME, p_duration_minutes INT DEFAULT 60,
  p_session_type TEXT DEFAULT 'video', p_notes TEXT DEFAULT NULL, p_title TEXT DEFAULT 'Therapy Session')
RETURNS TABLE (id UUID, status TEXT, start_time TIMESTAMPTZ, remaining_credits INT) LANGUAGE plpgsql AS $$
DECLARE
  _balance INT;
  _id UUID;
  _start TIMESTAMPTZ := (p_session_date + p_session_time) AT TIME ZONE 'America/New_York';
BEGIN
  IF NOT EXISTS (SELECT FROM users u WHERE u.id = p_therapist_id AND u.user_type = 'therapist') THEN RAISE EXCEPTION 'Therapist not found'; END IF;
  SELECT credits_balance INTO _balance FROM user_credits uc WHERE uc.user_id = p_user_id AND uc.user_type = 'user';
  IF COALESCE(_balance, 0) < 1 THEN RAISE EXCEPTION 'Insufficient credits'; END IF;
  IF check_booking_conflict(p_therapist_id, p_session_date, p_session_time, p_session_time + p_duration_minutes * INTERVAL '1 minute') THEN
    RAISE EXCEPTION 'Booking conflict';
  END IF;
  UPDATE user_credits uc SET credits_balance = _balance - 1, credits_used = credits_used + 1 WHERE uc.user_id = p_user_id AND uc.user_type = 'user';
  INSERT INTO sessions (user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time, duration_minutes, session_type)
  VALUES (p_user_id, p_therapist_id, p_title, p_notes, p_session_date, p_session_time, _start, _start + p_duration_minutes * INTERVAL '1 minute', p_duration_minutes, p_session_type)
  RETURNING sessions.id INTO _id;
  RETURN QUERY SELECT _id, 'scheduled'::text, _start, _balance - 1;
END $$;

-- Stripe webhook
CREATE OR REPLACE FUNCTION top_up(p_user UUID, p_amount INT) RETURNS INT LANGUAGE sql SECURITY DEFINER AS $$
  INSERT INTO user_credits (user_id, user_type, credits_balance, credits_purchased) VALUES (p_user, 'user', p_amount, p_amount)
  ON CONFLICT (user_id, user_type) DO UPDATE
  SET credits_balance = user_credits.credits_balance + excluded.credits_balance, credits_purchased = user_credits.credits_purchased + excluded.credits_purchased
  RETURNING credits_balance;
$$;

-- other direction: the calendar widget moves start_time and the list shows date and time
CREATE FUNCTION fill_schedule() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.start_time IS NOT NULL THEN
    NEW.scheduled_date := NEW.start_time::date;
    NEW.scheduled_time := NEW.start_time::time;
    IF NEW.end_time IS NOT NULL THEN
      NEW.duration_minutes := EXTRACT(EPOCH FROM NEW.end_time - NEW.start_time) / 60;
    END IF;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER a_fill_schedule BEFORE INSERT OR UPDATE OF start_time, end_time ON sessions FOR EACH ROW EXECUTE FUNCTION fill_schedule();

ALTER TABLE user_credits ENABLE ROW LEVEL SECURITY;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'authenticated') THEN
    CREATE POLICY "Users can view own credits" ON user_credits FOR SELECT USING (auth.uid() = user_id);
    CREATE POLICY "Users can update own credits" ON user_credits FOR UPDATE USING (auth.uid() = user_id);
    CREATE POLICY "Service role" ON user_credits FOR ALL USING (true);
    GRANT ALL ON users, sessions, user_credits, booking_audit_log TO authenticated, service_role;
    GRANT SELECT ON users, sessions TO anon;
  END IF;
END $$;
