"""Every command line and all help, by tyro; plain ones are read without it (:mod:`laennec.cli.options`)."""

import inspect
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, field, fields, is_dataclass, make_dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import tyro

from laennec.cli.options import Marker, arg
from laennec.cli.usage import asks_for_help, parsed

CONFIG = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)


def read(command: type, called: str, words: Sequence[str]) -> Any:
    """Return the arguments of a command, that is `called` so; SystemExit after ``--help``.

    UsageError if they are wrong.
    """
    _mark(command)
    if asks_for_help(words):
        command = _with_debug(command)
    return parsed(lambda: tyro.cli(command, prog=called, args=words, config=CONFIG), called, words)


def help_of_all(described: Mapping[str, str], description: str, words: Sequence[str]) -> None:
    """Print the help of all commands, of which the first line of each is given, or refuse `words`."""
    # Classes and not functions, for which tyro would import typeguard, in 0.1 s.
    commands = tuple(
        Annotated[make_dataclass(name, (), namespace={"__doc__": first}), tyro.conf.subcommand(name)]
        for name, first in described.items()
    )
    all_of_them = make_dataclass(
        "Laennec",
        [("command", Union[commands]), _flag("version", "Print the version."), DEBUG],  # noqa: UP007
        namespace={"__doc__": description},
    )
    parsed(lambda: tyro.cli(all_of_them, prog="laennec", args=words, config=CONFIG), "laennec", words)


def _flag(name: str, meaning: str) -> tuple[str, Any, Any]:
    """Return a flag that the command line reads by itself, for help."""
    return name, Annotated[bool, tyro.conf.arg(help=meaning)], field(default=False, kw_only=True)


DEBUG = _flag("debug", "Show where an error came from.")


@cache  # so that a default is one of the commands
def _with_debug(command: type) -> type:
    """Return a marked command, and its own commands, as help shows them: with the option that each has."""
    hints = inspect.get_annotations(command)
    inner = []
    for own in fields(command):
        if _is_commands(hints.get(own.name)):
            commands: Any = tuple(map(_command_with_debug, get_args(hints[own.name])))
            inner.append((own.name, Union[commands], _default_with_debug(own)))  # noqa: UP007
    return make_dataclass(
        command.__name__,
        [*inner, DEBUG],
        bases=(command,),
        frozen=True,
        namespace={"__doc__": command.__doc__},
    )


def _is_commands(hint: Any) -> bool:
    return get_origin(hint) is Union and all(
        is_dataclass(next(iter(get_args(each)), None)) for each in get_args(hint)
    )


def _command_with_debug(hint: Any) -> Any:
    inner, *markers = get_args(hint)
    return Annotated[(_with_debug(inner), *markers)]


def _default_with_debug(own: Any) -> Any:
    if own.default is MISSING:
        return field()
    kind: Any = type(own.default)
    values = {each.name: getattr(own.default, each.name) for each in fields(kind)}
    return field(default=_with_debug(kind)(**values))


def _mark(command: type) -> None:
    """Put tyro's markers in the place of ours, in a dataclass and in those that are its fields.

    Tyro reads the annotations; the types that dataclasses keep stay as they are, for plain words.
    """
    for base in filter(is_dataclass, command.__mro__):
        own = inspect.get_annotations(base)
        base.__annotations__ = {name: _marked(_with_metavar(hint)) for name, hint in own.items()}


def _with_metavar(hint: Any) -> Any:
    """Return a field's type with what help calls its value, where tyro would say ``{None}|PATH``."""
    inner, *markers = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if get_origin(inner) not in (Union, types.UnionType) or any(
        "metavar" in _given(each) for each in markers
    ):
        return hint
    others = [each for each in get_args(inner) if each is not types.NoneType]
    if len(others) != 1 or len(others) == len(get_args(inner)):
        return hint
    choices = get_args(others[0]) if get_origin(others[0]) is Literal else ()
    metavar = f"{{{','.join(map(str, choices))}}}" if choices else getattr(others[0], "__name__", "").upper()
    return Annotated[(inner, *markers, arg(metavar=metavar))] if metavar else hint


def _given(marker: Any) -> dict[str, str]:
    return dict(marker.given) if isinstance(marker, Marker) else {}


def _marked(hint: Any) -> Any:
    if isinstance(hint, type) and is_dataclass(hint):
        _mark(hint)
    if get_origin(hint) is Annotated:
        inner, *markers = get_args(hint)
        return Annotated[(_marked(inner), *map(_tyro_marker, markers))]  # type: ignore[return-value]
    if get_origin(hint) in (Union, types.UnionType):
        return Union[tuple(map(_marked, get_args(hint)))]  # noqa: UP007
    return hint


def _tyro_marker(marker: Any) -> Any:
    """Return what tyro has for a marker of ours; others are its own."""
    if not isinstance(marker, Marker):
        return marker
    found = getattr(tyro.conf, marker.name)
    return found(**dict(marker.given)) if marker.given else get_args(found[int])[1]
