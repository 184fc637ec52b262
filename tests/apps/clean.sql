-- Booking app, database schema.
-- The shape is close to bookingdb's own: NOT NULL where it counts, one EXCLUDE constraint, RLS on, definer functions.
-- No row breaks anything.

CREATE TABLE public.users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email text NOT NULL UNIQUE,
    full_name text,
    user_type text NOT NULL DEFAULT 'individual' CHECK (user_type IN ('individual', 'partner', 'therapist', 'admin')),
    is_active boolean NOT NULL DEFAULT true,
    is_verified boolean NOT NULL DEFAULT false,
    avatar_url text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'extensions') THEN
        CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA extensions;
    ELSE
        CREATE EXTENSION IF NOT EXISTS btree_gist;
    END IF;
END $$;

CREATE TABLE public.sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES public.users (id),
    therapist_id uuid NOT NULL REFERENCES public.users (id),
    title varchar(255) NOT NULL DEFAULT 'Therapy Session',
    description text,
    scheduled_date date NOT NULL,
    scheduled_time time NOT NULL,
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    duration_minutes integer NOT NULL DEFAULT 60,
    session_type varchar(50) DEFAULT 'video',
    status varchar(50) NOT NULL DEFAULT 'scheduled' CHECK (
        status IN ('pending_approval', 'scheduled', 'confirmed', 'in_progress', 'completed', 'cancelled', 'no_show')
    ),
    meeting_url text,
    is_recurring boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (end_time > start_time),
    CONSTRAINT sessions_no_therapist_overlap EXCLUDE USING gist (
        therapist_id WITH =, tstzrange(start_time, end_time) WITH &&
    ) WHERE (status IN ('pending_approval', 'scheduled', 'confirmed', 'in_progress'))
);
CREATE INDEX idx_sessions_user ON public.sessions (user_id);

CREATE TABLE public.user_credits (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES public.users (id),
    user_type text NOT NULL DEFAULT 'user',
    credits_balance integer NOT NULL DEFAULT 0 CHECK (credits_balance >= 0),
    credits_purchased integer NOT NULL DEFAULT 0,
    credits_used integer NOT NULL DEFAULT 0,
    credits_expired integer NOT NULL DEFAULT 0,
    expires_at timestamptz,
    payment_reference text,
    status text NOT NULL DEFAULT 'active',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.booking_audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id uuid NOT NULL,
    user_id uuid,
    action text NOT NULL,
    old_status text,
    new_status text,
    changes jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);

-- people ----------------------------------------------------------------------------------------------------------
INSERT INTO public.users (id, email, full_name, user_type, is_active, is_verified) VALUES
    ('00000000-0000-4000-8000-0000000000a1', 'ada@clean.example', 'Ada', 'therapist', true, true),
    ('00000000-0000-4000-8000-0000000000a2', 'ben@clean.example', 'Ben', 'therapist', true, true),
    ('00000000-0000-4000-8000-0000000000a3', 'gone@clean.example', 'Gone', 'therapist', false, true),
    ('00000000-0000-4000-8000-0000000000c1', 'carla@clean.example', 'Carla', 'individual', true, true),
    ('00000000-0000-4000-8000-0000000000c2', 'carl@clean.example', 'Carl', 'individual', true, true),
    ('00000000-0000-4000-8000-0000000000c3', 'poor@clean.example', 'Poor', 'individual', true, true),
    ('00000000-0000-4000-8000-0000000000d1', 'boss@clean.example', 'Boss', 'admin', true, true);
INSERT INTO public.users (id, email, full_name, is_verified)
SELECT ('00000000-0000-4000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid, 'client' || n || '@clean.example',
    'Client ' || n, true
FROM generate_series(1, 30) AS n;

-- Eight sessions a day, four for each therapist, each day's with other clients; times are those of Berlin.
INSERT INTO public.sessions (
    id, user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time, duration_minutes, status, created_at
)
SELECT
    ('00000000-0000-4000-8000-1' || lpad(n::text, 11, '0'))::uuid,
    ('00000000-0000-4000-8000-0000000001' || lpad((n % 30 + 1)::text, 2, '0'))::uuid,
    ('00000000-0000-4000-8000-0000000000a' || (n % 2 + 1))::uuid,
    d.day, d.hour, (d.day + d.hour) AT TIME ZONE 'Europe/Berlin',
    (d.day + d.hour) AT TIME ZONE 'Europe/Berlin' + interval '60 minutes', 60,
    CASE
        WHEN n % 11 = 0 THEN 'cancelled'
        WHEN d.day < (now() AT TIME ZONE 'Europe/Berlin')::date THEN CASE WHEN n % 13 = 0 THEN 'no_show' ELSE 'completed' END
        WHEN n % 5 = 0 THEN 'pending_approval'
        WHEN n % 3 = 0 THEN 'confirmed'
        ELSE 'scheduled'
    END,
    now() - interval '70 days' + n * interval '1 minute'
FROM generate_series(0, 319) AS n,
LATERAL (
    SELECT (now() AT TIME ZONE 'Europe/Berlin')::date - 25 + n / 8 AS day, time '09:00' + n % 8 / 2 * interval '2 hours' AS hour
) AS d;

INSERT INTO public.user_credits (id, user_id, credits_balance, credits_purchased, credits_used, expires_at, payment_reference)
VALUES
    ('00000000-0000-4000-8000-00000000c101', '00000000-0000-4000-8000-0000000000c1', 5, 10, 5, NULL, 'pi_c101'),
    ('00000000-0000-4000-8000-00000000c102', '00000000-0000-4000-8000-0000000000c1', 2, 2, 0, now() + interval '200 days', 'pi_c102'),
    ('00000000-0000-4000-8000-00000000c201', '00000000-0000-4000-8000-0000000000c2', 3, 3, 0, NULL, NULL),
    ('00000000-0000-4000-8000-00000000c301', '00000000-0000-4000-8000-0000000000c3', 0, 4, 4, NULL, NULL);
INSERT INTO public.user_credits (user_id, credits_balance, credits_purchased, credits_used)
SELECT u.id, 3, 12, 9 FROM public.users AS u WHERE u.email LIKE 'client%';

INSERT INTO public.booking_audit_log (session_id, user_id, action, new_status, created_at)
SELECT s.id, s.user_id, 'created', 'scheduled', s.created_at FROM public.sessions AS s ORDER BY s.created_at;
INSERT INTO public.booking_audit_log (session_id, user_id, action, old_status, new_status, created_at)
SELECT s.id, s.user_id, 'status_changed', 'scheduled', s.status, s.created_at + interval '1 hour'
FROM public.sessions AS s WHERE s.status <> 'scheduled' ORDER BY s.created_at;

-- functions -------------------------------------------------------------------------------------------------------
CREATE FUNCTION public.check_booking_conflict(
    p_therapist_id uuid, p_session_date date, p_start_time time, p_end_time time
) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
    SELECT EXISTS (
        SELECT 1 FROM public.sessions AS s
        WHERE s.therapist_id = p_therapist_id
            AND s.status IN ('pending_approval', 'scheduled', 'confirmed', 'in_progress')
            AND tstzrange(s.start_time, s.end_time) && tstzrange(
                (p_session_date + p_start_time) AT TIME ZONE 'Europe/Berlin',
                (p_session_date + p_end_time) AT TIME ZONE 'Europe/Berlin'
            )
    )
$$;

CREATE FUNCTION public.create_session_with_credit_deduction(
    p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time, p_duration_minutes integer DEFAULT 60,
    p_session_type varchar DEFAULT 'video', p_notes text DEFAULT '', p_title text DEFAULT 'Therapy Session'
) RETURNS TABLE (
    id uuid, user_id uuid, therapist_id uuid, title varchar, start_time timestamptz, end_time timestamptz,
    duration_minutes integer, session_type varchar, status varchar
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
#variable_conflict use_column
DECLARE
    v_lot uuid;
    v_start timestamptz := (p_session_date + p_session_time) AT TIME ZONE 'Europe/Berlin';
    v_id uuid := gen_random_uuid();
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM public.users u WHERE u.id = p_therapist_id AND u.user_type = 'therapist' AND u.is_active
    ) THEN
        RAISE EXCEPTION 'Therapist not found or inactive';
    END IF;
    SELECT c.id INTO v_lot FROM public.user_credits c
    WHERE c.user_id = p_user_id AND c.user_type = 'user' AND c.status = 'active' AND c.credits_balance > 0
        AND (c.expires_at IS NULL OR c.expires_at > now())
    ORDER BY c.expires_at NULLS LAST LIMIT 1 FOR UPDATE;
    IF v_lot IS NULL THEN
        RAISE EXCEPTION 'Insufficient credits';
    END IF;
    UPDATE public.user_credits SET credits_balance = credits_balance - 1, credits_used = credits_used + 1, updated_at = now()
    WHERE id = v_lot;
    BEGIN
        INSERT INTO public.sessions (
            id, user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
            duration_minutes, session_type
        ) VALUES (
            v_id, p_user_id, p_therapist_id, p_title, p_notes, p_session_date, p_session_time, v_start,
            v_start + p_duration_minutes * interval '1 minute', p_duration_minutes, p_session_type
        );
    EXCEPTION WHEN exclusion_violation THEN
        RAISE EXCEPTION 'Booking conflict: slot is taken';
    END;
    INSERT INTO public.booking_audit_log (session_id, user_id, action, new_status)
    VALUES (v_id, p_user_id, 'created', 'scheduled');
    RETURN QUERY SELECT s.id, s.user_id, s.therapist_id, s.title, s.start_time, s.end_time, s.duration_minutes,
        s.session_type, s.status FROM public.sessions s WHERE s.id = v_id;
END;
$$;

CREATE FUNCTION public.set_updated_at() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END;
$$;
CREATE TRIGGER sessions_set_updated_at BEFORE UPDATE ON public.sessions
FOR EACH ROW EXECUTE FUNCTION public.set_updated_at();

-- access ----------------------------------------------------------------------------------------------------------
ALTER TABLE public.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.user_credits ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.booking_audit_log ENABLE ROW LEVEL SECURITY;
REVOKE EXECUTE ON FUNCTION public.check_booking_conflict FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION public.create_session_with_credit_deduction FROM PUBLIC;
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'authenticated') THEN
        REVOKE EXECUTE ON FUNCTION public.check_booking_conflict FROM anon;
        REVOKE EXECUTE ON FUNCTION public.create_session_with_credit_deduction FROM anon;
        GRANT EXECUTE ON FUNCTION public.check_booking_conflict TO authenticated, service_role;
        GRANT EXECUTE ON FUNCTION public.create_session_with_credit_deduction TO service_role;
        GRANT ALL ON public.users, public.sessions, public.user_credits, public.booking_audit_log TO service_role;
        REVOKE ALL ON public.users, public.sessions, public.user_credits, public.booking_audit_log FROM anon, authenticated;
        GRANT SELECT ON public.users, public.user_credits TO authenticated;
        GRANT SELECT, UPDATE ON public.sessions TO authenticated;
        CREATE POLICY "own row" ON public.users FOR SELECT TO authenticated USING (id = (SELECT auth.uid()));
        CREATE POLICY "own credits" ON public.user_credits FOR SELECT TO authenticated USING (user_id = (SELECT auth.uid()));
        CREATE POLICY "own sessions" ON public.sessions FOR SELECT TO authenticated
        USING (user_id = (SELECT auth.uid()) OR therapist_id = (SELECT auth.uid()));
        -- The web client joins and cancels by itself.
        CREATE POLICY "change own sessions" ON public.sessions FOR UPDATE TO authenticated
        USING (user_id = (SELECT auth.uid())) WITH CHECK (user_id = (SELECT auth.uid()));
    END IF;
END $$;
