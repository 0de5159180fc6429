"""What is wrong with a request, in a sentence: a value that cannot be, an address that there is not."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from laennec.errors import LaennecError, shown

DESCRIPTION = "/api/v1/openapi.json"
OBJECT = "an object in JSON"
# What is expected, by the kinds of error that Pydantic has.
EXPECTED = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": OBJECT,
    "model_type": OBJECT,
    "model_attributes_type": OBJECT,
}


class WrongValueError(LaennecError):
    """A parameter or a field has a value that it cannot have."""

    status = 422


def wrong_value(errors: Sequence[Mapping[str, Any]]) -> str:
    """Say of the first value that cannot be, as FastAPI found them: which it is, and what is expected."""
    # What may be text or an object is wrong as either; that it is no text says the least.
    error = next((each for each in errors if each["loc"][-1] != "str"), errors[0])
    name, kind, given = name_of(error["loc"]), error["type"], error.get("input")
    bounds = {key: _bound(value) for key, value in error.get("ctx", {}).items()}
    match kind:
        case "json_invalid":
            return f"the body is not JSON: {bounds.get('error', 'it breaks off')}"
        case "missing":
            return f"{name} is missing"
        case "extra_forbidden":
            return f"{name}: no such field; {DESCRIPTION} has those that there are"
        case "string_too_long" | "string_too_short":
            return f"{name} has {len(str(given)):,} characters; expected {_length(bounds)}"
        case "too_long" | "too_short":
            return f"{name} has {bounds['actual_length']} entries; expected {_length(bounds)}"
    expected = EXPECTED.get(kind) or _within(bounds)
    if expected is None:
        return f"{name} is {shown(given)}; {error['msg'][:1].lower()}{error['msg'][1:]}"
    return f"{name} is {shown(given)}; expected {expected}"


def _length(bounds: Mapping[str, str]) -> str:
    return f"up to {bounds['max_length']}" if "max_length" in bounds else f"{bounds['min_length']} or more"


def _within(bounds: Mapping[str, str]) -> str | None:
    """Name the bound of a value that lies beyond it; None where there is none."""
    for key, bound in bounds.items():
        match key:
            case "ge":
                return f"{bound} or more"
            case "gt":
                return f"more than {bound}"
            case "le":
                return f"{bound} or less"
            case "lt":
                return f"less than {bound}"
            case "pattern":
                return f"text that matches {bound}"
            case "expected":
                return bound
    return None


def name_of(place: Sequence[str | int]) -> str:
    """Name a parameter or a field by its place: ``edits[0].kind``."""
    inner = [
        part for part in place[1:] if part not in ("str", "EventIn")
    ]  # which of several types it might be
    if not inner:
        return "the body"
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in inner).lstrip(".")


def _bound(value: Any) -> str:
    """A bound as a sentence has it."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def refused(status: int, detail: str, method: str, path: str) -> str:
    """Say what is refused, in place of the bare name of its status where the web framework has no more."""
    if detail != HTTPStatus(status).phrase:
        return detail
    match status:
        case 404 if path.startswith("/api/"):
            return f"there is no address {shown(path)}; {DESCRIPTION} has those that there are"
        case 404:
            return f"there is no page {shown(path)}; the page is at /"
        case 405:
            return f"{shown(path)} does not take {method}; {DESCRIPTION} has what it takes"
    return f"{method} {shown(path)}: {detail.lower()}"
