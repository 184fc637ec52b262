"""Writes every file that is made from others, those first that others are made from: ``make generate``."""

from __future__ import annotations

from tests.generate import write_catalogue, write_commands, write_events, write_methods, write_policy, write_reference

# Each has contents(): what the files that it writes must hold.
WRITERS = (write_policy, write_events, write_commands, write_methods, write_reference)


def main() -> None:
    """Write the files, and say which of them changed."""
    for writer in WRITERS:
        for path, text in writer.contents().items():
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")
                print(f"{path}: changed")
    write_catalogue.main()


if __name__ == "__main__":
    main()
