"""Holds what is installed, and what others hung onto it, against the rules of Supabase's advisors. Changes nothing.

The rules have the names that Supabase's dashboard and command line give them. They look only at what bookingdb answers
for, look closer there, and need none of Supabase's roles: they work on any Postgres.

A rule is a file of ``sql/lint``, and nothing else. Its number says when its findings are told. The comment at its top
begins with the title and may have a line ``remedy:``. The query finds where the rule is broken: the object, what is
wrong with it, and the statements that put it right.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from psycopg.types.json import Jsonb

from bookingdb import queries
from bookingdb.checks import catalogue, remedies
from bookingdb.checks.finding import Finding
from bookingdb.install import installer
from bookingdb.install.owner import refuse_more_rights
from bookingdb.install.script import NAME_PREFIX
from bookingdb.install.session import Connection, prepare
from bookingdb.install.source import Source

# Subjects that the rules speak about; each is defined in sql/subjects, from those before it.
SUBJECTS = (*catalogue.OURS, "tables", "callers", "exposed", "row_policies", "views", "indexes", "replaceable")


@dataclass(frozen=True)
class Rule:
    """Something that should be nowhere.

    ``query`` names the file that finds where it is. ``remedy`` is the advice, in which ``{run}`` stands for "Run" and
    the statements that the query gives.

    Example: `rules`
    """

    name: str
    title: str
    query: str
    remedy: str


@cache
def rules() -> tuple[Rule, ...]:
    """Read the rules, in the order in which their findings are told.

    >>> rules()[0].name
    'rls_disabled_in_public'
    """
    return tuple(
        Rule(
            name=query.partition("_")[2],
            title=queries.heading("bookingdb.checks", query).partition("\n")[0],
            query=query,
            remedy=queries.remark("bookingdb.checks", query, "remedy") or "{run}",
        )
        for query in queries.names("bookingdb.checks", "lint")
    )


def lint(connection: Connection, *, source: Source | None = None) -> list[Finding]:
    """Check the installed objects, and what hangs on our tables, against `rules`.

    Objects of others count where they concern our tables: policies, indexes, foreign keys, columns, trigger functions,
    and views over them. Other objects of an application are not looked at.

    Reads the catalogue only, in one transaction whose settings end with it: any role may do it, on a standby and
    through a transaction pooler as well.

    Args:
        connection: an open connection, not inside a transaction.
        source: the files that say what is ours; those of this package when left out.

    Returns:
        One finding for each object that breaks a rule, none when all is well. ``group`` is the name of the rule.

    Example:
        >>> with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        ...     print(len(lint(connection)))
        0
    """
    refuse_more_rights(connection)
    source = source or installer.installed_source(connection)
    with connection.transaction(force_rollback=True):
        prepare(connection, read_only=True)
        # Not by name: a role that may not use the schema would get an error.
        installed = "select from pg_class where relname = 'history' and relnamespace = to_regnamespace('bookingdb')"
        if not connection.execute(installed).fetchall():
            return [Finding("installation", "bookingdb", "is not installed", remedies.MIGRATE)]
        values = _values(source)
        accepted = installer.accepted_differences(connection)
        return [
            Finding(rule.name, name, problem, rule.remedy.replace("{run}", remedies.run(*statements)))
            for rule in rules()
            for name, problem, statements in connection.execute(
                catalogue.query(source, rule.query, subjects=SUBJECTS, **values) + "\norder by 1, 2"
            )
            if (rule.name, name, problem) not in accepted
        ]


def _values(source: Source) -> dict[str, Any]:
    """Return the values for the placeholders of the queries."""
    constraints = source.catalogue.get("constraints", {})
    return {
        "prefix": NAME_PREFIX,
        "secured": source.secured_tables,
        "installed": [*source.catalogue.get("indexes", {}), *constraints],
        "indexes": Jsonb(source.catalogue.get("indexes", {})),
        "primary_keys": Jsonb(
            {
                wanted["table"]: remedies.making("constraints", name, wanted)
                for name, wanted in constraints.items()
                if wanted["definition"].startswith("PRIMARY KEY")
            }
        ),
        "sensitive": SENSITIVE_COLUMNS,
        "reapply": "bookingdb migrate --reapply",
    }


# Names of columns that say that others must not see them: the advisors' own list.
SENSITIVE_COLUMNS = (
    "password", "passwd", "pwd", "passphrase", "secret", "secret_key", "private_key", "api_key", "apikey", "auth_key",
    "token", "jwt", "access_token", "refresh_token", "oauth_token", "session_token", "bearer_token", "auth_code",
    "session_id", "session_key", "session_secret", "recovery_code", "backup_code", "verification_code", "otp",
    "two_factor", "2fa_secret", "2fa_code", "ssn", "social_security", "social_security_number", "driver_license",
    "drivers_license", "license_number", "passport_number", "passport_id", "national_id", "tax_id", "credit_card",
    "card_number", "cvv", "cvc", "cvn", "bank_account", "account_number", "routing_number", "iban", "swift_code", "bic",
    "health_record", "medical_record", "patient_id", "insurance_number", "health_insurance", "medical_insurance",
    "treatment", "mac_address", "macaddr", "imei", "device_uuid", "pgp_key", "gpg_key", "ssh_key", "certificate",
    "license_key", "activation_key", "facial_recognition",
)  # fmt: skip
