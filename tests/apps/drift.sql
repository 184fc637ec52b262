-- main schema (pasted together from the SQL editor's history; later things are further down)

create table if not exists public.users (
  id uuid default gen_random_uuid() primary key,
  email varchar(255) unique,
  full_name varchar(255),
  user_type varchar(20) default 'individual',
  is_active boolean default true,
  is_verified boolean default false,
  phone varchar(30),
  created_at timestamp default now()
);

CREATE TABLE IF NOT EXISTS sessions (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id UUID REFERENCES users(id) ON DELETE CASCADE,
  therapist_id UUID REFERENCES users(id) ON DELETE CASCADE,
  title VARCHAR(100),
  notes TEXT,
  scheduled_date DATE,
  scheduled_time TIME,
  duration INTEGER DEFAULT 60,
  session_type VARCHAR(20) DEFAULT 'video',
  status VARCHAR(20) DEFAULT 'scheduled',
  session_url TEXT,
  created_at TIMESTAMP DEFAULT NOW()
);
-- we need real timestamps
ALTER TABLE sessions ADD COLUMN IF NOT EXISTS start_time TIMESTAMPTZ;
ALTER TABLE sessions ADD COLUMN IF NOT EXISTS end_time TIMESTAMPTZ;
ALTER TABLE sessions ADD COLUMN IF NOT EXISTS updated_at TIMESTAMP DEFAULT NOW();
ALTER TABLE sessions ADD COLUMN IF NOT EXISTS duration_minutes INT;   -- new frontend uses this one
ALTER TABLE sessions ADD COLUMN IF NOT EXISTS description TEXT;
ALTER TABLE sessions ADD COLUMN IF NOT EXISTS reminder_sent BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE sessions ADD COLUMN IF NOT EXISTS price_cents INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions DROP CONSTRAINT IF EXISTS sessions_status_check;
ALTER TABLE sessions ADD CONSTRAINT sessions_status_check
  CHECK (status IN ('scheduled','confirmed','in_progress','completed','cancelled'));
-- foreign keys again, for the embed in the dashboard
ALTER TABLE sessions ADD CONSTRAINT fk_sessions_user FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE;
ALTER TABLE sessions ADD CONSTRAINT fk_sessions_therapist FOREIGN KEY (therapist_id) REFERENCES users(id) ON DELETE SET NULL;
CREATE INDEX IF NOT EXISTS idx_sessions_user_id ON sessions(user_id);
CREATE INDEX IF NOT EXISTS sessions_user_idx ON sessions(user_id);
CREATE INDEX IF NOT EXISTS idx_sessions_status ON sessions(status);
-- no double bookings!!
CREATE UNIQUE INDEX IF NOT EXISTS unique_therapist_start ON sessions(therapist_id, start_time);

CREATE TABLE IF NOT EXISTS user_credits (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id UUID REFERENCES users(id) ON DELETE CASCADE,
  user_type VARCHAR(20) DEFAULT 'user',
  credits_balance INTEGER DEFAULT 0,
  credits_purchased INTEGER DEFAULT 0,
  credits_used INTEGER DEFAULT 0,
  expires_at TIMESTAMP,
  status VARCHAR(20),
  created_at TIMESTAMP DEFAULT NOW(),
  updated_at TIMESTAMP DEFAULT NOW()
);

CREATE TABLE IF NOT EXISTS booking_audit_log (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  session_id UUID REFERENCES sessions(id) ON DELETE CASCADE,
  user_id UUID,
  action VARCHAR(20) CHECK (action IN ('created','updated','cancelled','completed')),
  old_status VARCHAR(20),
  new_status VARCHAR(20),
  details JSONB,
  created_at TIMESTAMP DEFAULT NOW()
);

create table if not exists notification_queue (
  id bigserial primary key,
  user_id uuid,
  kind text not null,
  payload jsonb,
  created_at timestamptz default now()
);

-- ---------------------------------------------------------------------------------------------------------------------
-- data
-- ---------------------------------------------------------------------------------------------------------------------
insert into users (id, email, full_name, user_type, is_active, is_verified) values
  ('00000000-0000-4000-8000-0000000000a1', 'Ada@drift.example', 'Ada', 'therapist', true, true),
  ('00000000-0000-4000-8000-0000000000a2', 'ben@drift.example', 'Ben', 'therapist', true, true),
  ('00000000-0000-4000-8000-0000000000a3', 'gone@drift.example', 'Gone', 'therapist', false, true),
  ('00000000-0000-4000-8000-0000000000a4', 'new@drift.example', 'New', 'therapist', true, false),
  ('00000000-0000-4000-8000-0000000000c1', 'carla@drift.example', 'Carla', 'individual', true, true),
  ('00000000-0000-4000-8000-0000000000c2', 'carl@drift.example', 'Carl', 'partner', true, null),
  ('00000000-0000-4000-8000-0000000000c3', 'poor@drift.example', 'Poor', 'individual', true, true),
  ('00000000-0000-4000-8000-0000000000c4', 'twin@drift.example', 'Twin', 'individual', true, true),
  ('00000000-0000-4000-8000-0000000000c5', 'TWIN@drift.example', 'Twin (again, from the phone)', 'individual', true, true),
  ('00000000-0000-4000-8000-0000000000c6', null, 'No address', null, null, null),
  ('00000000-0000-4000-8000-0000000000d1', 'boss@drift.example', 'Boss', 'admin', true, true);
insert into users (id, email, full_name)
select ('00000000-0000-4000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid, 'client' || n || '@drift.example', 'Client ' || n
from generate_series(1, 30) n;

-- the old frontend fills duration, the new one duration_minutes
insert into sessions (id, user_id, therapist_id, title, scheduled_date, scheduled_time, start_time, end_time, duration,
  duration_minutes, status, notes, description, created_at)
select ('00000000-0000-4000-8000-1' || lpad(n::text, 11, '0'))::uuid,
  ('00000000-0000-4000-8000-0000000001' || lpad((n % 30 + 1)::text, 2, '0'))::uuid,
  ('00000000-0000-4000-8000-0000000000a' || (n % 2 + 1))::uuid, 'Therapy Session', d.day, d.hour,
  (d.day + d.hour) at time zone 'Europe/Berlin', (d.day + d.hour) at time zone 'Europe/Berlin' + interval '50 minutes',
  case when n < 160 then 50 else 60 end, case when n < 160 then null else 50 end,
  case when n % 11 = 0 then 'cancelled' when d.day < (now() at time zone 'Europe/Berlin')::date then 'completed'
    when n % 3 = 0 then 'confirmed' else 'scheduled' end,
  case when n % 4 = 0 then 'old note ' || n end, case when n >= 160 then 'new note ' || n end,
  now() - interval '70 days' + n * interval '1 minute'
from generate_series(0, 319) n, lateral (
  select (now() at time zone 'Europe/Berlin')::date - 25 + n / 8 as day, time '08:00' + n % 8 / 2 * interval '2 hours' as hour) d;

-- what support had to look into
insert into sessions (id, user_id, therapist_id, title, start_time, end_time, duration_minutes, status, created_at)
select ('00000000-0000-4000-8000-5e55000000' || v.n)::uuid, ('00000000-0000-4000-8000-0000000000' || v.u)::uuid,
  ('00000000-0000-4000-8000-0000000000' || v.t)::uuid, v.title, b.day + v.s::interval, b.day + v.e::interval, v.m, v.status,
  now() - interval '3 days' + v.n::int * interval '1 minute'
from (select date_trunc('day', now(), 'Europe/Berlin') as day) b, (values
  ('01', 'c1', 'a1', 'overlaps 02', '16 days 18:00', '16 days 19:00', 60, 'scheduled'),
  ('02', 'c2', 'a1', 'overlaps 01', '16 days 18:30', '16 days 19:30', 60, 'confirmed'),
  ('03', 'c1', 'a1', 'client in two places, 04', '17 days 18:00', '17 days 19:00', 60, 'scheduled'),
  ('04', 'c1', 'a2', 'client in two places, 03', '17 days 18:15', '17 days 19:15', 60, 'scheduled'),
  ('05', 'c1', 'a2', 'ends before it starts', '18 days 18:00', '18 days 17:00', 60, 'scheduled'),
  ('06', 'c2', 'a2', 'no end', '18 days 20:00', null, 60, 'scheduled'),
  ('07', 'c2', 'a1', 'no length', '18 days 20:30', '18 days 20:30', 0, 'scheduled'),
  ('08', 'c2', 'a1', 'no status', '19 days 18:00', '19 days 19:00', 60, null),
  ('09', null, 'a1', 'no client', '19 days 20:00', '19 days 21:00', 60, 'scheduled'),
  ('10', 'c2', null, 'no therapist', '19 days 20:00', '19 days 21:00', 60, 'scheduled'),
  ('11', 'c1', 'a3', 'therapist left', '20 days 18:00', '20 days 19:00', 60, 'scheduled'),
  ('12', 'c1', 'a4', 'therapist not verified', '20 days 19:00', '20 days 20:00', 60, 'confirmed'),
  ('14', 'c1', 'a2', 'first of three', '21 days 18:00', '21 days 19:00', 60, 'scheduled'),
  ('15', 'c2', 'a2', 'second of three', '21 days 18:45', '21 days 19:45', 60, 'scheduled'),
  ('16', 'c3', 'a2', 'third of three', '21 days 19:30', '21 days 20:30', 60, 'in_progress'),
  ('17', 'c2', 'a1', 'cancelled, overlaps 01', '16 days 18:10', '16 days 19:00', 60, 'cancelled'),
  ('20', 'c2', 'a1', 'nothing known', null, null, null, 'scheduled')
) v (n, u, t, title, s, e, m, status);
insert into sessions (id, user_id, therapist_id) values ('00000000-0000-4000-8000-5e5500000021', null, null);

insert into user_credits (id, user_id, user_type, credits_balance, credits_purchased, credits_used, expires_at, status) values
  ('00000000-0000-4000-8000-00000000c101', '00000000-0000-4000-8000-0000000000c1', 'user', 4, 10, 6, null, null),
  ('00000000-0000-4000-8000-00000000c102', '00000000-0000-4000-8000-0000000000c1', 'user', 3, 3, 0, now() + interval '90 days', 'active'),
  ('00000000-0000-4000-8000-00000000c201', '00000000-0000-4000-8000-0000000000c2', 'user', 2, 2, null, null, 'active'),
  ('00000000-0000-4000-8000-00000000c301', '00000000-0000-4000-8000-0000000000c3', 'user', null, 1, 1, null, 'active'),
  ('00000000-0000-4000-8000-00000000c401', '00000000-0000-4000-8000-0000000000c4', 'user', -2, 1, 3, null, 'active'),
  ('00000000-0000-4000-8000-00000000ffff', null, 'user', 7, 7, 0, null, 'active');
insert into user_credits (user_id, credits_balance, credits_purchased)
select id, 2, 5 from users where email like 'client%';

-- twice each: the function and the trigger wrote one
insert into booking_audit_log (session_id, user_id, action, old_status, new_status, created_at)
select s.id, s.user_id, 'created', null, s.status, s.created_at from sessions s, generate_series(1, 2) where s.title = 'Therapy Session';
insert into booking_audit_log (session_id, action, details) values (null, null, '{"what": "test"}');

-- ---------------------------------------------------------------------------------------------------------------------
-- functions, newest last
-- ---------------------------------------------------------------------------------------------------------------------
CREATE OR REPLACE FUNCTION update_updated_at_column() RETURNS TRIGGER AS $$
BEGIN
  NEW.updated_at = NOW();
  RETURN NEW;
END;
$$ language 'plpgsql';
DROP TRIGGER IF EXISTS update_sessions_updated_at ON sessions;
CREATE TRIGGER update_sessions_updated_at BEFORE UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
DROP TRIGGER IF EXISTS update_user_credits_updated_at ON user_credits;
CREATE TRIGGER update_user_credits_updated_at BEFORE UPDATE ON user_credits FOR EACH ROW EXECUTE PROCEDURE update_updated_at_column();

CREATE OR REPLACE FUNCTION enqueue_notification(p_user_id uuid, p_type text, p_payload jsonb) RETURNS bigint AS $$
DECLARE v_id bigint;
BEGIN
  INSERT INTO notification_queue (user_id, kind, payload) VALUES (p_user_id, p_type, p_payload) RETURNING id INTO v_id;
  RETURN v_id;
END;
$$ LANGUAGE plpgsql;

-- v1, the mobile app still has it
CREATE OR REPLACE FUNCTION create_session_with_credit_deduction(p_user_id UUID, p_therapist_id UUID, p_start TIMESTAMPTZ, p_duration INT)
RETURNS UUID AS $$
DECLARE v UUID;
BEGIN
  INSERT INTO sessions (user_id, therapist_id, start_time, end_time, duration)
  VALUES (p_user_id, p_therapist_id, p_start, p_start + (p_duration || ' minutes')::interval, p_duration) RETURNING id INTO v;
  UPDATE user_credits SET credits_balance = credits_balance - 1 WHERE user_id = p_user_id;  -- takes from every row?
  RETURN v;
END; $$ LANGUAGE plpgsql;

-- v2
CREATE OR REPLACE FUNCTION create_session_with_credit_deduction(
  p_user_id UUID, p_therapist_id UUID, p_session_date DATE, p_session_time TIME, p_duration_minutes INT DEFAULT 60,
  p_session_type VARCHAR(50) DEFAULT 'video', p_notes TEXT DEFAULT '', p_title TEXT DEFAULT 'Session')
RETURNS JSON AS $$ BEGIN RETURN '{}'::json; END; $$ LANGUAGE plpgsql;
-- v3: cannot change return type of existing function, so
DROP FUNCTION IF EXISTS create_session_with_credit_deduction(uuid, uuid, date, time, int, varchar, text, text);

DROP FUNCTION IF EXISTS check_booking_conflict(uuid, date, time, time);
CREATE OR REPLACE FUNCTION check_booking_conflict(p_therapist_id UUID, p_session_date DATE, p_start_time TIME, p_end_time TIME)
RETURNS BOOLEAN AS $$
BEGIN
  RETURN EXISTS (
    SELECT 1 FROM sessions
    WHERE therapist_id = p_therapist_id
    AND status IN ('scheduled','confirmed','in_progress')
    AND start_time < (p_session_date + p_end_time)::timestamptz
    AND end_time > (p_session_date + p_start_time)::timestamptz);
END;
$$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION create_session_with_credit_deduction(
  p_user_id UUID, p_therapist_id UUID, p_session_date DATE, p_session_time TIME, p_duration_minutes INTEGER,
  p_session_type VARCHAR, p_notes TEXT, p_title TEXT)
RETURNS TABLE(id UUID, user_id UUID, therapist_id UUID, start_time TIMESTAMPTZ, end_time TIMESTAMPTZ, status VARCHAR) AS $$
#variable_conflict use_column
DECLARE
  v_credit_id UUID;
  v_id UUID;
  v_start TIMESTAMPTZ;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM users u WHERE u.id = p_therapist_id AND u.user_type = 'therapist' AND u.is_active = true) THEN
    RAISE EXCEPTION 'Therapist not found or not active';
  END IF;
  SELECT uc.id INTO v_credit_id FROM user_credits uc WHERE uc.user_id = p_user_id AND uc.credits_balance > 0
  ORDER BY uc.created_at LIMIT 1;
  IF v_credit_id IS NULL THEN
    RAISE EXCEPTION 'Insufficient credits. Please purchase more.';
  END IF;
  IF check_booking_conflict(p_therapist_id, p_session_date, p_session_time, (p_session_time + (p_duration_minutes || ' minutes')::interval)::time) THEN
    RAISE EXCEPTION 'Booking conflict: therapist is not available';
  END IF;
  v_start := (p_session_date || ' ' || p_session_time)::timestamptz;
  INSERT INTO sessions (user_id, therapist_id, title, notes, description, scheduled_date, scheduled_time, start_time, end_time, duration, duration_minutes, session_type)
  VALUES (p_user_id, p_therapist_id, p_title, p_notes, p_notes, p_session_date, p_session_time, v_start, v_start + (p_duration_minutes || ' minutes')::interval, p_duration_minutes, p_duration_minutes, p_session_type)
  RETURNING sessions.id INTO v_id;
  UPDATE user_credits SET credits_balance = credits_balance - 1, credits_used = COALESCE(credits_used, 0) + 1 WHERE user_credits.id = v_credit_id;
  INSERT INTO booking_audit_log (session_id, user_id, action, new_status) VALUES (v_id, p_user_id, 'created', 'scheduled');
  PERFORM enqueue_notification(p_user_id, 'session_booked', jsonb_build_object('session_id', v_id, 'therapist_id', p_therapist_id));
  RETURN QUERY SELECT s.id, s.user_id, s.therapist_id, s.start_time, s.end_time, s.status FROM sessions s WHERE s.id = v_id;
END;
$$ LANGUAGE plpgsql;

-- keep start_time right when support edits date/time in the table editor
CREATE OR REPLACE FUNCTION sync_session_times() RETURNS TRIGGER AS $$
BEGIN
  IF NEW.scheduled_date IS NOT NULL AND NEW.scheduled_time IS NOT NULL THEN
    NEW.start_time := (NEW.scheduled_date + NEW.scheduled_time)::timestamptz;
    NEW.end_time := NEW.start_time + (COALESCE(NEW.duration_minutes, NEW.duration, 60) || ' minutes')::interval;
  END IF;
  RETURN NEW;
END;
$$ LANGUAGE plpgsql;
DROP TRIGGER IF EXISTS trg_sync_session_times ON sessions;
CREATE TRIGGER trg_sync_session_times BEFORE INSERT OR UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION sync_session_times();

-- belt and braces
CREATE OR REPLACE FUNCTION prevent_double_booking() RETURNS TRIGGER AS $$
BEGIN
  IF NEW.status IN ('scheduled','confirmed') AND NEW.scheduled_date IS NOT NULL AND check_booking_conflict(NEW.therapist_id, NEW.scheduled_date,
      NEW.scheduled_time, (NEW.scheduled_time + (COALESCE(NEW.duration_minutes, NEW.duration, 60) || ' minutes')::interval)::time) THEN
    RAISE EXCEPTION 'Booking conflict detected for therapist %', NEW.therapist_id;
  END IF;
  RETURN NEW;
END;
$$ LANGUAGE plpgsql;
DROP TRIGGER IF EXISTS check_double_booking ON sessions;
CREATE TRIGGER check_double_booking BEFORE INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION prevent_double_booking();

CREATE OR REPLACE FUNCTION log_session_change() RETURNS TRIGGER AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO booking_audit_log (session_id, user_id, action, new_status) VALUES (NEW.id, NEW.user_id, 'created', NEW.status);
  ELSE
    INSERT INTO booking_audit_log (session_id, user_id, action, old_status, new_status, details)
    VALUES (NEW.id, NEW.user_id, CASE WHEN NEW.status = 'cancelled' THEN 'cancelled' ELSE 'updated' END, OLD.status, NEW.status, to_jsonb(NEW));
  END IF;
  RETURN NEW;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER;
CREATE TRIGGER session_audit AFTER INSERT OR UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION log_session_change();

-- admin helper
CREATE OR REPLACE FUNCTION add_credits(p_user UUID, p_amount INT) RETURNS VOID AS $$
  INSERT INTO user_credits (user_id, credits_balance, credits_purchased, status) VALUES (p_user, p_amount, p_amount, 'active');
$$ LANGUAGE sql SECURITY DEFINER;

-- dashboard
CREATE OR REPLACE VIEW upcoming_sessions AS
SELECT s.id, s.start_time, s.status, u.full_name AS client, t.full_name AS therapist
FROM sessions s LEFT JOIN users u ON u.id = s.user_id LEFT JOIN users t ON t.id = s.therapist_id
WHERE s.start_time > now();

-- RLS: on for users only, "fix later"
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY "Enable read access for all users" ON users FOR SELECT USING (true);
CREATE POLICY "Enable all" ON users FOR ALL USING (true) WITH CHECK (true);
DO $$ BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'anon') THEN
    GRANT ALL ON ALL TABLES IN SCHEMA public TO anon, authenticated, service_role;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO anon, authenticated, service_role;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO anon, authenticated, service_role;
  END IF;
END $$;
