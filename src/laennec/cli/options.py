"""What the fields of a command's dataclass say of its options, and command lines of plain words.

The markers have the names of tyro's, and :mod:`laennec.cli.parser` hands them on to it. Importing tyro, with
what it imports, takes a third of the start of a short command. So a command line of plain words is read here:
options spelt as they are, each once, with plain values. Whatever else it may be, help and errors included, is
tyro's.
"""

import re
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

T = TypeVar("T")


@dataclass(frozen=True)
class Marker:
    """What tyro calls a field: the name of one of its markers, and what that is given."""

    name: str
    given: tuple[tuple[str, str], ...] = ()


Positional = Annotated[T, Marker("Positional")]


def arg(**given: str) -> Marker:
    """Return how a field is shown in help, as tyro's `arg`: `metavar`, `help_behavior_hint`."""
    return Marker("arg", tuple(given.items()))


def subcommand(name: str) -> Marker:
    """Return how a command of a command is called, as tyro's `subcommand`."""
    return Marker("subcommand", (("name", name),))


@dataclass(frozen=True)
class Option:
    """A field as plain words can give it: one value, several, or none."""

    field: str
    read: Callable[[str], Any] | None  # None for a flag
    positional: bool = False
    several: bool = False


def read_plainly(command: type[T], words: Sequence[str]) -> T | None:
    """Return the arguments of a command, or None where a word is not of the plain kind, or one is missing."""
    try:
        options = {option.field: option for option in map(_option, fields(command))}  # type: ignore[arg-type]
        given = dict(_given(options, words))
    except _NotPlainError:
        return None
    required = [own for own in fields(command) if own.default is own.default_factory is MISSING]  # type: ignore[arg-type]
    return command(**given) if all(own.name in given for own in required) else None


class _NotPlainError(Exception):
    """Tyro is to read it."""


def _given(options: dict[str, Option], words: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield each field that is given with its value."""
    named = {
        "--" + option.field.replace("_", "-"): option for option in options.values() if not option.positional
    }
    loose, places, seen = [], [], set[str]()
    left = iter(enumerate(words))
    for place, word in left:
        name, equals, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            loose.append(word)
            places.append(place)
            continue
        if name not in named or name in seen:
            raise _NotPlainError
        seen.add(name)
        option = named[name]
        if option.read is None:
            if equals:
                raise _NotPlainError
            yield option.field, True
            continue
        value = value if equals else next(left, (0, ""))[1]
        yield option.field, _read(option, value)
    positional = [option for option in options.values() if option.positional]
    if places and (places != list(range(places[0], places[-1] + 1)) or len(positional) != 1):
        raise _NotPlainError
    if loose and (positional[0].several or len(loose) == 1):
        values = tuple(_read(positional[0], word) for word in loose)
        yield positional[0].field, values if positional[0].several else values[0]
    elif loose:
        raise _NotPlainError


def _read(option: Option, value: str) -> Any:
    if (
        option.read is None
        or not value
        or value == "None"
        or (value.startswith("-") and not option.positional)
    ):
        raise _NotPlainError
    return option.read(value)


def _number(value: str) -> float:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        raise _NotPlainError
    return float(value)


def _whole_number(value: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,9}", value):
        raise _NotPlainError
    return int(value)


READERS: dict[Any, Callable[[str], Any]] = {Path: Path, str: str, float: _number, int: _whole_number}


def _option(own: Any) -> Option:
    """Return what a field can be given as; `_NotPlainError` if its type is not among the plain ones."""
    hint, *markers = get_args(own.type) if get_origin(own.type) is Annotated else (own.type,)
    if not all(isinstance(marker, Marker) for marker in markers):  # one of tyro's own
        raise _NotPlainError
    positional = any(marker.name == "Positional" for marker in markers)
    if hint is bool and own.default is False and not positional:
        return Option(own.name, None)
    if get_origin(hint) in (Union, types.UnionType):
        others = [each for each in get_args(hint) if each is not types.NoneType]
        hint = others[0] if len(others) == 1 else None
    if get_origin(hint) is tuple and positional and get_args(hint)[1:] == (...,):
        return Option(own.name, _reader(get_args(hint)[0]), positional=True, several=True)
    return Option(own.name, _reader(hint), positional=positional)


def _reader(hint: Any) -> Callable[[str], Any]:
    if get_origin(hint) is Literal:
        choices = {str(choice): choice for choice in get_args(hint)}

        def chosen(value: str) -> Any:
            if value not in choices:
                raise _NotPlainError
            return choices[value]

        return chosen
    if hint not in READERS:
        raise _NotPlainError
    return READERS[hint]
