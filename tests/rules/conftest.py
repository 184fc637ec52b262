"""The world of the rules: they write rows and change nothing else."""

from __future__ import annotations

import pytest

from tests.support import World


@pytest.fixture
def world(clean_world: World) -> World:
    return clean_world
