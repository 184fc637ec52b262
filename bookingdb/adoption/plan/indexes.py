"""The plan for the tables' indexes: unique ones that contradict bookingdb, and ours that the application lacks."""

from __future__ import annotations

from bookingdb.adoption.application import Index
from bookingdb.adoption.plan.constraints import keeps_sessions_apart
from bookingdb.adoption.plan.draft import CLEARING, STRENGTHENING, PlanDraft
from bookingdb.adoption.plpgsql_text import inserts, readable
from bookingdb.adoption.statements import query

# Unique indexes that rows of an application may stand in the way of: the column, and what must be unique.
_UNIQUE = {
    "users_email_key": ("email", "lower(t.email)"),
    "user_credits_payment_reference_key": ("payment_reference", "t.payment_reference"),
}

_PAYMENTS = "user_credits_payment_reference_key"
_NOT_UNIQUE = (
    "several lots have one payment_reference, so nothing makes it unique: a direct INSERT can grant a payment twice"
)


def adapt_indexes(draft: PlanDraft, table: str) -> None:
    """Plan which indexes of a table go, and which are added."""
    own = [each for each in draft.app.indexes if each.table == table]
    for each in own:
        if each.is_unique and _contradicts(each):
            _ask_to_drop(draft, each)
    present = {each.bare_definition for each in own}
    taken = {each.name for each in draft.app.indexes} | {each.name for each in draft.app.constraints}
    for qualified, wanted in draft.source.catalogue["indexes"].items():
        name, definition = qualified.removeprefix("public."), wanted["definition"]
        is_there = definition.replace(f" INDEX {name} ON ", " INDEX ON ") in present
        if wanted["table"] != f"public.{table}" or is_there:
            continue
        if "UNIQUE" in definition and _has_duplicates(draft, table, name):
            draft.note("rows", f"public.{table} has duplicates in the way of the index {name}, which is left out")
            if name == _PAYMENTS:
                draft.note("payments", _NOT_UNIQUE)
            continue
        if name == _PAYMENTS:
            _note_payments(draft)
        made = f"{name}_bookingdb" if name in taken else name
        draft.change(
            STRENGTHENING,
            f"index public.{made}",
            "bookingdb looks rows up this way",
            [definition.replace(f" INDEX {name} ON ", f" INDEX {made} ON ")],
            [f"drop index public.{made}"],
        )


def _note_payments(draft: PlanDraft) -> None:
    """Say what a payment that is inserted twice meets, where the application's functions insert payments."""
    writers = [
        function.signature
        for function in draft.app.functions
        if any(
            insert.table == "user_credits" and "payment_reference" in insert.values
            for insert in inserts(function.source)
        )
    ]
    by = f" ({', '.join(writers)} insert it)" if writers else ""
    draft.note(
        "payments",
        f"user_credits.payment_reference becomes unique{by}: a second lot of one payment is refused with 23505"
        " (HTTP 409), where the application has inserted it so far",
    )


def _contradicts(each: Index) -> bool:
    """Tell whether a unique index refuses what bookingdb writes."""
    is_of_one_lot = each.table == "user_credits" and each.columns[:1] == ["user_id"]
    return is_of_one_lot or keeps_sessions_apart(each.table, "u", each.columns, each.definition)


def _ask_to_drop(draft: PlanDraft, each: Index) -> None:
    answer = draft.ask(
        f"index.{each.name}",
        [f"The unique index refuses a cancelled time that is booked again, or a second purchase: {each.definition}."],
        {"drop": "it goes", "keep": "it stays"},
    )
    if answer == "drop":
        reason = "bookingdb keeps sessions apart itself, and has a row for each purchase"
        draft.change(CLEARING, each.label, reason, [f"drop {each.label}"], [readable(each.definition)])


def _has_duplicates(draft: PlanDraft, table: str, index: str) -> bool:
    """Tell whether rows stand in the way of a unique index of ours."""
    column, expression = _UNIQUE.get(index, ("", ""))
    if draft.app.column(table, column) is None:
        return False
    text = query("plan/has_duplicates", relation=f"public.{table}", column=column, expression=expression)
    row = draft.connection.execute(text).fetchone()
    return bool(row and row[0])
