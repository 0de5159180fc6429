"""Reproductions, one paper a file: its tables beside ours, from one command."""
