"""Lists of what was trained and tested on, in the forms in which they are published.

One file with a name and a set in each row (ICBHI's official list, any CSV), one list of names for each set
(``train.txt`` and ``test.txt``, or a folder that holds them), JSON with a list for each set, or NumPy's
``.npz`` with an array for each set.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from laennec.annotations.text import read_text
from laennec.errors import LaennecError, shown, unread

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SET_WORDS = {
    TRAIN: ("train", "training", "trainset", "trn"),
    VALIDATION: ("validation", "valid", "val", "dev"),
    TEST: ("test", "testing", "testset", "tst", "eval", "evaluation"),
}
_SET_OF = {word: name for name, words in SET_WORDS.items() for word in words}
LISTS = (".txt", ".csv", ".tsv", ".lst")
FORMS = "a table of names and sets, train.txt with test.txt, JSON or .npz with a list for each set"

Sets = dict[str, tuple[str, ...]]
"""The names of each set."""


def read_split(paths: Sequence[Path]) -> Sets:
    """Read the lists of a split; ``train`` and ``test`` are among the sets that come back.

    Raises
    ------
    LaennecError
        If a file is none of the forms above, a set is missing or empty.
    """
    files = [file for path in paths for file in _files(path)]
    if len(files) == 1:
        sets = _one_file(files[0])
    else:
        named = [(set_of(file.stem), file) for file in files]
        sets = {}
        for name, file in named:
            if name is None:
                raise LaennecError(
                    f"{file}: its name says neither train nor test, and it is one of several lists"
                )
            sets[name] = sets.get(name, ()) + tuple(_names(file))
    for name in (TRAIN, TEST):
        if not sets.get(name):
            raise LaennecError(f"{paths[0]}: no names of the {name} set; a split is {FORMS}")
    return sets


def set_of(word: str) -> str | None:
    """Return ``train``, ``validation`` or ``test`` for a word or a file name that says one of them."""
    said = {_SET_OF[part] for part in re.split(r"[^a-z]+", word.lower()) if part in _SET_OF}
    return said.pop() if len(said) == 1 else None


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    lists = sorted(each for each in path.iterdir() if each.suffix.lower() in LISTS and set_of(each.stem))
    if not lists:
        raise LaennecError(f"{path}: no lists here; expected train.txt and test.txt, or name the files")
    return lists


def _one_file(path: Path) -> Sets:
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _of_mapping(_json(path), path)
    if suffix in (".npz", ".npy"):
        return _of_mapping(_arrays(path), path)
    rows = _rows(path)
    for column in range(max(map(len, rows), default=0)):
        cells = [row[column] if column < len(row) else "" for row in rows]
        for first in (0, 1):  # 1: the first row is a header
            words = [_SET_OF.get(cell.strip().lower()) for cell in cells[first:]]
            if words and all(words):
                return _by_set(path, rows[first:], column, [str(word) for word in words])
    raise LaennecError(f"{path}: no column says train or test in every row; a split is {FORMS}")


def _by_set(path: Path, rows: list[list[str]], column: int, words: list[str]) -> Sets:
    """Deal rows to their sets by the longest other cell, which is the name."""
    sets: dict[str, list[str]] = {}
    for row, word in zip(rows, words, strict=True):
        others = [cell.strip() for k, cell in enumerate(row) if k != column and cell.strip()]
        if not others:
            raise LaennecError(f"{path}: a row says {row[column]} of no name")
        sets.setdefault(word, []).append(max(others, key=len))
    return {name: tuple(names) for name, names in sets.items()}


def _of_mapping(found: Mapping[str, Any], path: Path) -> Sets:
    sets: dict[str, tuple[str, ...]] = {}
    for key, names in found.items():
        name = set_of(str(key))
        if name is None:
            continue
        flat = np.asarray(names).ravel().tolist() if isinstance(names, list | tuple | np.ndarray) else None
        if flat is None or not all(isinstance(each, str) for each in flat):
            raise LaennecError(f"{path}: {key} is no list of names; a split is {FORMS}")
        sets[name] = sets.get(name, ()) + tuple(flat)
    return sets


def _json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(text_of(path))
    except (ValueError, RecursionError) as error:
        raise LaennecError(f"{path}: not JSON ({error})") from error
    if isinstance(found, dict) and all(isinstance(word, str) for word in found.values()):
        # {"101_1b1_Al_sc_Meditron": "test", …}
        by_set: dict[str, list[str]] = {}
        for name, word in found.items():
            by_set.setdefault(set_of(word) or word, []).append(name)
        return by_set
    if not isinstance(found, dict):
        raise LaennecError(f"{path}: a JSON split is an object with a list for train and one for test")
    return found


def _arrays(path: Path) -> Mapping[str, Any]:
    loaded = load_arrays(path)
    if not isinstance(loaded, dict):
        raise LaennecError(f"{path}: one array; a split is {FORMS}")
    return loaded


def load_arrays(path: Path) -> "dict[str, np.ndarray[Any, Any]] | np.ndarray[Any, Any]":
    """Load NumPy's ``.npz`` as a dictionary or ``.npy`` as an array.

    LaennecError if it cannot be read, or holds Python objects: to unpickle a stranger's file would run it.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        return dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else np.asarray(loaded)
    except OSError as error:
        raise LaennecError(f"{path}: {unread(error)}") from error
    except (ValueError, EOFError, KeyError) as error:
        if "pickle" in str(error).lower():
            raise LaennecError(
                f"{path}: holds Python objects, which could run a program; save names as "
                "np.array(names, dtype=str)"
            ) from error
        raise LaennecError(f"{path}: not a NumPy file ({error})") from error
    except Exception as error:  # zipfile and zlib have errors of their own
        raise LaennecError(f"{path}: not a NumPy file ({error})") from error


def text_of(path: Path) -> str:
    """Return the text of a file; LaennecError if it cannot be read or is none."""
    try:
        return read_text(path)
    except ValueError as error:
        raise LaennecError(f"{path}: {error}") from error


def _names(path: Path) -> Iterable[str]:
    """Yield the names of a list, one in a row; of several cells, the longest."""
    for row in _rows(path):
        yield max((cell.strip() for cell in row), key=len)


def _says_set(line: str) -> bool:
    return line.rsplit(None, 1)[-1].lower() in _SET_OF


def _rows(path: Path) -> list[list[str]]:
    text = text_of(path)
    delimiter = max(",;\t", key=text.count)
    if text.count(delimiter):
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        except csv.Error as error:
            raise LaennecError(f"{path}: not a table ({error})") from error
    else:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        # A name may hold blanks; a set behind it is split off.
        rows = [line.rsplit(None, 1) if _says_set(line) else [line] for line in lines]
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise LaennecError(f"{path}: empty; a split is {FORMS}, not {shown(path.name)}")
    return rows
