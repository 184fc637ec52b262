"""The table of policy settings: what is made from it, and what the migrations say of it."""

from __future__ import annotations

import psycopg
import pytest

from bookingdb.install import policy_settings, source
from bookingdb.install.functions import SqlFile, composite_types
from bookingdb.policy import SETTINGS
from bookingdb.policy_setting import Setting
from tests.support import World

SOURCE = source.load()


# Migrations never change, so they cannot be made from the table. tests/rules/policies has the test of the defaults.


def test_default_policy_lacks_no_setting(world: World) -> None:
    allowed = []
    for setting in SETTINGS:
        try:
            with world.connection.transaction(force_rollback=True):
                world.run(f"update bookingdb.policies set {setting.name} = null where therapist_id is null")
        except psycopg.errors.CheckViolation:
            continue
        allowed.append(setting.name)

    assert allowed == []


def test_settings_are_columns_of_policies_and_rules() -> None:
    effective = composite_types(SOURCE.migrations)["bookingdb.effective_policy"]
    columns = SOURCE.catalogue["columns"]
    types = {"time zone": "text", "choice": "text"}
    expected = {setting.name: types.get(setting.type, setting.type) for setting in SETTINGS}

    assert effective == {"therapist_id": "uuid", **expected, "has_hours": "boolean"}
    assert {name: columns[f"bookingdb.policies.{name}"]["type"] for name in expected} == expected
    assert {name: columns[f"bookingdb.rules.{name}"]["type"] for name in expected} == expected


def test_policy_is_filled_in_the_order_of_its_type() -> None:
    effective = list(composite_types(SOURCE.migrations)["bookingdb.effective_policy"])
    place = effective.index("has_hours")

    assert effective[0] == "therapist_id"
    assert effective[1:place] + effective[place + 1 :] == [setting.name for setting in SETTINGS]
    # The name at which policy_of() divides them.
    assert effective[place - 1] == "require_hours"


def test_whole_numbers_have_the_range_of_their_constraint() -> None:
    checks = {
        name: constraint["definition"]
        for name, constraint in SOURCE.catalogue["constraints"].items()
        if name.endswith(" on bookingdb.policies")
    }
    expected = [
        f"CHECK ((({setting.name} >= {setting.minimum}) AND ({setting.name} <= {setting.maximum})))"
        for setting in SETTINGS
        if setting.type == "integer"
    ]

    assert [check for check in expected if check not in checks.values()] == []


def test_choices_are_those_of_their_constraint() -> None:
    for setting in SETTINGS:
        if setting.type == "choice":
            check = SOURCE.catalogue["constraints"][f"policies_{setting.name}_check on bookingdb.policies"]
            listed = ", ".join(f"'{choice}'::text" for choice in setting.choices)
            assert check["definition"] == f"CHECK (({setting.name} = ANY (ARRAY[{listed}])))"


NUMBER = Setting("number", "integer", "A number.", 1, minimum=0, maximum=9)
FLAG = Setting("flag", "boolean", "A flag.", False)


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("  :name = r.:name -- for each setting\n;", "  number = r.number,\n  flag = r.flag\n;"),
        ("  f(:name), -- for each setting\n  true", "  f(number),\n  f(flag),\n  true"),
        (
            "(:'name', :'type', :'minimum') -- for each setting",
            "('number', 'integer', '0'),\n('flag', 'boolean', NULL)",
        ),
        (
            "f(:name), -- for each setting up to number\ng,\nh(:name) -- for each setting after number\n)",
            "f(number),\ng,\nh(flag)\n)",
        ),
        (":name\n", ":name\n"),
    ],
)
def test_marked_line_stands_once_for_every_setting(line: str, written: str) -> None:
    assert policy_settings.write_for_each([NUMBER, FLAG], line) == written


def test_mark_that_names_no_setting_is_refused() -> None:
    with pytest.raises(source.SourceError, match="f: no setting is called flags"):
        policy_settings.write_for_each([NUMBER, FLAG], "f -- for each setting after flags")


def test_no_function_keeps_a_mark() -> None:
    assert [function.path for function in SOURCE.functions if "for each setting" in function.text] == []


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("[a\n", "Expected ']'"),
        ("[a]\ntype = 'boolean'\ndefault = true\n", "sentence"),
        ("[a]\ntype = 'boolean'\ndefault = true\nsentence = 'A.'\ncolour = 1\n", "colour"),
        ("[a]\ntype = 'flag'\ndefault = true\nsentence = 'A.'\n", "a has no type such as integer: flag"),
        ("[a]\ntype = 'integer'\ndefault = 1\nsentence = 'A.'\nminimum = 1\n", "a needs minimum and maximum"),
        ("[a]\ntype = 'boolean'\ndefault = true\nsentence = 'A.'\nminimum = 1\nmaximum = 2\n", "a cannot have minimum"),
        ("[a]\ntype = 'choice'\ndefault = 'b'\nsentence = 'A.'\nchoices = ['b']\n", "a: a choice, and no other type"),
        ("[a]\ntype = 'boolean'\ndefault = true\nsentence = 'A.'\nchoices = ['b', 'c']\n", "a: a choice, and no"),
        ("[a]\ntype = 'choice'\ndefault = 'd'\nsentence = 'A.'\nchoices = ['b', 'c']\n", "a cannot be its default"),
    ],
)
def test_a_wrong_table_is_refused(table: str, problem: str) -> None:
    with pytest.raises(source.SourceError, match=f"^sql/policy_settings.toml: .*{problem}"):
        policy_settings.read(SqlFile("policy_settings.toml", table))
