"""The main job, from nothing: a Postgres of its own, bookingdb in it, a session booked, three refusals.

`make demo` runs this. It types the commands a person would type, prints them and what they answer, and can be
run again: the same people, the next free hour, a new payment.
"""

from __future__ import annotations

import datetime
import json
import os
import shlex
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import psycopg

BOOKINGDB = Path(sys.executable).with_name("bookingdb")
# The demonstration is about the local server, whatever database this shell is set up for.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
for variable in ("BOOKINGDB_DATABASE_URL", "DATABASE_URL"):
    ENVIRONMENT.pop(variable, None)


def main() -> None:
    """Run the demonstration."""
    title("A Postgres of our own, and bookingdb in it")
    show("local start")
    show("migrate")
    show("verify")

    title("A therapist, two clients, and three credits for one of them")
    therapist = show("register therapist lise@example.com --name Lise --time-zone Europe/Berlin")
    client = show("register client emmy@example.com --name Emmy")
    newcomer = show("register client charles@example.com --name Charles")
    show(f"credits grant {client} 3 --payment-reference payment-{uuid.uuid4().hex[:8]}")

    title("A session is booked, as the client may")
    date, time = next_free_hour(therapist)
    session = ask(f"--as {client} book --user {client} --therapist {therapist} --date {date} --time {time}")
    show(f"sessions --user {client} --limit 3")

    title("The same slot again: refused")
    show(f"book --user {client} --therapist {therapist} --date {date} --time {time}", refused=True)

    title("A session of somebody else's is cancelled: refused")
    show(f"--as {newcomer} cancel {session['id']}", refused=True)

    title("A client without credits: refused")
    later = next_free_hour(therapist)
    show(f"book --user {newcomer} --therapist {therapist} --date {later[0]} --time {later[1]}", refused=True)

    title("What it cost, and what was written down")
    show(f"credits balance {client}")
    show(f"credits history {client} --limit 4")
    show_audit(session["id"])

    print(
        f"""
The server keeps running, with its data. What to type next:

    source .venv/bin/activate
    bookingdb selftest                          the guarantees, tried on this database
    bookingdb sessions --therapist {therapist}
    psql "$(bookingdb local psql-url)"          look around, with any client: public.sessions, bookingdb.ledger
    bookingdb local stop                        stop the server (`start` brings it back, `reset` empties it)
"""
    )


def title(text: str) -> None:
    """Print a heading."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def show(command: str, *, refused: bool = False) -> str:
    """Type a command, print it and its answer, and return the answer."""
    print(f"$ bookingdb {command}", flush=True)
    result = run(command)
    sys.stdout.write(result.stdout)
    if refused:
        # The first line says which database it was; we know.
        sys.stdout.write(result.stderr.splitlines(keepends=True)[-1])
    if (result.returncode != 0) != refused:
        sys.exit(f"{result.stderr}\nbookingdb {command}: exit code {result.returncode}")
    return result.stdout.strip()


def ask(command: str) -> Any:
    """Type a command with --json, print it, and return the answer."""
    print(f"$ bookingdb {command} --json", flush=True)
    result = run(f"{command} --json")
    if result.returncode != 0:
        sys.exit(f"{result.stderr}\nbookingdb {command}: exit code {result.returncode}")
    sys.stdout.write(result.stdout)
    return json.loads(result.stdout)


def run(command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of bookingdb."""
    return subprocess.run(
        [BOOKINGDB, *shlex.split(command)], env=ENVIRONMENT, text=True, capture_output=True, check=False
    )


def next_free_hour(therapist: str) -> tuple[datetime.date, str]:
    """Find the first full hour from tomorrow on, in office hours, in which the therapist is free."""
    date = datetime.date.today() + datetime.timedelta(days=1)
    while True:
        for hour in range(9, 17):
            check = f"check --therapist {therapist} --date {date} --from {hour:02}:00 --to {hour + 1:02}:00 --json"
            if json.loads(run(check).stdout)["conflict"] is False:
                return date, f"{hour:02}:00"
        date += datetime.timedelta(days=1)


def show_audit(session_id: str) -> None:
    """Print the audit rows of a session."""
    query = "select id, action, old_status, new_status, actor from booking_audit_log where session_id = %s order by id"
    print("$ psql: select … from booking_audit_log")
    with psycopg.connect(run("local psql-url").stdout.strip()) as connection:
        for number, action, old_status, new_status, actor in connection.execute(query, [session_id]):
            print(f" {number}  {action}: {old_status or 'nothing'} -> {new_status}, by {actor}")


if __name__ == "__main__":
    main()
