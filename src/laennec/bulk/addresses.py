"""Addresses of object stores, through fsspec; nothing here is reached unless an address names it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec

from laennec.errors import LaennecError

# Schemes that are known, and the Python package that speaks each.
SCHEMES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
}
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)


def scheme_of(address: str) -> str | None:
    """Return the scheme of an address, None for a path; LaennecError if it is not one of `SCHEMES`."""
    found = _SCHEME.match(address)
    if found is None:
        return None
    scheme = found[1].lower()
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in ("s3", "gs", "az"))
        raise LaennecError(f"{address}: no address of an object store that is known ({known}) and no path")
    return scheme


def filesystem(address: str) -> Any:
    """Return fsspec's file system for an address, without a cache of listings, which would grow with them.

    LaennecError if the package for its scheme is missing. It finds credentials and endpoints itself, in the
    environment and in configuration files.
    """
    scheme = scheme_of(address)
    assert scheme is not None
    try:
        return fsspec.filesystem(scheme, use_listings_cache=False)
    except ImportError as error:
        package = SCHEMES[scheme]
        extra = '"laennec[scale]"' if package == "s3fs" else package
        raise LaennecError(
            f"{address}: {scheme}:// needs the Python package {package}; install it with: pip install {extra}"
        ) from error


@contextmanager
def store_errors(address: str) -> Iterator[None]:
    """Turn what an object store answers into one sentence."""
    try:
        yield
    except LaennecError:
        raise
    except FileNotFoundError as error:
        raise LaennecError(f"{address}: there is no such bucket, prefix or object") from error
    except PermissionError as error:
        raise LaennecError(
            f"{address}: access is refused; check the credentials ({_first(error)})"
        ) from error
    except Exception as error:  # each package has its own for the network
        raise LaennecError(f"{address}: cannot be reached ({_first(error)})") from error


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
