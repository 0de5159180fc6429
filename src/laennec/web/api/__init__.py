"""The HTTP API under ``/api/v1``: a file for each part, each with a `router`."""
