"""Label files: one format a file, read and written together."""
