"""Writes sql/catalogue.json anew, from a fresh installation on a throwaway server: ``make catalogue``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import psycopg

from bookingdb.checks import verify
from bookingdb.install import installer, source, trust
from bookingdb.local.binaries import find_binaries
from tests.support import connect, run
from tests.support.databases import serve
from tests.support.installation import adopt_nothing


def as_text(catalogue: source.Catalogue) -> str:
    """JSON with a line for each object, so that a change of one shows as a change of one line."""
    groups = []
    for group, objects in sorted(catalogue.items()):
        lines = [f"    {json.dumps(name)}: {json.dumps(attributes)}" for name, attributes in sorted(objects.items())]
        groups.append(f"  {json.dumps(group)}: {{\n" + ",\n".join(lines) + "\n  }")
    return "{\n" + ",\n".join(groups) + "\n}\n"


def main() -> None:
    """Install where all roles that grants.sql knows exist, as if for an adoption, and write down what there is then."""
    with tempfile.TemporaryDirectory() as folder:
        for server in serve(find_binaries(), Path(folder)):
            with connect(psycopg.conninfo.make_conninfo(server.url(), user="postgres")) as connection:
                run(connection, "create role anon; create role authenticated; create role service_role")
                run(connection, "create role app_server")
                installer.migrate(connection)
                adopt_nothing(connection)
                trust.trust(connection, "app_server")
                catalogue = verify.snapshot(connection, source.load())
    path = source.folder() / "catalogue.json"
    path.write_text(as_text(catalogue), encoding="utf-8")
    print(f"{path}: {sum(len(objects) for objects in catalogue.values())} objects")


if __name__ == "__main__":
    main()
