"""What is made from other files is as they say now."""

from __future__ import annotations

from tests.generate.__main__ import WRITERS


def test_generated_files_are_up_to_date() -> None:
    behind = [
        str(path)
        for writer in WRITERS
        for path, text in writer.contents().items()
        if path.read_text(encoding="utf-8") != text
    ]

    assert behind == [], "make generate"
