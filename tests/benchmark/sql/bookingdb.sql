select *
from public.create_session_with_credit_deduction(
    p_user_id => md5('client ' || :client)::uuid,
    p_therapist_id => md5('therapist ' || :therapist)::uuid,
    p_session_date => date '{base}' + :day::integer,
    p_session_time => make_time(:hour::integer, 0, 0),
    p_duration_minutes => 45{key}
)
