"""Addresses, logins and merges in the application's own tables of people."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.apps import CLIENT, POOR, THERAPIST, App
from tests.support import Connection, run, scalar
from tests.support.adoption import balance, some_apps, violations
from tests.support.refusals import refused

ACTIVE = "select is_active, full_name from bookingdb.people where id = %s"


def test_a_client_passes_on_and_logs_in_anew(app: App, owner: Connection) -> None:
    had = balance(owner, POOR) + balance(owner, CLIENT)
    # Two who have sessions at the same time are two people.
    run(owner, "update sessions set status = 'cancelled' where user_id = %s and status <> 'completed'", POOR)
    run(owner, "select merge_clients(%s, %s, 'registered twice')", POOR, CLIENT)
    assert balance(owner, CLIENT) == had
    assert run(owner, "select id from sessions where user_id = %s", POOR) == []
    ((is_active, full_name),) = run(owner, ACTIVE, POOR)
    assert (is_active, full_name or None) == (False, None)
    assert violations(owner) == []

    new = uuid4()
    if app.adapter == "profiles" or app.name == "single_balance":
        # Accounts make people there.
        with refused("user_not_found"):
            run(owner, "select change_login(%s, %s)", CLIENT, new)
        return
    address = scalar(owner, "select email from bookingdb.people where id = %s", CLIENT)
    run(owner, "select change_login(%s, %s)", CLIENT, new)
    assert balance(owner, new) == had
    assert scalar(owner, "select email from bookingdb.clients where id = %s", new) == address
    assert violations(owner) == []


@pytest.mark.parametrize("person", [CLIENT, THERAPIST])
def test_an_address_changes_where_the_application_has_it(app: App, owner: Connection, person: object) -> None:
    if app.adapter == "profiles":
        with refused("invalid_parameter") as refusal:
            run(owner, "select change_email(%s, 'new@example.org')", person)
        assert refusal.detail["reason"] == "kept_elsewhere"
        return
    bookable = run(owner, "select id from bookingdb.therapists order by 1")
    run(owner, "select change_email(%s, 'new@example.org')", person)
    assert scalar(owner, "select email from bookingdb.people where id = %s", person) == "new@example.org"
    # An enrollment follows.
    assert run(owner, "select id from bookingdb.therapists order by 1") == bookable


@some_apps("enrollments")
def test_enrollment_under_the_new_address_stays(app: App, owner: Connection) -> None:
    run(
        owner,
        "insert into therapist_enrollments (email, status, is_active) values ('new@example.org', 'approved', true)",
    )
    old = scalar(owner, "select email from bookingdb.people where id = %s", THERAPIST)
    run(owner, "select change_email(%s, 'New@example.org')", THERAPIST)
    assert run(owner, "select email from therapist_enrollments where lower(email) = lower(%s)", old) == []
    assert (THERAPIST,) in run(owner, "select id from bookingdb.therapists")
