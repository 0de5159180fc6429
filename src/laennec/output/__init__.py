"""A result becomes JSON, a table, a picture, label files, a page."""
