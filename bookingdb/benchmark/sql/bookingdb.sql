select *
from public.create_session_with_credit_deduction(
    p_user_id => ('00000000-0000-4000-8000-' || lpad(:client, 12, '0'))::uuid,
    p_therapist_id => ('00000000-0000-4000-9000-' || lpad(:therapist, 12, '0'))::uuid,
    p_session_date => date '{base}' + :day::integer,
    p_session_time => make_time(:hour::integer, 0, 0){key}
)
