"""The plan as one HTML page for reading: no script, nothing from elsewhere, every text of the database escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files
from string import Template

from bookingdb.adoption.plan.draft import Plan, Question
from bookingdb.adoption.plan.file import HEAD, MANY, WORDS, answer_line
from bookingdb.adoption.plan.order import FEW, becomes, counted, grouped_changes, grouped_questions, in_class, listed
from bookingdb.adoption.plan.summary import summarize
from bookingdb.text import printable

SEPARATOR = ";\n"


def write_page(plan: Plan) -> str:
    """Return the plan as HTML that is XML, too: the same content as the TOML file, with a table of contents."""
    sections = {
        "Summary": _summary(plan),
        "Questions and answers": _questions(plan),
        "Rows, by class": _classes(plan),
        "Changes in short": _changes(plan),
        "Appendix": _appendix(plan),
    }
    contents = "".join(f'<li><a href="#{_anchor(name)}">{_html(name)}</a></li>' for name in sections)
    body = "\n".join(
        f'<section id="{_anchor(name)}"><h2>{_html(name)}</h2>\n{"".join(parts)}</section>'
        for name, parts in sections.items()
    )
    head = "".join(f"<p>{_html(sentence)}</p>" for sentence in (*HEAD, WORDS))
    page = files("bookingdb.adoption.plan").joinpath("page.html").read_text(encoding="utf-8")
    return Template(page).substitute(
        adapter=_html(plan.adapter), fingerprint=_html(plan.fingerprint()), head=head, contents=contents, body=body
    )


def _mark(question: Question, choice: str, answer: str) -> str:
    """Say whether a choice is what the plan proposes or what its owner answered."""
    if choice != answer:
        return ""
    return " (proposed)" if choice == question.default else " (your answer)"


def _html(text: object) -> str:
    """Escape a text; control characters, which HTML cannot have, are written out."""
    return escape(printable(text, keep="\n\t"))


def _anchor(name: str) -> str:
    return re.sub(r"\W+", "-", name.lower()).strip("-")


def _list(lines: Iterable[object]) -> str:
    return "<ul>" + "".join(f"<li>{_html(line)}</li>" for line in lines) + "</ul>\n"


def _summary(plan: Plan) -> Iterator[str]:
    for part in summarize(plan):
        yield f"<h3>{_html(part.heading)}</h3>\n{_list(part.sentences)}"


def _questions(plan: Plan) -> Iterator[str]:
    for group in grouped_questions(plan):
        yield f"<h3>{_html(group.heading)}</h3>\n"
        for question in group.questions:
            yield _question(question, plan.answers[question.key])


def _question(question: Question, answer: str) -> str:
    is_unanswered = question.is_open and not answer
    evidence = "".join(f"<p>{_html(sentence)}</p>" for sentence in question.evidence)
    choices = "".join(
        f"<dt><code>{_html(choice)}</code>{_mark(question, choice, answer)}</dt><dd>{_html(effect)}</dd>"
        for choice, effect in question.choices.items()
    )
    return (
        f'<div class="question{" open" if is_unanswered else ""}">'
        + ("<p><strong>TO BE ANSWERED</strong></p>" if is_unanswered else "")
        + evidence
        + (f"<dl>{choices}</dl>" if choices else "")
        + f"<pre>{_html(answer_line(question.key, answer))}</pre></div>\n"
    )


def _classes(plan: Plan) -> Iterator[str]:
    if not plan.damage:
        yield "<p>No row breaks a rule of bookingdb.</p>"
    for each in plan.damage:
        yield (
            f"<h3><code>{_html(each.key)}</code></h3>"
            f"<p>{_html(in_class(each))} {_html(becomes(plan, each))}</p>"
            f"<p>Rows: {_html(listed(each.ids, FEW))}.</p>\n"
        )


def _changes(plan: Plan) -> Iterator[str]:
    number = sum(bool(each.statements) for each in plan.changes)
    yield f"<p>The plan makes {counted(number, 'change')}. The appendix has every statement.</p>"
    yield _list(grouped_changes(plan))


def _appendix(plan: Plan) -> Iterator[str]:
    for each in plan.damage:
        ids = each.ids[:MANY] + ([f"{each.count - MANY} more"] if each.count > MANY else [])
        yield _details(f"Rows of {each.key}", _list(ids))
    made = "".join(
        f"<h4>{_html(each.object)}</h4><p>{_html(each.reason)}</p><pre>{_html(SEPARATOR.join(each.statements))}</pre>"
        for each in plan.changes
        if each.statements
    )
    yield _details("Every statement", made)
    for what, lines in plan.found.items():
        yield _details(f"Found: {what}", _list(lines))
    yield _details("Credits of each client before", _list(f"{who}: {total}" for who, total in plan.balances.items()))


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{_html(summary)}</summary>{content}</details>\n"
