"""The places where bookingdb is installed, rebuilt: a plain Postgres, and a Supabase project, as it is and as it was.

A Supabase project's `postgres` owns the database and is no superuser. PostgREST logs in as `authenticator`, which may
become anon, authenticated or service_role and inherits nothing of them. Functions of the schema `auth` read the claims
of the token. Until October 2026 a project handed every new table, function and sequence of `public` to the three roles
(`SUPABASE_BEFORE`); since then it hands out none of it (`SUPABASE`).
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from tests.support import connect, run


@dataclass(frozen=True)
class Host:
    """A kind of place: who owns a database there, and how it is made ready before anything of ours comes."""

    name: str
    owner: str
    superuser: str
    # SQL, run by the superuser in each new database.
    database_setup: str = ""

    @property
    def is_supabase(self) -> bool:
        """Whether anon, authenticated, service_role and authenticator are there."""
        return self.superuser == "supabase_admin"

    def create_database(self, server_url: str, name: str, template: str = "template1") -> str:
        """Make a database as the host does, and return its URL as the owner.

        `server_url` is the maintenance database of a server of this host, as the superuser. A copy of another template
        than template1 has what that had, and is not set up again.
        """
        with connect(server_url) as connection:
            run(connection, f"create database {name} template {template} owner {self.owner} strategy file_copy")
        if self.database_setup and template == "template1":
            with connect(psycopg.conninfo.make_conninfo(server_url, dbname=name)) as connection:
                run(connection, self.database_setup)
        return psycopg.conninfo.make_conninfo(server_url, dbname=name, user=self.owner)


# Once a server, by its superuser supabase_admin.
SUPABASE_ROLES = """
    create role postgres login createdb createrole replication bypassrls;
    create role supabase_auth_admin login noinherit createrole;
    create role anon nologin noinherit;
    create role authenticated nologin noinherit;
    create role service_role nologin noinherit bypassrls;
    create role authenticator login noinherit;
    grant anon, authenticated, service_role to authenticator;
    grant anon, authenticated, service_role to postgres with admin option;
    alter role anon set statement_timeout = '3s';
    alter role authenticated set statement_timeout = '8s';
    alter role authenticator set statement_timeout = '8s';
    alter role authenticator set lock_timeout = '8s';
    alter role postgres set search_path = "$user", public, extensions;
"""

_SUPABASE_SCHEMAS = """
    create schema extensions;
    grant usage on schema extensions to public;
    grant all on schema extensions to postgres;
    grant all on schema public to postgres;
    grant usage on schema public to anon, authenticated, service_role;

    create schema auth authorization supabase_auth_admin;
    grant usage on schema auth to postgres, anon, authenticated, service_role;
    create table auth.users (
        id uuid primary key, email text, created_at timestamptz not null default now(), raw_user_meta_data jsonb
    );
    alter table auth.users owner to supabase_auth_admin;
    alter table auth.users enable row level security;
    grant select, references, trigger on auth.users to postgres;
    create function auth.jwt() returns jsonb language sql stable as $$
        select coalesce(
            nullif(current_setting('request.jwt.claim', true), ''),
            nullif(current_setting('request.jwt.claims', true), '')
        )::jsonb
    $$;
    create function auth.uid() returns uuid language sql stable as $$
        select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''), auth.jwt() ->> 'sub')::uuid
    $$;
    create function auth.role() returns text language sql stable as $$
        select coalesce(nullif(current_setting('request.jwt.claim.role', true), ''), auth.jwt() ->> 'role')
    $$;
"""

EVERYTHING_TO_EVERYBODY = """
    alter default privileges for role postgres in schema public
        grant all on tables to anon, authenticated, service_role;
    alter default privileges for role postgres in schema public
        grant all on functions to anon, authenticated, service_role;
    alter default privileges for role postgres in schema public
        grant all on sequences to anon, authenticated, service_role;
    -- No host goes as far as this: it reaches the schema bookingdb, too.
    alter default privileges for role postgres grant all on functions to anon, authenticated, service_role;
    alter default privileges for role postgres grant all on tables to anon, authenticated, service_role;
"""

PLAIN = Host("plain", owner="owner", superuser="postgres")
SUPABASE = Host("supabase", "postgres", "supabase_admin", _SUPABASE_SCHEMAS)
SUPABASE_BEFORE = Host(
    "supabase_before_october_2026", "postgres", "supabase_admin", _SUPABASE_SCHEMAS + EVERYTHING_TO_EVERYBODY
)
HOSTS = (PLAIN, SUPABASE, SUPABASE_BEFORE)

# A role that is trusted, members of it, one of which inherits nothing, and a login that nobody vouches for. Once a
# server, by its superuser.
LOGINS = """
    create role app_servers nologin;
    create role app_server login in role app_servers;
    create role lazy_server login noinherit in role app_servers;
    create role stranger login;
"""
# On Supabase: an application's server that takes on the role of users, and a login that may, too, but is nobody's.
SUPABASE_LOGINS = """
    grant authenticated to app_server;
    create role impostor login in role authenticated;
"""
