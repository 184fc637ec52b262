"""What earlier versions installed: scripts that were frozen, and packed with `xz -9e`; `xzcat` shows them."""

from __future__ import annotations

import lzma

from tests.support import ROOT

FOLDER = ROOT / "tests" / "upgrade"
SUFFIX = ".sql.xz"
# By its last migration, what an earlier version ran.
VERSIONS = {
    path.name.removesuffix(SUFFIX): lzma.decompress(path.read_bytes()).decode()
    for path in sorted(FOLDER.glob(f"*{SUFFIX}"))
}
# The Python client as it was, packed by itself.
CLIENTS = sorted(FOLDER.glob("*.client.zip"))
