-- The smallest app there is: no functions, nothing guards a session. Tests add what they are about.
CREATE TABLE users (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email text NOT NULL, name text,
  user_type text DEFAULT 'individual', is_active boolean DEFAULT true, is_verified boolean DEFAULT true, "avatarUrl" text
);
CREATE TABLE sessions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid REFERENCES users (id), therapist_id uuid REFERENCES users (id),
  scheduled_date date, scheduled_time time(0), start_time timestamp(6), end_time timestamp(3), duration_minutes int DEFAULT 60,
  status varchar(20) DEFAULT 'scheduled', title text, "meetingUrl" text, created_at timestamp(6) DEFAULT now()
);
CREATE TABLE user_credits (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid REFERENCES users (id), user_type text DEFAULT 'user',
  credits_balance int DEFAULT 0, credits_purchased int DEFAULT 0, status text DEFAULT 'active', created_at timestamptz DEFAULT now()
);
CREATE TABLE booking_audit_log (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), session_id uuid REFERENCES sessions (id), user_id uuid, action text NOT NULL,
  old_status text, new_status text, changes jsonb, created_at timestamptz DEFAULT now()
);
INSERT INTO users (id, email, name, user_type)
SELECT ('00000000-0000-4000-8000-0000000000' || n)::uuid, n || '@plain.example', n, CASE WHEN n LIKE 'a%' THEN 'therapist' ELSE 'individual' END
FROM unnest(ARRAY['a1', 'a2', 'c1', 'c2', 'c3']) n;
INSERT INTO user_credits (user_id, credits_balance, credits_purchased)
SELECT id, 5, 5 FROM users WHERE user_type = 'individual';
INSERT INTO sessions (user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time, status)
SELECT '00000000-0000-4000-8000-0000000000c1', '00000000-0000-4000-8000-0000000000a1', d, '10:00', d + time '10:00', d + time '11:00',
  CASE WHEN n % 5 = 0 THEN 'cancelled' ELSE 'scheduled' END
FROM generate_series(1, 10) n, LATERAL (SELECT (current_date + n - 3) AS d) x;
