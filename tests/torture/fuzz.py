"""Generated arguments for every public function, by every kind of caller: nothing but the errors of the table."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bookingdb.install import installer
from bookingdb.install.trust import trust
from tests.support import TOMORROW, Connection, World, connect, run
from tests.support.refusals import PROMISED
from tests.torture import wire
from tests.torture.figures import Figures
from tests.torture.goal import Goal
from tests.torture.server import Server

NAME = "generated arguments"

ROLES = """
    create role anon nologin noinherit;
    create role authenticated nologin noinherit;
    create role service_role nologin noinherit bypassrls;
    create role authenticator login noinherit;
    create role stranger login;
    create role app_server login;
    grant anon, authenticated, service_role to authenticator;
"""
NAMES = ("app_server", "stranger", "authenticator", "service_role", "authenticated", "anon")

LONG = "x" * 20_000
TEXTS = [
    "", " ", "x", "x" * 255, "x" * 256, LONG, "Berlin\u00e9\u6f22\U0001f600", "'; drop table users; --", "%s %(a)s $1",
    "Europe/Berlin", "UTC", "Mars+5", "a@example.com", "\n\t\\", "NaN", "null", "paid", "promotional", "external",
]  # fmt: skip
VALUES: dict[str, list[str | None]] = {
    "boolean": ["true", "false"],
    "integer": ["0", "1", "-1", "15", "45", "60", "180", "181", "10000", "2147483647", "-2147483648"],
    "date": [
        str(TOMORROW), str(TOMORROW), str(TOMORROW), "2000-01-01", "0001-01-01", "4713-01-01 BC", "5874897-12-31",
        "infinity", "-infinity", "2999-12-31", "3000-01-01", "2030-03-31",
    ],
    "time": ["10:00", "10:00", "11:30", "00:00", "23:59", "24:00", "10:00:30", "10:00:00.000001", "02:30"],
    "timestamptz": [
        f"{TOMORROW} 10:00+00", f"{TOMORROW} 12:00+00", "2000-01-01 00:00+00", "infinity", "-infinity",
        "294276-12-31 23:59:59+00", "4713-01-01 00:00+00 BC", "3000-01-01 00:00+00", f"{TOMORROW} 10:00:00.5+05:45",
    ],
    "double precision": ["1", "0.5", "0", "-1", "1.5", "NaN", "Infinity", "1e-300"],
    "interval": [
        "1 hour", "5 minutes", "0", "-1 hour", "1 month", "1 day", "7 days", "178000000 years", "-178000000 years",
        "1 microsecond", "24:00:00",
    ],
    "text": [*TEXTS],
    "varchar": [*TEXTS],
    "jsonb": [
        "{}", "[]", "null", "1", "1e400", '"text"', '[{"weekday": 1, "start": "09:00", "end": "17:00"}]',
        '[{"day": 1, "from": "09:00", "to": "24:00"}]', '[{"start": null}]', '{"time_zone": "Mars+5"}',
        '{"buffer_before_minutes": -1}', '{"maximum_advance": "infinity"}', '{"minimum_notice": []}',
        '{"hold_lifetime": "1 hour", "x": 1}', '[[[[[[[[]]]]]]]]', '[null, 1, {}]', json.dumps({"a": LONG}),
    ],
}  # fmt: skip
ID = re.compile(r"\(([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}),")
Caller = tuple[str, str, str | None]
# So many calls, then other people.
GENERATION = 20_000
# The SQLSTATE of an error of the table, and of one for want of EXECUTE.
OURS = re.compile(r"state=(?:PT\d{3}|42501) ")


@contextmanager
def _world(server: Server) -> Iterator[World]:
    """A database whose installation found all roles there are; they are gone after it."""
    with connect(server.url()) as superuser:
        run(superuser, ROLES)
        run(superuser, "create database fuzz owner owner")
    url = server.url("fuzz", "owner")
    try:
        with connect(url) as connection:
            installer.migrate(connection)
            trust(connection, "app_server")
            run(connection, "grant usage on schema public, bookingdb to stranger, anon")
            if server.sabotage:
                run(connection, server.sabotage)
            yield World(url, connection)
    finally:
        with connect(server.url()) as superuser:
            run(superuser, "drop database fuzz with (force)")
            for name in NAMES:
                run(superuser, f"drop role {name}")


def _signatures(world: World) -> list[tuple[str, list[tuple[str, str]], int]]:
    """Name, parameters with their types, and how many of the last have a default."""
    return [
        (name, list(zip(names[: len(types)], types, strict=True)), defaults)
        for name, names, types, defaults in world.run(
            """
            select p.proname, p.proargnames, array(
                select format_type(t.oid, null) from unnest(p.proargtypes) with ordinality as t (oid, place)
                order by t.place
            ), p.pronargdefaults
            from pg_proc as p
            where p.pronamespace = 'public'::regnamespace
                and exists (
                    select from pg_proc as e where e.proname = p.proname and e.pronamespace = 'bookingdb'::regnamespace
                )
            order by 1
            """
        )
    ]


TYPES = {
    "character varying": "varchar", "time without time zone": "time", "timestamp with time zone": "timestamptz",
}  # fmt: skip


class Fuzz:
    """Makes calls up, from values that are wrong in every way and ids that are right."""

    def __init__(self, world: World, figures: Figures, seed: int = 12) -> None:
        """Put some people there, and something for every id to be one of."""
        self.choose = random.Random(seed)
        self.figures = figures
        self.signatures = _signatures(world)
        self.therapists = [world.therapist("Europe/Berlin"), world.therapist()]
        self.clients = [world.client(credits=500) for _ in range(3)]
        self.ids = [str(id_) for id_ in (*self.therapists, *self.clients)]
        for hour in range(6, 10):
            self.ids.append(str(world.book(self.clients[0], self.therapists[0], f"{hour:02}:00")["id"]))
        self.ids += [str(lot) for (lot,) in world.run("select id from user_credits")]
        self.ids += ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]

    def callers(self) -> list[Caller]:
        """Login, role, claims."""
        people = (self.clients[0], self.therapists[0])
        claims = [json.dumps({"sub": str(person), "role": "authenticated"}) for person in people]
        odd = ["", "{", "[]", '{"sub": 1}', '{"sub": "x"}', '{"sub": null}', json.dumps({"sub": self.ids[-1]})]
        return [
            ("owner", "", None), ("app_server", "", None), ("stranger", "", None),
            ("authenticator", "service_role", None), ("authenticator", "anon", None),
            *(("authenticator", "authenticated", text) for text in (*claims, *claims, *odd)),
        ]  # fmt: skip

    def value(self, type_: str, parameter: str = "") -> Any:
        if self.choose.random() < 0.6:
            # Right, most likely: or no call would come far.
            people = {"p_user_id": self.clients, "p_therapist_id": self.therapists}.get(parameter)
            if people is not None:
                return self.choose.choice(people)
            if type_ in VALUES:
                return "x" if type_ in ("text", "varchar") else VALUES[type_][self.choose.choice((0, 1))]
        if self.choose.random() < 0.08:
            return None
        if type_ == "uuid":
            return self.choose.choice(self.ids)
        if type_.endswith("[]"):
            return [self.value(type_[:-2]) for _ in range(self.choose.choice((0, 1, 2, 3, 70)))]
        return self.choose.choice(VALUES[type_])

    def call(self) -> tuple[str, wire.Call, str]:
        """Return the function, the call, and the values for who wants to read them."""
        name, parameters, defaults = self.choose.choice(self.signatures)
        given = {}
        for place, (parameter, type_) in enumerate(parameters):
            if place < len(parameters) - defaults or self.choose.random() < 0.5:
                short = TYPES.get(type_, type_)
                given[parameter] = (short, self.value(short, parameter))
        arguments = ", ".join(
            f"{parameter} => ${place}::{type_}" for place, (parameter, (type_, _)) in enumerate(given.items(), start=1)
        )
        statement = f"select r::text from public.{name}({arguments}) as r".encode()
        return name, (statement, [wire.text(value) for _, value in given.values()]), str(given)

    def run(self, callers: list[Caller], connections: list[Connection], goal: Goal) -> None:
        """Let each of the callers call, on a connection of its own; a generation of calls at most."""
        asked: dict[int, tuple[str, str]] = {}
        until = self.figures.operations + GENERATION

        def ask(place: int) -> wire.Call | None:
            under_way = self.figures.operations + len(asked)
            if under_way >= until or not goal.goes_on(under_way):
                return None
            name, call, values = self.call()
            asked[place] = (name, values)
            return call

        def answered(place: int, answer: wire.Answer) -> None:
            (code, rows), (name, values), caller = answer, asked.pop(place), callers[place]
            if code == "done":
                for row in rows:
                    # What was made is there for later calls.
                    if len(self.ids) < 400 and (made := ID.match((row or b"").decode())):
                        self.ids.append(made[1])
            else:
                is_let_in = caller[0] != "stranger" and caller[1] != "anon"
                if not (code in PROMISED or (code == "42501" and not is_let_in)):
                    self.figures.wrong.append(f"{code} {caller}: {name} {values}: {rows}"[:1500])
            self.figures.operations += 1
            self.figures.other[code] += 1

        wire.stream(connections, ask, answered)


def _login(world: World, who: Caller, stack: ExitStack) -> Connection:
    login, role, claims = who
    connection = stack.enter_context(world.connect(user=login))
    # Longer than any call needs, and none may end with it.
    run(connection, "set statement_timeout = '30s'")
    if role:
        run(connection, f"set role {role}")
    if claims is not None:
        run(connection, "select set_config('request.jwt.claims', %s, false)", claims)
    return connection


def alarms(text: str) -> list[str]:
    """The lines of a server's log that are above WARNING and none of ours: written with their SQLSTATE.

    What a caller without the right is told has one, too; and what was cancelled or cut off at the end has none of ours.
    """
    above = re.compile(r"\b(?:ERROR|FATAL|PANIC):|terminated by signal")
    return [line for line in text.splitlines() if above.search(line) and not OURS.search(line)]


def torture(server: Server, seconds: float, calls: float = float("inf")) -> Figures:
    """Call everything as everybody; then the invariants hold, and the server's log has nothing of its own to say."""
    figures = Figures(NAME)
    refused = 0
    with _world(server) as world:
        goal = Goal(NAME, seconds, calls, at_least=2_000)
        while goal.goes_on(figures.operations):
            # Other people now and then: nobody has as many sessions and lots as a million calls make.
            fuzz = Fuzz(world, figures, seed=figures.operations)
            figures.rounds = len(fuzz.signatures)
            said = server.log.stat().st_size
            with ExitStack() as stack:
                callers = fuzz.callers()
                connections = [_login(world, caller, stack) for caller in callers]
                fuzz.run(callers, connections, goal)
            log = server.said(said)
            figures.wrong += [f"server log: {line[:500]}" for line in alarms(log)]
            refused += len(re.findall(r"state=PT\d{3} ", log))
        figures.wrong += [f"invariant: {violation}" for violation in world.violations()]
    # By kind: the codes themselves would be a long list.
    done, other = figures.other.pop("done", 0), figures.other
    figures.other = other.__class__({"done": done, "refused by the table": other.total() - other["42501"]})
    figures.other["refused for want of EXECUTE"] = other["42501"]
    figures.times.append(f"{figures.rounds} functions, {len(other)} different errors")
    figures.times.append(f"{refused:,} lines of ours in the server's log, none above WARNING that is not")
    if refused != figures.other["refused by the table"]:
        figures.wrong.append(f"{refused} lines of ours in the log of {figures.other['refused by the table']} refusals")
    return figures
