"""The examples of README and docs, run; what they show is what they print.

A block of ``sql``, ``python`` or ``js`` runs in the document's own database, in order; the block of ``text`` right
after it is its output. A second word after the language (```` ```sql signature ````) marks what is shown and not run.

A block of ``console`` is a script of commands, all of a document in one folder. Ids, and moments that are not in 2030,
are those of the day on which the document was written.

A document with JavaScript runs in a Supabase project. A block of it is the body of an async function that knows
``supabase``, a client of the logged-in user (in ```` ```js service ```` of the service role); ``user``, the ``id`` and
``email`` of ada@example.com, registered or not; ``therapistId``, that of grace@example.com; and ``cartId``.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from bookingdb.install.source import load
from tests.support import ROOT, World
from tests.support.calls import CALLS, Allowed
from tests.support.commands import COMMANDS
from tests.support.postgrest import serving
from tests.support.supabase_clients import run_example

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+|js service)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)

UUIDS = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
MOMENTS = re.compile(
    r"\b(?!2030)20\d\d-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|\+00:00)?)?"
    r"|\b[A-Z][a-z]{2} \d{1,2} [A-Z][a-z]{2} (?!2030)20\d\d \d\d:\d\d"
)

# The id that Supabase Auth gave to ada@example.com.
NOT_YET_REGISTERED = UUID("0ada0ada-0ada-4ada-8ada-0ada0ada0ada")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_examples_print_what_the_document_shows(
    document: Path, request: pytest.FixtureRequest, bin_dir: Path, tmp_path: Path
) -> None:
    text = document.read_text(encoding="utf-8")
    is_of_adopted = "execute function bookingdb.schedules_changed" in text
    is_of_supabase = re.search(r"^```js\b", text, re.MULTILINE)
    kind = "supabase_world" if is_of_supabase else "adopted_world" if is_of_adopted else "world"
    world: World = request.getfixturevalue(kind)
    # The documents speak in UTC and as the owner.
    services = tmp_path / "services.conf"
    services.write_text(
        "[practice]\n" + "".join(f"{key}={value}\n" for key, value in conninfo_to_dict(world.url).items())
    )
    environment = {
        **os.environ,
        "BOOKINGDB_DATABASE_URL": world.url,
        "DATABASE_URL": world.url,
        "PGSERVICEFILE": str(services),
        "PGTZ": "UTC",
    }
    psql = [str(bin_dir / "psql"), "--no-psqlrc", "--quiet", "--dbname", world.url]

    for language, code, shown in BLOCK.findall(text):
        if language == "console":
            printed = printed_by_commands(code, environment, bin_dir, tmp_path)
            assert lines(without_this_day(printed)) == lines(without_this_day(shown)), f"{code}\nprints:\n{printed}"
            continue
        elif language in ("sql", "python"):
            result = subprocess.run(
                psql if language == "sql" else [sys.executable, "-"],
                input=code,
                env=environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
            # Where an error was raised is of no interest to the reader.
            printed = result.stdout.partition("CONTEXT:")[0]
        elif language in ("js", "js service"):
            printed = printed_by_javascript(world, code, by_service=language == "js service")
        else:
            continue
        assert lines(printed) == lines(shown), f"{document.name}:\n{code}\nprints:\n{printed}"


def test_the_javascript_of_the_readme_books_once(supabase_world: World) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```js\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    therapist, client = supabase_world.therapist("Europe/Berlin"), supabase_world.client(credits=2)
    with serving(supabase_world.url) as server:
        variables = {"user": {"id": client}, "therapistId": therapist, "cartId": "cart-1"}
        booked, again = [run_example(server.url, server.user(client), code, variables) for _ in range(2)]

    assert booked.error is None
    (session,) = booked.data
    assert (session["user_id"], session["therapist_id"]) == (str(client), str(therapist))
    in_eight_days = (dt.datetime.now(dt.UTC) + dt.timedelta(days=8)).date()
    # Midnight may have passed since.
    assert dt.timedelta(0) <= in_eight_days - dt.date.fromisoformat(session["scheduled_date"]) <= dt.timedelta(days=1)
    assert session["scheduled_time"] == "10:00:00"
    assert (session["status"], session["credits_balance"]) == ("scheduled", 1)
    assert again == booked
    assert supabase_world.scalar("select count(*) from sessions where user_id = %s", client) == 1
    assert supabase_world.balance(client) == 1


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name)
def test_links_and_tests_that_are_named_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (document.parent / target).exists(), target
    for file, name in re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", text):
        assert (ROOT / file).exists(), file
        assert not name or f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_statements_that_change_rows_say_which(document: Path) -> None:
    """A reader may run an example against a live database."""
    text = document.read_text(encoding="utf-8")
    statements = re.findall(r"\b(?:update\s+[\w.]+\s+set|delete\s+from)\b[^;`]*", text)
    assert [statement for statement in statements if not re.search(r"\bwhere\b", statement)] == []


def head_of(page: str) -> str:
    """The commands that make the database of a page; the page's name is PAGE in them."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    return text.partition("\n```sh\n")[2].partition("```\n")[0].replace(f"{page}-page", "PAGE")


def test_pages_make_their_databases_alike() -> None:
    assert "bookingdb migrate" in head_of("sessions")
    assert head_of("sessions") == head_of("availability") == head_of("support") == head_of("credits")


@pytest.mark.slow
def test_commands_at_the_head_of_a_page_make_its_database(bin_dir: Path, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "sessions.md").read_text(encoding="utf-8")
    (language, first_example, _) = BLOCK.findall(text[text.index("```sql") :])[0]
    assert language == "sql"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "BOOKINGDB"))}
    environment.pop("DATABASE_URL", None)
    printed = printed_by_commands(
        f"""trap 'bookingdb local stop --data-dir PAGE' EXIT
{head_of("sessions").strip()} <<'END'
{first_example}
select (select count(*) from users) as people, current_setting('TimeZone') as zone;
END""",
        environment,
        bin_dir,
        tmp_path,
    )
    assert re.search(r"^ +2 \| UTC$", printed, re.MULTILINE), printed


def test_readme_has_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [set(re.findall(r"[a-z-]+", row)) for row in re.findall(r"(?m)^\| (`bookingdb .*?) \| ", text)]
    assert [words for words in COMMANDS if not any(set(words) <= row for row in rows)] == []


def test_demo_has_other_people_than_the_readme() -> None:
    """A reader runs the demo first; the README then begins with a client without credits."""
    in_demo, in_readme = (
        set(re.findall(r"[\w.]+@example\.com", (ROOT / name).read_text(encoding="utf-8")))
        for name in ("examples/demo.py", "README.md")
    )
    assert in_demo
    assert in_readme
    assert in_demo & in_readme == set()


def printed_by_javascript(world: World, code: str, by_service: bool) -> str:
    ids: dict[str, UUID] = dict(world.run("select email, id from users"))
    user = {"id": ids.get("ada@example.com", NOT_YET_REGISTERED), "email": "ada@example.com"}
    variables = {"user": user, "therapistId": ids.get("grace@example.com"), "cartId": "cart-of-the-document"}
    # A project's database speaks in UTC.
    with serving(psycopg.conninfo.make_conninfo(world.url, options="-c timezone=UTC")) as server:
        login = server.service if by_service else server.user(user["id"], email=user["email"])
        return run_example(server.url, login, code, variables).printed


def printed_by_commands(code: str, environment: dict[str, str], bin_dir: Path, folder: Path) -> str:
    """What commands print on standard output."""
    path = os.pathsep.join([str(Path(sys.executable).parent), str(bin_dir), environment["PATH"]])
    environment = environment | {"PATH": path, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        ["bash", "-eu", "-c", code], env=environment, cwd=folder, text=True, capture_output=True, check=False
    )
    assert result.returncode == 0, f"{code}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def without_this_day(text: str) -> str:
    """The text with a sign for each id and each moment outside of 2030; columns are one space apart."""
    for pattern, sign in ((UUIDS, "ID"), (MOMENTS, "MOMENT")):
        text = pattern.sub(sign, text)
    return "\n".join(re.sub("\u2500+", "\u2500", " ".join(line.split())) for line in text.splitlines())


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines() if not re.match(r"psql:.*$|LINE \d", line)]


# What the table says of a logged-in user, by who may make the call.
SAID_OF_USERS = {
    "for itself": {Allowed.CLIENT},
    # The example's address is no token's.
    "itself, with its own address": {Allowed.TRUSTED},
    "its own sessions; a therapist hers": {Allowed.BOTH},
    "those in which it has a part": {Allowed.ANYBODY},
    "a therapist her own": {Allowed.THERAPIST, Allowed.THERAPISTS_TIME},
    "a therapist what she had completed or marked as missed": {Allowed.THERAPIST},
    "yes": {Allowed.ANYBODY},
    "403": {Allowed.TRUSTED, Allowed.WORKER},
}


def test_table_of_callers_names_every_function() -> None:
    """Each public function is in one row of the table, with what its example in `CALLS` says."""
    _, _, section = (ROOT / "docs" / "supabase.md").read_text(encoding="utf-8").partition("## Who can do what")
    rows = [
        row.strip("| ").split(" | ") for row in section.partition("\n\nDo not")[0].splitlines() if " | 401 | " in row
    ]
    said = [(name, row[2]) for row in rows if not row[0].startswith("read ") for name in re.findall(r"`(\w+)`", row[0])]

    assert sorted(name for name, _ in said) == sorted(function.name for function in load().public_functions)
    assert [name for name, users in said if name in CALLS and CALLS[name].allowed not in SAID_OF_USERS[users]] == []
