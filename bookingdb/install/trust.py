"""Says who is trusted: which roles may act for anyone, in one database."""

from __future__ import annotations

from psycopg import sql

from bookingdb.install import installer
from bookingdb.install.owner import refuse_more_rights
from bookingdb.install.session import INSTALL_LOCK, Connection, InstallError, limit_lock_wait, prepare, refusals, scalar
from bookingdb.install.source import Source

_TRUST = sql.SQL("function bookingdb.act_for_anyone()")
_WORKS = "bookingdb.work_deliveries()"
_WORK = sql.SQL(f"function {_WORKS}")


def trust(
    connection: Connection, role: str, *, revoke: bool = False, worker: bool = False, source: Source | None = None
) -> bool:
    """Let a role act for anyone in this database, or no longer.

    A trusted role can use the public functions and read the application's tables, as long as it is trusted. Roles that
    inherit its privileges are trusted, too. Its other privileges stay, whether it is trusted or no longer.

    Args:
        connection: an open connection, not inside a transaction, of the owner of what was installed.
        role: the name of a role of the server, as it is: not quoted.
        revoke: take the right away.
        worker: let the role also claim deliveries, and so read the secrets of destinations; with `revoke`, take away
            this alone.
        source: the files that were installed; those of this package when left out.

    Returns:
        Whether the role is trusted now; with `worker`, whether it is a worker. After
        `revoke`, it still is where it is a superuser, or inherits from a role that is.

    Raises:
        InstallError: there is no such role, it stands for everybody, it is trusted without a grant, something is
            pending, or whoever calls is not the owner; nothing was changed.

    Example:
        >>> with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        ...     print(trust(connection, "practice_app"))
        True
    """
    refuse_more_rights(connection)
    source = source or installer.installed_source(connection)
    with refusals("trust"), connection.transaction():
        prepare(connection)
        limit_lock_wait(connection)
        connection.execute("select pg_advisory_xact_lock(%s)", [INSTALL_LOCK])
        if not installer.find_pending(connection, source).is_empty:
            raise InstallError("something is pending: run `bookingdb migrate` first")
        _refuse_role(connection, role, revoke=revoke, worker=worker)
        phrase = "revoke execute on {} from {} cascade" if revoke else "grant execute on {} to {}"
        # Only who is trusted can be a worker.
        changed = {(True, True): [_WORK], (False, True): [_TRUST, _WORK], (True, False): [_TRUST, _WORK]}
        for function in changed.get((revoke, worker), [_TRUST]):
            connection.execute(sql.SQL(phrase).format(function, sql.Identifier(role)))
        pending = installer.find_pending(connection, source)
        if not pending.is_empty:
            # The grants that go with it.
            installer.apply_pending(connection, source, pending)
        if worker:
            return bool(scalar(connection, "select has_function_privilege(%s, %s, 'EXECUTE')", role, _WORKS))
        return bool(scalar(connection, "select bookingdb.role_is_trusted(%s)", role))


def _refuse_role(connection: Connection, role: str, *, revoke: bool, worker: bool) -> None:
    """Refuse roles that nobody can mean."""
    if role in ("public", "anon", "authenticated") and not revoke:
        raise InstallError(f"{role} is everybody who uses the application, and each of them could act for anyone")
    if scalar(connection, "select to_regrole(quote_ident(%s))", role) is None:
        raise InstallError(f"there is no role {role}")
    if scalar(connection, "select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'bookingdb'") == role:
        raise InstallError(f"{role} owns what is installed, and is trusted anyway")
    if role == "service_role" and revoke and not worker:
        raise InstallError("service_role is an application's server on Supabase, and always trusted")
