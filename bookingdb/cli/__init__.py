"""The command `bookingdb`."""
