"""Appointments from files as other calendars write them: the command busy import."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from bookingdb.ical import reading
from tests.support import TOMORROW, World
from tests.support.commands import answer as answer_to
from tests.support.commands import bookingdb, done
from tests.support.life import call

FILES = Path(__file__).parent / "calendars"
YEAR_2030 = ("--from", "2030-01-01", "--to", "2030-12-31")
HEAD = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:test\n"


def calendar(*events: str, head: str = HEAD) -> str:
    return head + "".join(f"BEGIN:VEVENT\n{event}\nEND:VEVENT\n" for event in events) + "END:VCALENDAR\n"


def written(folder: Path, *events: str, head: str = HEAD) -> Path:
    path = folder / "calendar.ics"
    path.write_text(calendar(*events, head=head))
    return path


def imported(world: World, file: Path, therapist: UUID, *options: str) -> dict[str, Any]:
    command = ("busy", "import", file, therapist, "--source", "mine", *(options or YEAR_2030))
    result: dict[str, Any] = answer_to(world.url, *command)
    return result


def appointments(world: World) -> dict[str, tuple[str, str]]:
    """Start and end in UTC, by id."""
    found = world.run(
        "select external_id, to_char(lower(period) at time zone 'UTC', 'MM-DD HH24:MI'),"
        " to_char(upper(period) at time zone 'UTC', 'MM-DD HH24:MI')"
        " from bookingdb.absences where kind = 'external' order by period"
    )
    return {name: (start, end) for name, start, end in found}


def test_file_from_google_is_taken(world: World) -> None:
    """Days, a series across a clock change, without an exception and with one that moved; not what is free."""
    therapist = world.therapist("Europe/Berlin")
    answer = imported(world, FILES / "google.ics", therapist)
    assert (answer["inserted"], answer["ignored"], answer["rejected"]) == (5, 2, [])
    assert appointments(world) == {
        "single@google.com": ("01-07 08:00", "01-07 09:00"),
        "days@google.com": ("01-09 23:00", "01-11 23:00"),
        "weekly@google.com/20300326T160000Z": ("03-26 16:00", "03-26 16:30"),
        "weekly@google.com/20300402T150000Z": ("04-02 15:00", "04-02 15:30"),
        "weekly@google.com/20300416T150000Z": ("04-17 08:00", "04-17 08:30"),
    }
    again = imported(world, FILES / "google.ics", therapist)
    assert (again["inserted"], again["updated"], again["removed"], again["ignored"]) == (0, 0, 0, 2)
    assert world.violations() == []


def test_file_from_outlook_is_taken(world: World) -> None:
    """With Windows's names of zones, zones that only the file knows, and its own word for what is free."""
    answer = imported(world, FILES / "outlook.ics", world.therapist("America/New_York"))
    assert (answer["ignored"], answer["rejected"]) == (1, [])
    found = appointments(world)
    assert [*found.values()] == [
        ("07-02 07:00", "07-02 08:00"), ("07-03 06:15", "07-03 07:45"), ("10-24 06:30", "10-24 06:45"),
        ("10-25 06:30", "10-25 06:45"), ("10-28 07:30", "10-28 07:45"),
    ]  # fmt: skip
    assert [name for name in found if name.startswith("series/")] == [
        "series/20301024T063000Z", "series/20301025T063000Z", "series/20301028T073000Z",
    ]  # fmt: skip


def test_file_from_apple_is_taken(world: World) -> None:
    """Local times are the therapist's, a day needs no end, a reminder takes no time, dates can be listed."""
    answer = imported(world, FILES / "apple.ics", world.therapist("America/New_York"))
    assert (answer["inserted"], answer["ignored"], answer["rejected"]) == (5, 1, [])
    assert [*appointments(world).values()] == [
        ("05-01 13:00", "05-01 14:00"), ("05-02 04:00", "05-03 04:00"), ("05-04 07:00", "05-04 08:00"),
        ("05-07 09:00", "05-07 10:00"), ("05-09 13:00", "05-09 14:00"),
    ]  # fmt: skip


def test_appointment_that_left_the_file_goes(world: World, tmp_path: Path) -> None:
    therapist = world.therapist("Europe/Berlin")
    imported(world, FILES / "google.ics", therapist)
    answer = imported(
        world, written(tmp_path, "UID:single@google.com\nDTSTART:20300107T100000Z\nDURATION:PT1H"), therapist
    )
    assert (answer["updated"], answer["removed"]) == (1, 4)
    assert appointments(world) == {"single@google.com": ("01-07 10:00", "01-07 11:00")}


def test_broken_event_keeps_its_time_and_stops_no_other(world: World, tmp_path: Path) -> None:
    therapist = world.therapist("Europe/Berlin")
    imported(world, FILES / "google.ics", therapist)
    broken = written(
        tmp_path, "UID:single@google.com\nDTSTART:someday\nDTEND:20300107T090000Z",
        "UID:weekly@google.com\nDTSTART;TZID=Europe/Berlin:20300326T170000\nRRULE:FREQ=SOMETIMES",
        "UID:bomb\nDTSTART:20300101T000000Z\nDURATION:PT1S\nRRULE:FREQ=SECONDLY",
        "UID:bare", "UID:back\nDTSTART:20300107T090000Z\nDTEND:20300107T080000Z",
        "UID:backwards\nDTSTART:20300107T090000Z\nDURATION:-PT1H",
        "UID:good\nDTSTART:20300108T080000Z\nDTEND:20300108T090000Z",
        "DTSTART:20300109T080000Z\nDTEND:20300109T090000Z",
    )  # fmt: skip
    answer = imported(world, broken, therapist)
    assert [(event["external_id"], event["reason"]) for event in answer["rejected"]] == [
        ("single@google.com", "invalid_start_time"), ("weekly@google.com", "invalid_recurrence"),
        ("bomb", "too_many_occurrences"), ("bare", "invalid_start_time"), ("back", "end_before_start"),
        ("backwards", "end_before_start"),
    ]  # fmt: skip
    assert (answer["inserted"], answer["removed"]) == (2, 1)
    assert {"single@google.com", "weekly@google.com/20300402T150000Z", "good"} <= appointments(world).keys()
    assert world.violations() == []


def test_series_that_changes_from_one_day_on_is_one_row_each(world: World, tmp_path: Path) -> None:
    weekly = "UID:w\nDTSTART:20300107T090000Z\nDTEND:20300107T100000Z\nRRULE:FREQ=WEEKLY;COUNT=4"
    later = (
        "UID:w\nRECURRENCE-ID;RANGE=THISANDFUTURE:20300121T090000Z\nDTSTART:20300121T110000Z\nDTEND:20300121T120000Z"
    )
    answer = imported(world, written(tmp_path, weekly, later), world.therapist("UTC"))
    assert (answer["inserted"], answer["rejected"]) == (4, [])
    starts = [start for start, _ in appointments(world).values()]
    assert starts == ["01-07 09:00", "01-14 09:00", "01-21 11:00", "01-28 11:00"]


def test_invitation_that_is_called_off_blocks_nothing(world: World, tmp_path: Path) -> None:
    therapist = world.therapist("UTC")
    event = "UID:a\nDTSTART:20300107T090000Z\nDTEND:20300107T100000Z"
    imported(world, written(tmp_path, event), therapist)
    answer = imported(world, written(tmp_path, event, head=f"{HEAD}METHOD:CANCEL\n"), therapist)
    assert (answer["removed"], answer["ignored"]) == (1, 1)


def test_uid_of_any_length_is_a_name(world: World, tmp_path: Path) -> None:
    uid = "u" * 1000
    daily = f"UID:{uid}\nDTSTART:20300107T090000Z\nDTEND:20300107T100000Z\nRRULE:FREQ=DAILY;COUNT=2"
    therapist = world.therapist("UTC")
    assert imported(world, written(tmp_path, daily), therapist)["inserted"] == 2
    assert imported(world, written(tmp_path, daily), therapist)["inserted"] == 0


def test_exported_sessions_that_come_back_block_nothing(world: World, tmp_path: Path) -> None:
    """Also where the calendar moved one of them."""
    client, therapist = world.client(credits=2), world.therapist("Europe/Berlin")
    for time in ("10:00", "14:00"):
        world.book(client, therapist, time, time_zone="Europe/Berlin")
    call(
        world.connection, "add_time_off",
        therapist_id=therapist, start="2030-05-01T00:00Z", end="2030-05-02T00:00Z",
    )  # fmt: skip
    file = tmp_path / "export.ics"
    done(world.url, "ics", therapist, "--to", "2030-12-31", "--output", file)
    text = file.read_text()
    assert text.count("@bookingdb") == 3
    file.write_text(text.replace("T140000", "T160000").replace("T150000", "T170000"))
    answer = imported(world, file, therapist, "--to", "2030-12-31")
    assert (answer["inserted"], answer["ignored"], answer["session_ids"]) == (0, 3, [])
    assert world.violations() == []


def test_import_tells_what_it_did(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist("UTC")
    session = world.book(client, therapist, "10:00")["id"]
    stamp = f"{TOMORROW:%Y%m%d}"
    text = calendar(f"UID:a\nDTSTART:{stamp}T103000Z\nDTEND:{stamp}T113000Z", "UID:b")
    told = bookingdb(world.url, "busy", "import", "-", therapist, "--source", "mine", stdin=text).stdout
    assert "1 inserted, 0 updated, 0 removed, 0 ignored, 1 rejected" in told
    assert "invalid_start_time" in told
    assert str(session) in told


@pytest.mark.parametrize(
    "text",
    ["", "<html>Log in</html>", HEAD, "BEGIN:VEVENT\nUID:x\nEND:VEVENT\n", calendar("UID:x")[:-20], "\x00\xff"],
    ids=str,
)
def test_file_that_is_no_calendar_is_wrong_usage(world: World, text: str) -> None:
    """Above all it removes nothing: a download that broke off is no empty calendar."""
    therapist = world.therapist("UTC")
    call(
        world.connection, "sync_external_busy", therapist_id=therapist, source="mine",
        events=json.dumps([{"external_id": "a", "start_time": "2030-01-07"}]),
    )  # fmt: skip
    refused = bookingdb(world.url, "busy", "import", "-", therapist, "--source", "mine", *YEAR_2030, stdin=text)
    assert refused.exit_code == 2
    assert "this is no iCalendar file" in refused.stderr
    assert [*appointments(world)] == ["a"]


def test_more_events_than_a_call_takes_are_wrong_usage(world: World, tmp_path: Path) -> None:
    hourly = written(tmp_path, "UID:h\nDTSTART:20300101T000000Z\nDURATION:PT5M\nRRULE:FREQ=HOURLY")
    therapist = world.therapist("UTC")
    refused = bookingdb(
        world.url, "busy", "import", hourly, therapist, "--source", "mine", "--from", "2030-01-01", "--to",
        "2030-12-31",
    )  # fmt: skip
    assert (refused.exit_code, "--from and --to" in refused.stderr) == (2, True)
    assert imported(world, hourly, therapist, "--from", "2030-01-01", "--to", "2030-01-10")["inserted"] == 240


def test_several_calendars_in_one_file_are_read() -> None:
    content = "".join(calendar(f"UID:{name}\nDTSTART:20300107T090000Z\nDURATION:PT1H") for name in "ab")
    begin, end = (dt.datetime(2030, month, 1, tzinfo=dt.UTC) for month in (1, 2))
    found = reading.events(reading.calendars(b"\xef\xbb\xbf" + content.encode()), begin, end)
    assert [(read.event["external_id"], read.number) for read in found] == [("a", 1), ("b", 2)]


def spans(world: World) -> list[tuple[str, str]]:
    return [*appointments(world).values()]


YEAR_2027 = ("--from", "2027-01-01", "--to", "2027-12-31")


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        # An hour is an hour, also in the nights of the clock changes; a day is the same time of the next day.
        (";TZID=Europe/Berlin:20270327T220000", "PT8H", ("03-27 21:00", "03-28 05:00")),
        (";TZID=Europe/Berlin:20271030T220000", "PT8H", ("10-30 20:00", "10-31 04:00")),
        (";TZID=Europe/Berlin:20270327T220000", "PT24H", ("03-27 21:00", "03-28 21:00")),
        (";TZID=Europe/Berlin:20270327T220000", "P1D", ("03-27 21:00", "03-28 20:00")),
        (";TZID=Europe/Berlin:20270327T220000", "P1DT2H", ("03-27 21:00", "03-28 22:00")),
        (";TZID=Europe/Berlin:20270327T220000", "P1W", ("03-27 21:00", "04-03 20:00")),
        (":20270327T220000", "PT8H", ("03-27 21:00", "03-28 05:00")),
        # A start that the clocks skip has the offset from before.
        (";TZID=Europe/Berlin:20270328T023000", "PT30M", ("03-28 01:30", "03-28 02:00")),
        (":20270328T023000", "PT30M", ("03-28 01:30", "03-28 02:00")),
    ],
)
def test_duration_is_added_as_the_format_says(
    world: World, tmp_path: Path, start: str, length: str, expected: tuple[str, str]
) -> None:
    file = written(tmp_path, f"UID:a\nDTSTART{start}\nDURATION:{length}")
    assert imported(world, file, world.therapist("Europe/Berlin"), *YEAR_2027)["rejected"] == []
    assert spans(world) == [expected]


@pytest.mark.parametrize("end", ["DURATION:PT8H", "DTEND;TZID=Europe/Berlin:20270327T060000"])
def test_nights_of_a_series_are_as_long_as_the_first(world: World, tmp_path: Path, end: str) -> None:
    file = written(tmp_path, f"UID:a\nDTSTART;TZID=Europe/Berlin:20270326T220000\n{end}\nRRULE:FREQ=DAILY;COUNT=3")
    imported(world, file, world.therapist("Europe/Berlin"), *YEAR_2027)
    assert spans(world) == [
        ("03-26 21:00", "03-27 05:00"), ("03-27 21:00", "03-28 05:00"), ("03-28 20:00", "03-29 04:00"),
    ]  # fmt: skip


def test_occurrence_in_the_skipped_hour_is_taken(world: World, tmp_path: Path) -> None:
    daily = "UID:a\nDTSTART;TZID=Europe/Berlin:20270327T023000\nDURATION:PT30M\nRRULE:FREQ=DAILY;COUNT=3"
    answer = imported(world, written(tmp_path, daily), world.therapist("Europe/Berlin"), *YEAR_2027)
    assert (answer["inserted"], answer["rejected"]) == (3, [])
    assert spans(world) == [
        ("03-27 01:30", "03-27 02:00"), ("03-28 01:30", "03-28 02:00"), ("03-29 00:30", "03-29 01:00"),
    ]  # fmt: skip


def test_end_behind_the_gap_and_a_start_in_it_are_taken(world: World, tmp_path: Path) -> None:
    event = "UID:a\nDTSTART;TZID=Europe/Berlin:20270328T023000\nDTEND;TZID=Europe/Berlin:20270328T031500"
    imported(world, written(tmp_path, event), world.therapist("Europe/Berlin"), *YEAR_2027)
    assert spans(world) == [("03-28 01:30", "03-28 02:15")]


def test_zone_that_nobody_knows_is_not_the_therapists(world: World, tmp_path: Path) -> None:
    unknown = "(UTC-05:00) Eastern Time (US & Canada)"
    file = written(
        tmp_path,
        f'UID:a\nDTSTART;TZID="{unknown}":20270701T090000\nDURATION:PT1H',
        "UID:b\nDTSTART;TZID=Eastern Standard Time:20270701T090000\nDURATION:PT1H",
        "UID:c\nDTSTART;TZID=W. Europe Standard Time:20270702T090000\nDURATION:PT1H",
        "UID:d\nDTSTART:20270703T090000\nDURATION:PT1H",
        "UID:e\nDTSTART:20270704T090000Z\nDTEND;TZID=Mars/Phobos:20270704T100000",
        "UID:f\nDTSTART:20270704T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY\nEXDATE;TZID=Mars/Phobos:20270704T100000",
    )
    answer = imported(world, file, world.therapist("Asia/Tokyo"), *YEAR_2027)
    assert [(one["external_id"], one["reason"]) for one in answer["rejected"]] == [
        (name, "unknown_time_zone") for name in "aef"
    ]
    assert spans(world) == [
        ("07-01 13:00", "07-01 14:00"),
        ("07-02 07:00", "07-02 08:00"),
        ("07-03 00:00", "07-03 01:00"),
    ]


def test_exception_that_cannot_be_read_drops_no_series(world: World, tmp_path: Path) -> None:
    weekly = "UID:w\nDTSTART:20270107T090000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;COUNT=3"
    moved = "UID:w\nRECURRENCE-ID:20270121T090000Z\nDTSTART:20270121T150000Z\nDURATION:PT1H"
    broken = "UID:w\nSUMMARY:Supervision\nRECURRENCE-ID:20270114T090000Z\nDTSTART:garbage\nDURATION:PT1H"
    answer = imported(world, written(tmp_path, weekly, moved, broken), world.therapist("UTC"), *YEAR_2027)
    assert answer["rejected"] == [
        {
            "event": 3, "summary": "Supervision", "external_id": "w/20270114T090000Z", "reason": "invalid_start_time",
        }
    ]  # fmt: skip
    # What an exception that cannot be read replaces is blocked at its own time.
    assert [start for start, _ in spans(world)] == ["01-07 09:00", "01-14 09:00", "01-21 15:00"]


def test_rejected_event_can_be_found_in_the_file(world: World, tmp_path: Path) -> None:
    """By its number among the VEVENTs and by its name; a reason says what is wrong."""
    file = written(
        tmp_path,
        "UID:daily\nDTSTART:20270107T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=9",
        "SUMMARY:Dentist\nDTSTART:garbage",
        "UID:often\nDTSTART:20270107T090000Z\nDURATION:PT1M\nRRULE:FREQ=MINUTELY",
        "UID:never\nDTSTART:20270107T090000Z\nDURATION:PT1M\nRRULE:FREQ=FORTNIGHTLY",
        "UID:endless\nDTSTART:20270107T090000Z\nDTEND:garbage",
    )
    answer = imported(world, file, world.therapist("UTC"), *YEAR_2027)
    assert [(one["event"], one["summary"], one["external_id"], one["reason"]) for one in answer["rejected"]] == [
        (2, "Dentist", None, "invalid_start_time"), (3, None, "often", "too_many_occurrences"),
        (4, None, "never", "invalid_recurrence"), (5, None, "endless", "invalid_end_time"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["America/New_York", "GMT+01:00", "nonsense", ""])
def test_zone_beside_the_standard_changes_no_time(world: World, tmp_path: Path, name: str) -> None:
    """X-WR-TIMEZONE: times in UTC, with a zone, without one and days are what they say."""
    file = written(
        tmp_path,
        "UID:s\nDTSTART:20300304T150000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;COUNT=4\nEXDATE:20300311T150000Z",
        "UID:s\nRECURRENCE-ID:20300318T150000Z\nDTSTART:20300318T190000Z\nDURATION:PT1H",
        "UID:u\nDTSTART:20300701T090000Z\nDURATION:PT1H",
        "UID:z\nDTSTART;TZID=Asia/Tokyo:20300702T090000\nDURATION:PT1H",
        "UID:f\nDTSTART:20300703T090000\nDURATION:PT1H",
        "UID:d\nDTSTART;VALUE=DATE:20300704",
        head=f"{HEAD}X-WR-TIMEZONE:{name}\n",
    )
    assert imported(world, file, world.therapist("Europe/Berlin"))["rejected"] == []
    assert [start for start, _ in spans(world)] == [
        "03-04 15:00", "03-18 19:00", "03-25 15:00", "07-01 09:00", "07-02 00:00", "07-03 07:00", "07-03 22:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "written_so",
    [
        "DURATION:\n P1D",
        "DURATION:\r\n\tP1D",
        "DURATI\n ON:P1\n D",
        'DURATION;X-A="a:b":P1D',
        'DURATION;X-A="a:b"\n :P1D',
    ],
)
def test_duration_in_days_is_known_however_written(world: World, tmp_path: Path, written_so: str) -> None:
    file = written(tmp_path, f"UID:a\nDTSTART;TZID=Europe/Berlin:20270327T220000\n{written_so}\nSUMMARY:b")
    assert imported(world, file, world.therapist("Europe/Berlin"), *YEAR_2027)["rejected"] == []
    assert spans(world) == [("03-27 21:00", "03-28 20:00")]


@pytest.mark.parametrize("part", ["INTERVAL=0", "COUNT=0", "INTERVAL=-1"])
def test_rule_that_names_no_times_is_rejected(world: World, tmp_path: Path, part: str) -> None:
    file = written(tmp_path, f"UID:a\nDTSTART:20270327T220000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;{part}")
    (rejected,) = imported(world, file, world.therapist("UTC"), *YEAR_2027)["rejected"]
    assert (rejected["external_id"], rejected["reason"]) == ("a", "invalid_recurrence")
    assert spans(world) == []


@pytest.mark.parametrize(
    ("start", "until", "last"),
    [
        # The whole day, where it is a day: that of the series, and that of the therapist.
        (";TZID=America/New_York:20270607T220000", "20270621", "06-22 02:00"),
        (":20270607T220000", "20270621", "06-21 20:00"),
        (":20270607T200000Z", "20270621", "06-21 20:00"),
        (":20270607T233000Z", "20270621", "06-21 23:30"),
        # Of times of another form the later reading.
        (";TZID=America/New_York:20270607T150000", "20270621T150000", "06-21 19:00"),
        (":20270607T150000", "20270621T130000Z", "06-21 13:00"),
        (":20270607T150000", "20270621T150000Z", "06-21 13:00"),
        (";VALUE=DATE:20270607", "20270620T220000Z", "06-20 22:00"),
        # As the standard wants it.
        (";TZID=America/New_York:20270607T220000", "20270615T020000Z", "06-15 02:00"),
        (";TZID=America/New_York:20270607T220000", "20270615T015959Z", "06-08 02:00"),
        (":20270607T150000", "20270614T150000", "06-14 13:00"),
        (";VALUE=DATE:20270607", "20270614", "06-13 22:00"),
    ],
)
def test_last_day_of_a_series_belongs_to_it(world: World, tmp_path: Path, start: str, until: str, last: str) -> None:
    length = "P1D" if "DATE" in start else "PT30M"
    file = written(tmp_path, f"UID:a\nDTSTART{start}\nDURATION:{length}\nRRULE:FREQ=WEEKLY;UNTIL={until}")
    assert imported(world, file, world.therapist("Europe/Berlin"), *YEAR_2027)["rejected"] == []
    assert spans(world)[-1][0] == last


@pytest.mark.parametrize(
    "times",
    [
        "DTSTART;VALUE=DATE:20270701\nDTEND:20270702T090000Z", "DTSTART:20270701T090000Z\nDTEND;VALUE=DATE:20270702",
        "DTSTART;VALUE=DATE:20270701\nDTEND:20270702T090000",
    ],
)  # fmt: skip
def test_day_and_time_are_no_start_and_end(world: World, tmp_path: Path, times: str) -> None:
    (rejected,) = imported(
        world, written(tmp_path, f"UID:a\n{times}"), world.therapist("America/New_York"), *YEAR_2027
    )["rejected"]
    assert rejected["reason"] == "invalid_end_time"
    assert spans(world) == []


def test_date_of_a_series_may_have_an_end_of_its_own(world: World, tmp_path: Path) -> None:
    dates = (
        "UID:a\nDTSTART:20270107T090000Z\nDURATION:PT1H\nRDATE;VALUE=PERIOD:20270108T090000Z/PT3H,"
        "20270109T090000Z/20270109T110000Z"
    )
    imported(world, written(tmp_path, dates), world.therapist("UTC"), *YEAR_2027)
    assert spans(world) == [
        ("01-07 09:00", "01-07 10:00"), ("01-08 09:00", "01-08 12:00"), ("01-09 09:00", "01-09 11:00"),
    ]  # fmt: skip
