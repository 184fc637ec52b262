"""iCalendar files (RFC 5545): how they are read and written, for the command line and for the worker.

The packages for iCalendar take their time: a module of this wing is imported only where there is a file.
"""
