"""What an adoption would do: made from the database and its owner's answers, written as a file, read again."""
