"""Writes the files that are made from others: ``make generate``."""
