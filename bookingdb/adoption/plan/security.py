"""The plan for rights in the tables: row security, policies, privileges, views over money."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from bookingdb.adoption import application
from bookingdb.adoption.application import CALLERS, MONEY, Opening, Relation, RowPolicy
from bookingdb.adoption.plan.draft import CLEARING, FOLLOWING, PlanDraft
from bookingdb.adoption.plpgsql_text import readable

# Conditions of policies that every logged-in user meets, without parentheses.
_EVERYBODY = re.compile(
    r"true|auth\.role = 'authenticated'(::text)?|auth\.jwt ->> 'role'(::text)? = 'authenticated'(::text)?"
    r"|(select )?auth\.uid( as uid)? is not null|select auth\.role as role = 'authenticated'(::text)?"
)
# Conditions that bind users to their own rows.
_OWN_SESSIONS = "user_id = (select bookingdb.actor_id()) or therapist_id = (select bookingdb.actor_id())"
_OWN_ACCOUNT = "id = (select bookingdb.actor_id())"
# Everybody who reads rows needs EXECUTE on these, because the conditions of row policies call them.
_CALLED_BY_POLICIES = "function bookingdb.caller_is_trusted(), bookingdb.actor_id()"


def _is_everybody(condition: str) -> bool:
    """Tell whether a condition holds for every row as soon as somebody is logged in.

    >>> _is_everybody("(auth.role() = 'authenticated'::text)"), _is_everybody("(auth.uid() = user_id)")
    (True, False)
    """
    return bool(_EVERYBODY.fullmatch(" ".join(re.sub(r"[()]", "", condition).lower().split())))


def guard_tables(draft: PlanDraft) -> None:
    """Plan row level security, what becomes of policies that let everybody write, and who keeps which privileges."""
    for table in draft.app.tables:
        _switch_row_security_on(draft, table)
    _ask_about_own_sessions(draft)
    for policy in draft.app.policies:
        if policy.table in draft.app.tables:
            draft.note("security", policy.definition)
            _ask_about_policy(draft, policy)
    for opening in application.openings(draft.connection, [name for name in MONEY if draft.app.has(name)]):
        _ask_about_opening(draft, opening)
    writable = draft.ask(
        "money.writable",
        [f"Callers who may write {' and '.join(MONEY)} can give credits to anybody."],
        {
            "revoke": "anon and authenticated no longer may",
            "keep": "they may as before: NOTHING KEEPS A CLIENT FROM GIVING HERSELF CREDITS",
        },
    )
    for table in draft.app.tables:
        _keep_privileges(draft, draft.app.relations[table], keep_writes=writable == "keep")


def _switch_row_security_on(draft: PlanDraft, table: str) -> None:
    if draft.app.relations[table].row_security:
        return
    draft.note(
        "security",
        f"public.{table} has no row level security; it gets it: from then on anon and authenticated read and write"
        " there only what a policy lets them, whatever they are granted",
    )
    draft.change(
        CLEARING,
        f"table public.{table}",
        "row level security is switched on there",
        [f"alter table public.{table} enable row level security"],
        [f"alter table public.{table} disable row level security"],
    )


def _ask_about_own_sessions(draft: PlanDraft) -> None:
    """Ask about sessions that users write in the browser and that nothing guarded: they go on with their own."""
    relation = draft.app.relations.get("sessions")
    if relation is None or relation.row_security or any(each.table == "sessions" for each in draft.app.policies):
        return
    writes = re.compile(r"grant (INSERT|UPDATE|DELETE)(?: \(.*?\))? on table \S+ to (authenticated|public)\b")
    found = {match[1].lower() for grant in relation.grants if (match := writes.match(grant))}
    if "authenticated" not in draft.app.roles or not found:
        return
    answer = draft.ask(
        "rows.own_sessions",
        [
            f"public.sessions has no row level security, and authenticated may {', '.join(sorted(found))} there:"
            " whoever is logged in can write everybody's sessions. Row level security ends that, and without a policy"
            " it ends all of it."
        ],
        {
            "policy": "users go on writing their own sessions, by a policy",
            "none": "only the application's server writes sessions",
        },
    )
    if answer == "policy":
        name = "policy bookingdb_own_sessions on public.sessions"
        conditions = f"using ({_OWN_SESSIONS}) with check ({_OWN_SESSIONS})"
        draft.change(
            FOLLOWING,
            name,
            "users write their own sessions as before",
            [f"create {name} for all to authenticated {conditions}"],
            [f"drop {name}"],
        )


def _ask_about_opening(draft: PlanDraft, opening: Opening) -> None:
    """Ask about a view that writes money as its owner, whatever is revoked of the table."""
    who = " and ".join(opening.roles)
    answer = draft.ask(
        f"view.{opening.view}",
        [f"{who} may write {opening.table} through the view {opening.view}, as its owner and without policies."],
        {"revoke": "they may read it, and no longer write it", "keep": "they may as before"},
    )
    if answer == "revoke":
        grantees = (grant.rpartition(" to ")[2].removesuffix(" with grant option") for grant in opening.grants)
        draft.change(
            FOLLOWING,
            f"privileges on view {opening.view}",
            f"{who} could give credits through it",
            [f"revoke insert, update, delete on {opening.view} from {', '.join(opening.roles)}"],
            [f"revoke all on {opening.view} from {', '.join(dict.fromkeys(grantees))}", *opening.grants],
        )


def _ask_about_policy(draft: PlanDraft, policy: RowPolicy) -> None:
    """Ask about a policy that lets callers write any row: it goes, or is bound to one's own rows."""
    is_open = all(condition is None or _is_everybody(condition) for condition in (policy.using, policy.check))
    if not (policy.is_permissive and policy.callers and policy.command != "select" and is_open):
        return
    choices = {"narrow": "it is bound to one's own rows", "drop": "it goes", "keep": "it stays"}
    if policy.table in MONEY:
        del choices["narrow"]
    evidence = [f"This row policy lets callers write any row: {policy.definition}."]
    answer = draft.ask(f"policy.{policy.table}.{policy.name}", evidence, choices)
    if answer == "keep":
        return
    reason = "callers could write any row by this"
    draft.change(CLEARING, policy.label, reason, [policy.removal], [readable(policy.definition)])
    if answer == "narrow":
        draft.change(
            FOLLOWING, policy.label, "callers can write their own rows only", [_narrowed(policy)], [policy.removal]
        )


def _narrowed(policy: RowPolicy) -> str:
    """Return the statement that makes a policy for one's own rows alone."""
    condition = _OWN_SESSIONS if policy.table == "sessions" else _OWN_ACCOUNT
    head = re.match(r"create policy .*? for \w+ to .*?(?= using \(| with check \(|$)", policy.definition)
    assert head is not None
    using = "" if policy.command == "insert" else f" using ({condition})"
    check = "" if policy.command == "delete" else f" with check ({condition})"
    return f"{head[0]}{using}{check}"


@dataclass
class _Kept:
    """The grants of a table that are made again, and the privileges that are taken away from callers."""

    grants: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)


def _sorted_out(relation: Relation, *, keep_writes: bool) -> _Kept:
    """Sort the grants of a table: what would break a promise is taken away, everything else made again."""
    kept = _Kept([*relation.sequence_grants])
    for grant in relation.grants:
        found = re.match(r"grant (\w+)(?: \(.*?\))? on table \S+ to (\S+)", grant)
        assert found is not None
        privilege, role = found[1].lower(), found[2]
        if role not in (*CALLERS, "service_role"):
            continue  # the installation leaves other roles alone
        is_write = privilege in ("insert", "update", "delete")
        gives_money = is_write and relation.name in MONEY and role in CALLERS and not keep_writes
        if gives_money or privilege == "truncate":
            if role in CALLERS:
                kept.taken.append(f"{role}: {privilege}")
        elif is_write or privilege == "select":
            kept.grants.append(grant)
    return kept


def _keep_privileges(draft: PlanDraft, relation: Relation, *, keep_writes: bool) -> None:
    """Let callers do with a table what they could before, but for what would break a promise."""
    name = f"public.{relation.name}"
    draft.change(
        CLEARING,
        f"privileges on table {name}",
        "the installation grants anew",
        [],
        [*relation.grants, *relation.sequence_grants],
    )
    kept = _sorted_out(relation, keep_writes=keep_writes)
    if kept.taken:
        draft.note("security", f"{name}: taken away from " + ", ".join(kept.taken))
    everything = re.compile(r"grant SELECT on table \S+ to (?:authenticated|public)\b")
    if "authenticated" in draft.app.roles and not any(everything.match(grant) for grant in relation.grants):
        # Ours shows its own rows only; the application's policies may show everybody's, of some columns.
        kept.grants.insert(0, f"revoke select on table {name} from authenticated")
    if kept.grants:
        draft.change(FOLLOWING, f"privileges on table {name}", "callers keep what they had", kept.grants)
    asking = [role for role in ("public", "anon") if any(grant.endswith(f" to {role}") for grant in kept.grants)]
    if asking:
        draft.change(
            FOLLOWING,
            f"privileges of those who ask for rows of {name}",
            "the row policies ask who is calling",
            [
                statement
                for role in asking
                for statement in (
                    f"grant usage on schema bookingdb to {role}",
                    f"grant execute on {_CALLED_BY_POLICIES} to {role}",
                )
            ],
        )
