"""The command that takes over an application's database: adopt."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bookingdb.cli.console import open_database, print_table
from bookingdb.cli.options import database_url_option, json_option
from bookingdb.cli.output import print_document, print_json, remark, say
from bookingdb.install.source import load

if TYPE_CHECKING:
    from bookingdb.install.session import Connection


@click.command()
@click.option("--plan", "action", flag_value="plan", help="Show what would be done; changes nothing.")
@click.option("--apply", "plan_path", metavar="PLAN", type=click.Path(path_type=Path, dir_okay=False),
              help="Do what this plan says.")  # fmt: skip
@click.option("--undo", "action", flag_value="undo", help="Put everything back, and remove bookingdb.")
@click.option("--report", "action", flag_value="report", help="Say what the database has since it was adopted.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the plan into this file.")
@click.option("--html", "page_path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="With --plan: write the plan as a page for reading, too.")  # fmt: skip
@click.option("--answers", "answers_path", metavar="PLAN", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="With --plan: take the answers of this one.")  # fmt: skip
@click.option(
    "--adapter", metavar="NAME|FILE", help="Who is a therapist, who a client: one of sql/adapters, or a file."
)
@click.option("--keep-money-writable", is_flag=True,
              help="With --plan: clients may write their own credits as before. Dangerous.")  # fmt: skip
@json_option
@database_url_option
def adopt(
    action: str | None,
    plan_path: Path | None,
    output: Path | None,
    page_path: Path | None,
    answers_path: Path | None,
    adapter: str | None,
    keep_money_writable: bool,
    as_json: bool,
    database_url: str | None,
) -> None:
    """Take over the database of an application that has sessions and credits already.

    Three steps: --plan writes down what was found, what would change and what only you can answer; --apply does it in
    one transaction; --undo puts it back.
    """
    if (action is None) == (plan_path is None):
        raise click.UsageError("say one of --plan, --apply PLAN, --undo, --report")
    # No other command needs these; they would slow the start of each.
    from bookingdb.adoption.plan import file  # noqa: PLC0415
    from bookingdb.adoption.report import report  # noqa: PLC0415
    from bookingdb.adoption.undo import undo  # noqa: PLC0415

    if plan_path is not None:
        _apply(plan_path, adapter, database_url)
        return
    with open_database(database_url) as connection:
        match action:
            case "plan":
                answers: dict[str, str] = {}
                _refuse_to_overwrite(output, answers_path)
                if answers_path:
                    decided = file.read(answers_path.read_text(encoding="utf-8"))
                    answers, adapter = decided.answers, adapter or _file_of(decided.adapter, answers_path)
                if keep_money_writable:
                    answers["money.writable"] = "keep"
                _plan(connection, answers, adapter, output, page_path)
            case "undo":
                undone = undo(connection, None, _announce)
                say(f"Undone: {undone.statements} statements, {undone.rows} rows put back.")
                for what in undone.remarks:
                    remark(what)
            case _:
                _print_report(report(connection).to_dict(), as_json)


def _plan(
    connection: "Connection",
    answers: dict[str, str],
    adapter: str | None,
    output: Path | None,
    page_path: Path | None,
) -> None:
    """Write the plan into a file, or onto standard output; and as a page, if there is to be one."""
    from bookingdb.adoption.plan import file, page  # noqa: PLC0415
    from bookingdb.adoption.plan.people import likely_adapter  # noqa: PLC0415
    from bookingdb.adoption.plan.planner import make_plan  # noqa: PLC0415

    source = load(adapter=adapter or likely_adapter(connection))
    plan = make_plan(connection, source, answers)
    text = file.write(plan, adapter)
    if page_path:
        page_path.write_text(page.write_page(plan), encoding="utf-8")
    if output:
        output.write_text(text, encoding="utf-8")
        say(f"{output}: {len(plan.questions)} answers to look at, {file.number_of_changes(plan)} changes.")
    else:
        print_document(text + "\n")
    if plan.is_empty:
        remark("this database has been adopted already: `bookingdb adopt --report` says how")
    for problem in plan.problems:
        remark(problem)
    if plan.unanswered:
        remark(f"only you can answer: {', '.join(plan.unanswered)}")


def _apply(plan_path: Path, adapter: str | None, database_url: str | None) -> None:
    """Do what the plan in this file says."""
    from bookingdb.adoption.apply import apply  # noqa: PLC0415
    from bookingdb.adoption.plan import file  # noqa: PLC0415
    from bookingdb.adoption.report import repaired_lines  # noqa: PLC0415

    decided = file.read(plan_path.read_text(encoding="utf-8"))
    with open_database(database_url) as connection:
        source = load(adapter=adapter or _file_of(decided.adapter, plan_path))
        done = apply(connection, decided, source, _announce)
    say(f"Adopted: {done.changes} changes, {done.rows} rows repaired.")
    for line in repaired_lines(done.repaired, decided.repairs):
        say(f"  {line}")
    for what in done.remarks:
        remark(what)
    if done.overlapping:
        say(f"{done.overlapping} sessions overlap others; `bookingdb adopt --report` lists them.")
    if decided.answers.get("money.writable") == "keep":
        remark("CLIENTS CAN STILL WRITE THEIR OWN CREDITS, as this plan says")


def _refuse_to_overwrite(output: Path | None, answers_path: Path | None) -> None:
    """Refuse to write a plan without answers over one that may have some."""
    if output and output.exists() and answers_path is None:
        raise click.UsageError(
            f"{output} exists: `--answers {output}` takes its answers over; or write the plan into another file"
        )


def _announce(step: str) -> None:
    remark(step)


def _file_of(adapter: str, plan_path: Path) -> str:
    """An adapter's file is looked for beside the plan."""
    beside = plan_path.parent / adapter
    return str(beside) if adapter.endswith(".sql") and beside.exists() else adapter


def _print_report(report: dict[str, Any], as_json: bool) -> None:
    from bookingdb.adoption.report import repaired_lines  # noqa: PLC0415

    if as_json:
        print_json(report)
        return
    say(f"Adopted at {report['adopted_at']}.")
    rows = report["repaired"]
    say(f"{sum(rows.values())} rows were repaired: by class, and by table:")
    for line in repaired_lines(rows, report["planned"]):
        say(f"  {line}")
    for table, count in report["rows_changed"].items():
        say(f"  {table}: {count}")
    say("", "Sessions without a place of their own in the calendar:")
    print_table(report["unplaced"])
    if report["untranslated"]:
        say("", "Hours of the application that could not be understood:")
        print_table(report["untranslated"])
    changed = {user: each for user, each in report["balances"].items() if each["before"] != each["spendable"]}
    same = len(report["balances"]) - len(changed)
    say("", f"Clients whose credits differ from before ({same} others can spend what they had):")
    print_table([{"client": user, **balance} for user, balance in changed.items()])
    say("", "What differs from a new installation, because the application has it so:")
    for line in report["differences"]:
        say(f"  {line}")
