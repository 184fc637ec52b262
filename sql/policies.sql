-- Row level security of the tables that applications can see. Nobody but trusted callers reads somebody else's rows;
-- nobody but the owner, a superuser and roles with BYPASSRLS (Supabase's service_role) writes at all.
--
-- The names begin with an underscore, like those of our triggers: policies of other names are the application's own,
-- and the installer leaves them alone.
--
-- The functions stand in sub-selects, so that they are asked once per query and not once per row. The conditions are
-- written as Postgres prints them (pg_get_expr), but for case and line breaks: the installer compares the two.

alter table public.users enable row level security;

alter table public.sessions enable row level security;

alter table public.user_credits enable row level security;

alter table public.booking_audit_log enable row level security;

create policy _bookingdb_read on public.users for select to public
using (
    (
        (select bookingdb.caller_is_trusted() as caller_is_trusted)
        or (id = (select bookingdb.actor_id() as actor_id))
    )
);

create policy _bookingdb_read on public.sessions for select to public
using (
    (
        (select bookingdb.caller_is_trusted() as caller_is_trusted)
        or (user_id = (select bookingdb.actor_id() as actor_id))
        or (therapist_id = (select bookingdb.actor_id() as actor_id))
    )
);

create policy _bookingdb_read on public.user_credits for select to public
using (
    (
        (select bookingdb.caller_is_trusted() as caller_is_trusted)
        or (user_id = (select bookingdb.actor_id() as actor_id))
    )
);

create policy _bookingdb_read on public.booking_audit_log for select to public
using ((select bookingdb.caller_is_trusted() as caller_is_trusted));
