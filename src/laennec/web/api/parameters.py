"""Parameters of an address: one that its route does not have is refused, since it may be a misspelt one."""

from collections.abc import Iterator

from fastapi import HTTPException, Request
from fastapi.dependencies.models import Dependant

from laennec.errors import shown

SENTENCE = "A parameter that an operation does not have is refused (422), with those that it has."


def refuse_unknown(request: Request) -> None:
    """Answer 422 where a parameter is none of the route's, before anything is done."""
    known = dict.fromkeys(_names(request.scope["route"].dependant))
    unknown = next((name for name in request.query_params if name not in known), None)
    if unknown is not None:
        raise HTTPException(
            422, f"{shown(unknown)}: no such parameter; this address takes {', '.join(known) or 'none'}"
        )


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (parameter.alias for parameter in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _names(inner)
