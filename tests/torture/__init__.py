"""Torture: servers, clients and connections are killed under load, and what was promised is held against what is there.

One module a scenario, each with a `torture(server, seconds)` that returns its `Figures`; `python -m tests.torture` runs
them and writes the table of docs/reliability.md.
"""
