"""The plan for the application's functions: those of bookingdb's names, and those that give credits away."""

from __future__ import annotations

import re

from bookingdb.adoption import application
from bookingdb.adoption.application import MONEY, Function
from bookingdb.adoption.plan.draft import CLEARING, FOLLOWING, PlanDraft
from bookingdb.adoption.plpgsql_text import effects, givers
from bookingdb.adoption.statements import one_line
from bookingdb.install.session import literal


def replace_functions(draft: PlanDraft) -> None:
    """Plan which functions bookingdb's replace; ask about those that hand out credits."""
    ours = frozenset(file.name for file in draft.source.public_functions)
    giving = givers(application.bodies(draft.connection), "user_credits", ours)
    _note_triggers_elsewhere(draft)
    for function in draft.app.functions:
        if function.name in ours:
            _replace(draft, function)
        else:
            _guard(draft, function, gives_credits=function.name in giving)
    writing = {each.name for each in draft.app.functions if each.name in ours and each.is_volatile}
    _refuse_old_calls(draft, sorted(writing))


def _note_triggers_elsewhere(draft: PlanDraft) -> None:
    for name, table, source, is_definer in application.triggers_elsewhere(draft.connection):
        seen = effects(source)
        if written := sorted((seen.inserts | seen.changes) & set(MONEY)):
            who = (
                f"its owner, for whoever may write {table}: look at who that is"
                if is_definer
                else f"whoever writes {table}: anon and authenticated fail there when they may not"
            )
            draft.note("triggers", f"{table}: {name} writes {', '.join(written)} as {who}")


def _replace(draft: PlanDraft, function: Function) -> None:
    """Plan that a function of bookingdb's takes the place of one of its name."""
    line = f"{function.signature} returns {function.result}; its place is taken by bookingdb's"
    names = _our_parameters(draft, function.name)
    unknown = [name for name in function.argument_names if name and name not in names]
    if unknown:
        line += f"; callers that name {', '.join(unknown)} must be changed: bookingdb's are {', '.join(names)}"
    draft.note("functions", line)
    turned = [
        (name, names[place])
        for place, name in enumerate(function.argument_names)
        if name in names and place < len(names) and names[place] != name
    ]
    evidence = [f"{line}."]
    if turned:
        evidence.append(
            f"Its parameters stand in the order {', '.join(function.argument_names)}, and those of bookingdb in the"
            f" order {', '.join(names)}. Callers that give them by position must be changed."
        )
    if unknown or turned:
        choices = {"replace": "bookingdb's takes its place all the same", "stop": "nothing is adopted"}
        if draft.ask(f"replace.{function.signature}", evidence, choices) == "stop":
            draft.problems.append(f"{function.signature} must not be replaced, as answered")
        elif unknown:
            draft.risks.append(f"Callers of {function.signature} fail until they use the parameters of bookingdb.")
    if turned:
        passed = ", ".join(f"{theirs} for {ours}" for theirs, ours in turned)
        draft.risks.append(f"Callers of {function.signature} by position pass {passed}, until they are changed.")
    if function.dependents:
        users = ", ".join(function.dependents)
        draft.problems.append(f"{function.signature} is used by {users}, and must be replaced: drop or rename it first")
    undo = [
        function.definition,
        f"alter {function.label} owner to {function.owner}",
        *_old_grants(draft, function),
    ]
    if function.comment:
        undo.append(f"comment on {function.label} is {literal(function.comment)}")
    reason = "bookingdb has the function of this name"
    draft.change(CLEARING, f"function {function.signature}", reason, [f"drop {function.label}"], undo)


def _refuse_old_calls(draft: PlanDraft, names: list[str]) -> None:
    """Plan that calls of replaced functions which wait for the tables write nothing when they go on.

    Their bodies are still the old ones. Those of functions that are not volatile write nothing.
    """
    for table in draft.app.tables if names else ():
        arguments = ", ".join(map(literal, names))
        # Its object is no trigger that `verify` misses: nobody needs it when the hour is over.
        draft.change(
            FOLLOWING,
            f"calls of replaced functions that write public.{table}",
            "those that wait for the adoption end with 503 (busy), and find bookingdb's function when they are retried",
            [one_line("plan/refuse_old_calls", table=f"public.{table}", names=arguments)],
            [f"drop trigger if exists bookingdb_old_calls on public.{table}"],
        )


def _our_parameters(draft: PlanDraft, name: str) -> list[str]:
    functions = draft.source.catalogue["functions"]
    ours = next((wanted for signature, wanted in functions.items() if signature.startswith(f"public.{name}(")), None)
    return re.findall(r"\b(p_\w+)", ours["arguments"]) if ours else []


def _old_grants(draft: PlanDraft, function: Function) -> list[str]:
    """Return the statements that give back who could run a function, and nobody else."""
    everybody = ", ".join(["public", *draft.app.roles])
    return [f"revoke all on {function.label} from {everybody}", *function.grants]


def _guard(draft: PlanDraft, function: Function, *, gives_credits: bool) -> None:
    """Ask about a function of the application's own that callers can give themselves credits with."""
    if function.result == "trigger" or function.language in ("c", "internal"):
        return
    seen = effects(function.source)
    touched = (seen.inserts | seen.changes) & {"sessions", *MONEY}
    if gives_credits:
        touched |= {"user_credits"}
    if not touched:
        return
    who = " and ".join(function.callers) or "nobody from outside"
    draft.note("functions", f"{function.signature} writes {', '.join(sorted(touched))}; {who} may run it")
    if "user_credits" not in touched or not function.callers:
        return
    answer = draft.ask(
        f"function.{function.signature}",
        [
            f"{function.signature} writes user_credits, and {who} may run it"
            + (" as its owner." if function.is_definer else ".")
        ],
        {"revoke": "only the application's server may run it", "keep": "it stays as it is"},
    )
    if answer == "revoke":
        is_on_supabase = "service_role" in draft.app.roles
        draft.change(
            CLEARING,
            f"function {function.signature}",
            f"{who} could hand out credits with it",
            [
                f"revoke all on {function.label} from {', '.join(function.callers)}",
                *([f"grant execute on {function.label} to service_role"] if is_on_supabase else []),
            ],
            _old_grants(draft, function),
        )
