"""The texts of mails: subject, text and HTML, from templates that anybody may replace."""

from __future__ import annotations

import re
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateNotFound
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from bookingdb.worker.clocks import Clock
from bookingdb.worker.news import News, isolated, moment

TEMPLATES: Final = Path(__file__).parent / "templates"
_WIDTH: Final = 72
_LONGEST_SUBJECT: Final = 120
# An event of two names has one text.
_SAME_TEXT: Final = {"session.deleted": "session.cancelled"}
_LEFT: Final = "session.left"
_WITH_FREE_UNTIL: Final = (
    "session.booked",
    "session.approved",
    "session.rescheduled",
    "session.transferred",
    "session.reopened",
    "session.reminder",
)
_WITH_BEFORE: Final = ("session.rescheduled", "session.transferred")
_WITHOUT_ROOM: Final = ("session.cancelled", "session.requested", _LEFT)


class NoTextError(Exception):
    """There is no text for an event."""


class TextError(Exception):
    """A text that somebody put in the place of ours cannot be used."""


@dataclass(frozen=True)
class Fact:
    """A line of what a mail is about: its label, and one or more lines; `url` if it is a link."""

    label: str
    lines: list[str]
    url: str | None = None


@dataclass(frozen=True)
class Letter:
    """A mail to be sent.

    Attributes:
        subject: one line.
        text: the plain text.
        html: the same as HTML.
        summary: what calendars call the session; empty if it is about none.
    """

    subject: str
    text: str
    html: str
    summary: str


def text_name(news: News) -> str:
    """Return which text tells this: mostly the event's type."""
    if news.is_former:
        return _LEFT
    return _SAME_TEXT.get(news.type, news.type)


def write(
    news: News,
    *,
    folder: str | None = None,
    default_language: str | None = None,
    sender: str = "",
    link: str | None = None,
    now: datetime | None = None,
) -> Letter:
    """Write the mail for its reader, in their language if there is a text in it.

    Args:
        news: what to tell.
        folder: texts that replace ours, laid out as the package's folder `templates`.
        default_language: for readers whose language is unknown or has no text.
        sender: who signs it.
        link: an address at which the session, or the credits, can be seen.
        now: when this is written.

    Raises:
        NoTextError: nothing tells this event.
        TextError: a text of `folder` has a mistake, or there is no such folder.
    """
    if folder is not None and not Path(folder).is_dir():
        raise TextError("settings.templates is no folder of this machine")
    try:
        plain, marked = _environments(folder)
        return _Writer(news, plain, marked, default_language, sender, link, now or datetime.now(UTC)).write()
    except (NoTextError, TextError):
        raise
    except Exception as error:  # templates are programs: whatever goes wrong in one is its mistake
        raise TextError(f"{type(error).__name__}: {error}") from error


class _Writer:
    def __init__(
        self,
        news: News,
        plain: Environment,
        marked: Environment,
        default_language: str | None,
        sender: str,
        link: str | None,
        now: datetime,
    ) -> None:
        self.news = news
        self.plain = plain
        self.marked = marked
        self.sender = sender
        self.link = link
        self.now = now
        self.name = text_name(news)
        reader = news.reader.language if news.reader else None
        self.folder, locale = self._language(reader, default_language, "en")
        self.words = _words(plain, self.folder)
        session = news.session
        zone = news.reader.time_zone if news.reader else None
        self.clock = Clock(locale, zone or (session.time_zone if session else ZoneInfo("UTC")))

    def write(self) -> Letter:
        subject = _cut(" ".join(self._block(self.plain, "subject").split()))
        facts = [*self._facts()]
        common = {
            "subject": subject,
            "facts": facts,
            "greeting": self._greeting(),
            "sender": self.sender,
            "language": tag_of(self.clock.locale),
            "direction": self.clock.locale.text_direction,
            "width": max((len(fact.label) for fact in facts), default=0) + 2,
        }
        paragraphs = _paragraphs(self._block(self.plain, "text"))
        text = self.plain.get_template("layout.txt").render(
            common,
            paragraphs=[
                textwrap.fill(one, _WIDTH, break_long_words=False, break_on_hyphens=False) for one in paragraphs
            ],
        )
        marked = [Markup(one) for one in _paragraphs(self._block(self.marked, "text"))]
        html = self.marked.get_template("layout.html").render(common, paragraphs=marked)
        return Letter(subject, text, html, self._summary())

    def _language(self, *wanted: str | None) -> tuple[str, Locale]:
        """Return the folder of the first of these languages that has the text, and the locale.

        Raises:
            NoTextError: none has it.
        """
        for language in wanted:
            locale = locale_of(language)
            if locale is None:
                continue
            for folder in dict.fromkeys((tag_of(locale), locale.language)):
                if _exists(self.plain, f"{folder}/{self.name}.jinja"):
                    return folder, locale
        raise NoTextError(f"no text tells of {self.name}")

    def _block(self, environment: Environment, block: str) -> str:
        template = environment.get_template(f"{self.folder}/{self.name}.jinja")
        if block not in template.blocks:
            raise TextError(f"{self.folder}/{self.name}.jinja has no block {block}")
        return "".join(template.blocks[block](template.new_context(self._variables())))

    def _variables(self) -> dict[str, Any]:
        news, session = self.news, self.news.session
        return {
            "type": news.type,
            "data": dict(news.data),
            "part": (news.part or "").removeprefix("former_"),
            "name": isolated(news.reader.name) if news.reader else "",
            "other": isolated(news.other.name) if news.other else "",
            "title": isolated(session.title) if session else "",
            "status": session.status if session else None,
            "start": self.clock.short(news.times[0]) if news.times else "",
            "by": news.by,
            "former": isolated(news.old_therapist),
            "credits_left": news.credits_left,
            "credits_charged": news.credits_charged,
            "day_of": self._day_of,
            "time_of": lambda text: self.clock.time(moment(text)),
        }

    def _day_of(self, text: str) -> str:
        return self.clock.day(moment(text))

    def _greeting(self) -> str:
        if self.news.reader is None or not self.news.reader.name:
            return self.words["greeting"]
        return self.words["greeting_by_name"].replace("{name}", isolated(self.news.reader.name))

    def _facts(self) -> Iterator[Fact]:
        news, session, words = self.news, self.news.session, self.words
        if session is not None:
            if session.title and not news.is_former:
                yield Fact(words["what"], [isolated(session.title)])
            if news.other and news.other.name:
                yield Fact(words["with"], [isolated(news.other.name)])
            yield from self._times(*(news.times or (session.start, session.end)))
            if self.name in _WITH_FREE_UNTIL and news.part == "client" and session.free_until:
                yield self._free_until(session.free_until)
            if session.video_url and self.name not in _WITHOUT_ROOM:
                yield Fact(words["video"], [session.video_url], session.video_url)
        if self.link and not news.is_former:
            yield Fact(words["link"], [self.link], self.link)

    def _free_until(self, until: datetime) -> Fact:
        if until <= self.now:
            return Fact(self.words["free"], [self.words["free_is_over"]])
        return Fact(self.words["free_until"], [f"{self.clock.day(until)}, {self.clock.time(until)}"])

    def _times(self, start: datetime, end: datetime) -> Iterator[Fact]:
        before, other = self.news.before, self.news.other
        if self.name in _WITH_BEFORE and before:
            yield Fact(self.words["before"], self.clock.lines(*before))
        yield Fact(self.words["when"], self.clock.lines(start, end))
        if other and other.time_zone and self.clock.differs(other.time_zone, start, end) and not self.news.is_former:
            theirs = Clock(self.clock.locale, other.time_zone)
            label = isolated(other.name) or self.words["client" if self.news.part == "therapist" else "therapist"]
            yield Fact(self.words["other_time"].replace("{name}", label), theirs.lines(start, end))

    def _summary(self) -> str:
        session, other = self.news.session, self.news.other
        if session is None:
            return ""
        title = self.words["session"] if self.news.is_former else session.title or self.words["session"]
        return f"{title} ({other.name})" if other and other.name else title


def locale_of(language: str | None) -> Locale | None:
    """Return the locale of a language tag, that of the language alone where its country is unknown; None if neither is.

    Example:
        >>> str(locale_of("de-AT")), str(locale_of("de-XX")), locale_of("../../etc")
        ('de_AT', 'de', None)
    """
    tag = (language or "").replace("-", "_")
    for one in (tag, tag.split("_")[0]):
        try:
            return Locale.parse(one)
        except (UnknownLocaleError, ValueError, TypeError):
            continue
    return None


def tag_of(locale: Locale) -> str:
    """Return the language tag of a locale, made of letters and digits alone, such as ``de-AT``."""
    return "-".join(part for part in (locale.language, locale.script, locale.territory) if part)


@lru_cache(maxsize=64)
def _environments(folder: str | None) -> tuple[Environment, Environment]:
    """Return the environments for text and for HTML, in which names and titles are escaped."""
    loader = ChoiceLoader([FileSystemLoader(one) for one in (folder, TEMPLATES) if one])

    def environment(*, autoescape: bool) -> Environment:
        # The folder is a setting: it must not be a way to run code. A file that is new in it counts at once.
        made = ImmutableSandboxedEnvironment(
            loader=loader,
            autoescape=autoescape,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            cache_size=0 if folder else 100,
        )
        made.filters["indent_lines"] = _indent_lines
        return made

    return environment(autoescape=False), environment(autoescape=True)


def _indent_lines(lines: list[str], width: int) -> str:
    return f"\n{' ' * width}".join(lines)


def _exists(environment: Environment, name: str) -> bool:
    assert environment.loader is not None
    try:
        environment.loader.get_source(environment, name)
    except TemplateNotFound:
        return False
    return True


def _words(environment: Environment, folder: str) -> Mapping[str, str]:
    """Return the labels in a language; those that are missing are the English ones."""
    found: dict[str, str] = {}
    for language in ("en", folder):
        for loader in reversed(_loaders(environment)):
            try:
                found |= {name: str(word) for name, word in tomllib.loads(loader(f"{language}/words.toml")).items()}
            except TemplateNotFound:
                continue
    return found


def _loaders(environment: Environment) -> list[Callable[[str], str]]:
    assert isinstance(environment.loader, ChoiceLoader)
    return [
        # mypy infers no lambda with a default.
        lambda name, loader=loader: loader.get_source(environment, name)[0]  # type: ignore[misc]
        for loader in environment.loader.loaders
    ]


def _paragraphs(text: str) -> list[str]:
    return [" ".join(one.split()) for one in re.split(r"\n\s*\n", text.strip()) if one.strip()]


def _cut(subject: str) -> str:
    return subject if len(subject) <= _LONGEST_SUBJECT else f"{subject[: _LONGEST_SUBJECT - 1]}…"
