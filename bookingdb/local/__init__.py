"""A Postgres of your own on this machine."""
