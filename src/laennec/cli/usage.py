"""What is wrong with a command line, in one sentence: the parser's own words are of its types, in boxes."""

import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

from laennec.errors import UsageError

_BOX = "│╭╮╰╯─━ "
_WIDE = "100000"  # columns: no word is broken
_UNKNOWN = re.compile(r"Unrecognized (?:options|arguments): (.+)")
_CHOICE = re.compile(r"invalid choice '(.*)' for argument '(.*?)'\. Expected one of \((.*)\)")
_VALUE = re.compile(r"Error parsing (\S+): (.*)")
_NO_VALUE = re.compile(r"Missing value for argument '(.*?)'")
_WORDS = re.compile(r"(?:Available subcommands:|Expected one of) \{?([\w-]+(?:, [\w-]+)*)")
_TITLE = re.compile(r"^ *(?:Parsing error|Required options|Value error) +")
_HELP = re.compile(r"For full helptext, (?:run|see):? +(.*?) --help")


def parsed(parse: Callable[[], Any], called: str, given: Sequence[str]) -> Any:
    """Return what a parser makes of the words `given` behind a command, that is `called` so.

    UsageError where it finds them wrong; SystemExit after ``--help``.
    """
    if asks_for_help(given):
        return parse()
    told = io.StringIO()
    try:
        with _wide(), redirect_stderr(told):
            return parse()
    except SystemExit as stopped:
        if stopped.code != 2:
            raise
    raise UsageError(in_a_sentence(told.getvalue(), called, given))


def asks_for_help(given: Sequence[str]) -> bool:
    return not {"-h", "--help"}.isdisjoint(given)


@contextmanager
def _wide() -> Iterator[None]:
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = _WIDE
    try:
        yield
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


def in_a_sentence(printed: str, called: str, given: Sequence[str]) -> str:
    """Return what the parser has printed without its box and the names of its types."""
    lines = [line.lstrip(_BOX).rstrip(f"{_BOX}-") for line in printed.splitlines()]
    text = " ".join(line.strip() for line in lines)
    command = _HELP.search(text)
    return with_help(_wrong(lines, text, given), command[1] if command else called)


def with_help(problem: str, called: str) -> str:
    """Return what is wrong, and where the help is."""
    return f"{problem}{' See' if problem.endswith('?') else '; see'} {called} --help"


def _wrong(lines: Sequence[str], text: str, given: Sequence[str]) -> str:
    if unknown := _UNKNOWN.search("\n".join(lines)):
        return _unknown(unknown[1].strip().split(", "), text, given)
    if choice := _CHOICE.search(text):
        value, option, known = choice.groups()
        words = re.findall(r"'(.*?)'", known)
        words = sorted({*words} - {"None"}) if "None" in words else words  # a set, in any order
        return f"{option} {value}: expected one of {', '.join(words)}"
    if value := _VALUE.search(text):
        return _wrong_value(value[1], value[2], given)
    if option := _NO_VALUE.search(text):
        return f"{option[1]}: its value is missing"
    if "Missing from" in text:
        return f"missing: {'; '.join(_missing(lines))}"
    if known := _WORDS.search(text):
        return f"a word is missing, one of {known[1]}"
    return _TITLE.sub("", re.split(r" +(?:For full|Argument) helptext", text)[0]).strip()


def _unknown(words: Sequence[str], text: str, given: Sequence[str]) -> str:
    word = words[0]
    if word.startswith("--"):
        near = re.search(r"Perhaps you meant:\s+(--[\w-]+)", text)
        return f"{word}: no such option" + (f"; did you mean {near[1]}?" if near else "")
    if word.startswith("-"):
        return f"{word}: no such option; if it is a file, write ./{word}"
    if word not in given:
        return f"{next((each for each in given if each.endswith('=' + word)), word)}: it takes no value"
    known = _WORDS.search(text)
    if known and word == next((each for each in given if not each.startswith("-")), None):
        return no_such_command(word, known[1].split(", "))
    return f"{' '.join(words)}: {'one argument' if len(words) == 1 else 'arguments'} too many"


def no_such_command(word: str, known: Sequence[str]) -> str:
    """Return what is wrong with a word that is no command, with the one that it looks like."""
    plain = {each: each for each in known} | {each.replace("-", ""): each for each in known}
    near = get_close_matches(word.lower().replace("-", ""), plain, 1)
    others = f"did you mean {plain[near[0]]}?" if near else f"there are {', '.join(known)}"
    return f"{word}: no such command; {others}"


def _wrong_value(option: str, why: str, given: Sequence[str]) -> str:
    told = [word for word in given if word.split("=")[0] == option]
    after = given[given.index(option) + 1 :] if option in given else []
    value = told[0].partition("=")[2] if told and "=" in told[0] else " ".join(_until_option(after))
    kinds = {"float": "a number", "FLOAT": "a number", "int": "a whole number", "INT": "a whole number"}
    wanted = next((words for kind, words in kinds.items() if kind in why), "another value")
    return f"{option} {value}: expected {wanted}"


def _until_option(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if word.startswith("--"):
            return
        yield word


def _missing(lines: Sequence[str]) -> Iterator[str]:
    """Yield the options that are missing, and the descriptions of arguments that have no name."""
    start = next(k for k, line in enumerate(lines) if "Missing from" in line) + 1
    entries = [line.strip() for line in lines[start:] if line.strip()]
    for name, description in pairwise(entries):
        if name.startswith("For full"):
            return
        if name.startswith("--"):
            yield name.split()[0]
        elif re.fullmatch(r"[A-Z][A-Z|\[\] .]*", name):
            told = description.removesuffix("(required)").strip().rstrip(".")
            yield told[:1].lower() + told[1:]
