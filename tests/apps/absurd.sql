-- Rows for the smallest app (plain_tables.sql) that nobody meant: times beyond every calendar, sessions that never end,
-- and sessions with oneself. All clocks are those of UTC.
INSERT INTO sessions (
  id, user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time, duration_minutes, status
)
SELECT
  ('00000000-0000-4000-8000-5e55000000' || n)::uuid,
  coalesce(other, '00000000-0000-4000-8000-0000000000c2')::uuid, '00000000-0000-4000-8000-0000000000a2',
  day, hour, coalesce(start, (day + hour)::text)::timestamp, coalesce(ending, (day + hour + length)::text)::timestamp,
  minutes, status
FROM (VALUES
  -- longer than a week: with a duration that explains it, and without
  ('01', NULL, 20, '10:00'::time, NULL, NULL, '100000 min'::interval, 50, 'scheduled'),
  ('02', NULL, 21, '10:00', NULL, NULL, '100000 min', 100000, 'confirmed'),
  ('03', NULL, 22, '10:00', NULL, NULL, '100000 min', 2000000000, 'scheduled'),
  -- at infinity, and after the year 2999
  ('11', NULL, 23, '10:00', NULL, 'infinity', '0', 60, 'scheduled'),
  ('12', NULL, 24, '10:00', NULL, 'infinity', '0', NULL, 'scheduled'),
  ('13', NULL, 25, '10:00', NULL, '3001-01-01', '0', 60, 'scheduled'),
  ('14', NULL, 26, '10:00', 'infinity', 'infinity', '0', 60, 'scheduled'),
  ('15', NULL, 27, NULL, '-infinity', NULL, '1 hour', 60, 'scheduled'),
  ('16', NULL, 28, '10:00', '0044-03-15 10:00 BC', NULL, '45 min', 45, 'confirmed'),
  -- in progress for weeks
  ('21', NULL, -30, '10:00', NULL, NULL, '1 hour', 60, 'in_progress'),
  ('22', NULL, -31, '10:00', NULL, 'infinity', '0', 60, 'in_progress'),
  ('23', NULL, -2, '10:00', NULL, NULL, '1 hour', 60, 'in_progress'),
  -- with oneself
  ('31', '00000000-0000-4000-8000-0000000000a2', 29, '10:00', NULL, NULL, '1 hour', 60, 'scheduled'),
  -- over, with times that cannot be right
  ('41', NULL, 30, '10:00', NULL, NULL, '-1 hour', 60, 'completed'),
  ('42', NULL, 31, '10:00', NULL, 'infinity', '0', 60, 'cancelled'),
  ('43', NULL, 32, '10:00', NULL, 'infinity', '0', NULL, 'completed'),
  ('44', NULL, 33, '10:00', '-infinity', '-infinity', '0', 60, 'cancelled'),
  ('45', NULL, 34, '10:00', NULL, NULL, '100000 min', 100000, 'cancelled'),
  ('46', NULL, 35, '10:00', 'infinity', '-infinity', '0', 60, 'no_show'),
  ('47', NULL, 36, '10:00', NULL, 'infinity', '0', 60, 'no_show'),
  -- a duration that is not from start to end
  ('51', NULL, 37, '10:00', NULL, NULL, '45 min', 60, 'scheduled'),
  ('52', NULL, 38, '10:00', NULL, NULL, '45 min', 2000000000, 'scheduled'),
  ('53', NULL, -9, '10:00', NULL, NULL, '45 min', 60, 'scheduled')
) AS x (n, other, days, hour, start, ending, length, minutes, status), LATERAL (SELECT current_date + days AS day) AS d;
