"""``python -m bookingdb.cli``: the command, where the script `bookingdb` is not on the PATH."""

from bookingdb.cli.main import main

main()
