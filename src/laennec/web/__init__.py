"""Pages that a browser opens from disk: one file each, which asks nothing of any network."""
