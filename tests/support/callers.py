"""Who calls: roles and logged-in users, as PostgREST brings them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import UUID

from tests.support import Connection, World
from tests.support.calls import PEOPLE_CALLS
from tests.support.hosts import Host
from tests.support.interleaving import session_of
from tests.support.refusals import outcome

SCHEMAS = ["public", "bookingdb"]
OWNER, SUPERUSER = "the owner", "a superuser"


def of(host: Host, everywhere: list[Any], on_supabase_only: list[Any]) -> list[Any]:
    """What there is of something on a host."""
    return everywhere + (on_supabase_only if host.is_supabase else [])


@contextmanager
def acting(world: World, login: str, role: str = "", claims: Any = None) -> Iterator[Connection]:
    """Connect as PostgREST does: log in, take on a role, set the claims of the token.

    The logins OWNER and SUPERUSER are those of the host.
    """
    login = {OWNER: world.owner, SUPERUSER: world.superuser}.get(login, login)
    with session_of(world, user=login) as connection:
        if role:
            connection.execute(f"set role {role}".encode())
        if claims is not None:
            text = claims if isinstance(claims, str) else json.dumps(claims, default=str)
            connection.execute("select set_config('request.jwt.claims', %s, false)", [text])
        yield connection


def logged_in(world: World, person: UUID, **claims: Any) -> Any:
    return acting(world, "authenticator", "authenticated", {"sub": person, "role": "authenticated", **claims})


def ask(connection: Connection, schema: str, function: str, people: dict[str, Any]) -> str:
    """Call a function in a transaction that is rolled back, and return how it ended."""
    with connection.transaction(force_rollback=True):
        statement = f"select * from {schema}.{function}({PEOPLE_CALLS[function]})"
        return outcome(partial(connection.execute, statement.encode(), people))


def everybody(host: Host) -> list[str]:
    """Every role of a host but the owner and superusers."""
    return of(
        host,
        ["app_servers", "app_server", "lazy_server", "stranger"],
        ["anon", "authenticated", "service_role", "authenticator", "impostor", "supabase_auth_admin"],
    )


def engine_room(world: World) -> list[str]:
    """The tables and views of the schema bookingdb."""
    tables = world.run(
        "select c.oid::regclass::text from pg_class as c where c.relnamespace = 'bookingdb'::regnamespace"
        " and c.relkind in ('r', 'v', 'm', 'p')"
    )
    assert len(tables) >= 10
    return [table for (table,) in tables]
