"""Keeps what the owner of an installation wrote from running with the rights of somebody who has more.

An owner can replace the functions, triggers and views of bookingdb, and write what an adoption runs again. So whoever
has more rights than the owner connects as the owner. SET ROLE is not enough: code can reset it.
"""

from __future__ import annotations

from typing import NamedTuple

from bookingdb.install import script
from bookingdb.install.session import Connection, InstallError


class MoreRights(NamedTuple):
    """Somebody who logged in, an owner who has fewer rights, and as whom to connect instead."""

    login: str
    owner: str
    remedy: str


def more_rights(connection: Connection) -> MoreRights | None:
    """Tell whether whoever logged in has more rights than the owner of what bookingdb has in the database.

    Reads the catalogue alone, and runs nothing that an owner wrote.

    Args:
        connection: an open connection; a transaction of the caller's goes on as it was.
    """
    with connection.transaction(force_rollback=True):
        # The database's owner may have set any of these for everybody who connects to it.
        connection.execute("set local statement_timeout = 0")
        connection.execute("set local search_path = ''")
        connection.execute("set local session authorization default")
        row = connection.execute(script.lesser_owner_query("session_user")).fetchone()
        return MoreRights(*row) if row else None


def refuse_more_rights(connection: Connection) -> None:
    """Refuse to work for somebody who has more rights than the owner.

    Raises:
        InstallError: whoever logged in has more rights; the message says as whom to connect.
    """
    if found := more_rights(connection):
        raise InstallError(script.MORE_RIGHTS % found)
