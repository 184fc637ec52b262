"""Who may do what afterwards."""

from __future__ import annotations

import re

from bookingdb.adoption import application, plpgsql_text
from bookingdb.adoption.application import CALLERS, Policy
from bookingdb.adoption.plan.draft import CLEARING, FOLLOWING, Desk

# Tables of money: nobody from outside writes them.
MONEY = ("user_credits", "booking_audit_log")

# Conditions of policies that every logged-in user meets, without parentheses.
_EVERYBODY = re.compile(
    r"true|auth\.role = 'authenticated'(::text)?|auth\.jwt ->> 'role'(::text)? = 'authenticated'(::text)?"
    r"|(select )?auth\.uid( as uid)? is not null|select auth\.role as role = 'authenticated'(::text)?"
)


def _is_everybody(condition: str) -> bool:
    """Whether a condition holds for every row as soon as somebody is logged in.

    >>> _is_everybody("(auth.role() = 'authenticated'::text)"), _is_everybody("(auth.uid() = user_id)")
    (True, False)
    """
    return bool(_EVERYBODY.fullmatch(" ".join(re.sub(r"[()]", "", condition).lower().split())))


class SecurityPart(Desk):
    """Changes of privileges and policies."""

    def security(self) -> None:
        """Row level security, policies that let everybody write, and who keeps which privileges."""
        for table in self.app.tables:
            relation = self.app.relations[table]
            if not relation.row_security:
                self.tell(
                    "security",
                    f"public.{table} has no row level security; it gets it: from then on anon and authenticated read"
                    " and write there only what a policy lets them, whatever they are granted",
                )
                self.change(
                    CLEARING,
                    f"table public.{table}",
                    "row level security is switched on",
                    [f"alter table public.{table} enable row level security"],
                    [f"alter table public.{table} disable row level security"],
                )
        self.unguarded_sessions()
        for policy in self.app.policies:
            if policy.table in self.app.tables:
                self.tell("security", policy.definition)
                self.policy(policy)
        for opening in application.openings(self.connection, [t for t in MONEY if self.app.has(t)]):
            self.opening(opening)
        writable = self.ask(
            "money.writable",
            [
                f"Who may write {' and '.join(MONEY)} from outside can give credits to anybody.",
            ],
            {
                "revoke": "anon and authenticated no longer may",
                "keep": "they may as before: NOTHING KEEPS A CLIENT FROM GIVING HERSELF CREDITS",
            },
        )
        for table in self.app.tables:
            self.privileges(table, keep_writes=writable == "keep")

    def unguarded_sessions(self) -> None:
        """Sessions that users write in the browser and that nothing guarded: each goes on with her own."""
        relation = self.app.relations.get("sessions")
        if relation is None or relation.row_security or any(p.table == "sessions" for p in self.app.policies):
            return
        writes = re.compile(r"grant (INSERT|UPDATE|DELETE)(?: \(.*?\))? on table \S+ to (authenticated|public)\b")
        found = [match for grant in relation.grants if (match := writes.match(grant))]
        if "authenticated" not in self.app.roles or not found:
            return
        answer = self.ask(
            "rows.own_sessions",
            [
                "public.sessions has no row level security, and authenticated may"
                f" {', '.join(sorted({match[1].lower() for match in found}))} there: whoever is logged in can write"
                " everybody's sessions. Row level security ends that, and without a policy it ends all of it."
            ],
            {
                "policy": "users go on writing their own sessions, by a policy",
                "none": "only the application's server writes sessions",
            },
        )
        if answer == "policy":
            own = "user_id = (select bookingdb.actor_id()) or therapist_id = (select bookingdb.actor_id())"
            self.change(
                FOLLOWING,
                "policy bookingdb_own_sessions on public.sessions",
                "users write their own sessions as before",
                [
                    "create policy bookingdb_own_sessions on public.sessions for all to authenticated"
                    f" using ({own}) with check ({own})"
                ],
                ["drop policy bookingdb_own_sessions on public.sessions"],
            )

    def opening(self, opening: application.Opening) -> None:
        """A view over money that callers may write: it does so as its owner, whatever is revoked of the table."""
        who = " and ".join(opening.roles)
        answer = self.ask(
            f"view.{opening.view}",
            [f"{who} may write {opening.table} through the view {opening.view}, as its owner and without policies."],
            {"revoke": "they may read it, and no longer write it", "keep": "they may as before"},
        )
        if answer == "revoke":
            everybody = dict.fromkeys(grant.rpartition(" to ")[2].removesuffix(" with grant option")
                                      for grant in opening.grants)  # fmt: skip
            self.change(
                FOLLOWING,
                f"privileges on view {opening.view}",
                f"{who} could give credits through it",
                [f"revoke insert, update, delete on {opening.view} from {', '.join(opening.roles)}"],
                [f"revoke all on {opening.view} from {', '.join(everybody)}", *opening.grants],
            )

    def policy(self, policy: Policy) -> None:
        """A policy that lets callers write any row goes, or is bound to one's own rows."""
        is_open = all(condition is None or _is_everybody(condition) for condition in (policy.using, policy.check))
        if not (policy.is_permissive and policy.callers and policy.command != "select" and is_open):
            return
        key = f"policy.{policy.table}.{policy.name}"
        choices = {"narrow": "it is bound to one's own rows", "drop": "it goes", "keep": "it stays"}
        if policy.table in MONEY:
            choices = {"drop": "it goes", "keep": "it stays"}
        answer = self.ask(key, [policy.definition, "It lets callers write any row."], choices)
        if answer == "keep":
            return
        name = f"policy {policy.name} on public.{policy.table}"
        drop = f"drop policy {policy.name} on public.{policy.table}"
        self.change(CLEARING, name, "it let callers write any row", [drop], [plpgsql_text.readable(policy.definition)])
        if answer == "narrow":
            own = "user_id = (select bookingdb.actor_id()) or therapist_id = (select bookingdb.actor_id())"
            condition = own if policy.table == "sessions" else "id = (select bookingdb.actor_id())"
            head = re.match(r"create policy .*? for \w+ to .*?(?= using \(| with check \(|$)", policy.definition)
            assert head is not None
            using = "" if policy.command == "insert" else f" using ({condition})"
            check = "" if policy.command == "delete" else f" with check ({condition})"
            self.change(FOLLOWING, name, "it is bound to one's own rows", [f"{head[0]}{using}{check}"], [drop])

    def privileges(self, table: str, *, keep_writes: bool) -> None:
        """What callers could do with a table, they can afterwards, but for what would break a promise."""
        relation = self.app.relations[table]
        self.change(
            CLEARING,
            f"privileges on table public.{table}",
            "the installation grants anew",
            [],
            [*relation.grants, *relation.sequence_grants],
        )
        again, taken = [*relation.sequence_grants], []
        for grant in relation.grants:
            found = re.match(r"grant (\w+)(?: \(.*?\))? on table \S+ to (\S+)", grant)
            assert found is not None
            privilege, role = found[1].lower(), found[2]
            if role not in (*CALLERS, "service_role"):
                continue  # the installation leaves other roles alone
            is_write = privilege in ("insert", "update", "delete", "truncate")
            refused = privilege == "truncate" or (is_write and table in MONEY and role in CALLERS and not keep_writes)
            if privilege not in ("select", "insert", "update", "delete") or refused:
                if refused and role in CALLERS:
                    taken.append(f"{role}: {privilege}")
                continue
            again.append(grant)
        if taken:
            self.tell("security", f"public.{table}: taken away from " + ", ".join(taken))
        everything = re.compile(r"grant SELECT on table \S+ to (?:authenticated|public)\b")
        if "authenticated" in self.app.roles and not any(everything.match(grant) for grant in relation.grants):
            # Ours shows its own rows only; the application's policies may show everybody's, of some columns.
            again.insert(0, f"revoke select on table public.{table} from authenticated")
        if again:
            self.change(FOLLOWING, f"privileges on table public.{table}", "callers keep what they had", again)
            if any(grant.endswith((" to anon", " to public")) for grant in again):
                self.change(
                    FOLLOWING,
                    f"privileges of those who ask for rows of public.{table}",
                    "the policies ask who is there",
                    [
                        statement
                        for role in ("public", "anon")
                        if any(grant.endswith(f" to {role}") for grant in again)
                        for statement in (
                            f"grant usage on schema bookingdb to {role}",
                            f"grant execute on function bookingdb.caller_is_trusted(), bookingdb.actor_id() to {role}",
                        )
                    ],
                )
