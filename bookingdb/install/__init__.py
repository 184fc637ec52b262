"""Bring a database to this version of bookingdb, or write down the SQL that does."""
