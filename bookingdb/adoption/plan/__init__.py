"""The plan of an adoption: made from the database and its owner's answers, written as a file, read again."""
