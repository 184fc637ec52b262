"""Takes over, in place, the database of an application that has tables and functions of our names already."""
