"""Mutators: an input becomes another that is wrong in a way of its format.

A mutator takes the input, a source of randomness and the seeds of its target, and returns new bytes. What
lengths and checksums would stop is mutated by its structure: JSON, tables and settings by their values, ONNX
by the fields of its protocol buffers, zip by its members.
"""

import contextlib
import copy
import io
import json
import random
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

Mutator = Callable[[bytes, random.Random, Sequence[bytes]], bytes]

MOST_BYTES = 2**18  # of an input; longer ones find little and cost much
LONGEST_CELL = 140_000  # above the limit of Python's csv module, 131,072
DIGITS = 5_000  # above the limit of Python's int, 4,300
DEPTH = 20_000  # above the limit of Python's recursion
BIG_NUMBER, DEEP_LIST = '"@number@"', '"@list@"'  # in JSON, which cannot be made of such values
INTERESTING = (
    *(0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 1023, 4096, 32767, 32768, 65535, 65536, 10**6, 2**24),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1),
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(" "))


NUMBERS = (
    *_words("0 -0.0 -1 1 0.5 1,5 1e308 -1e308 1e-320 1e400 nan inf -inf 1_000 0x10 ٣ ² +1 1. .5 1e"),
    *("9" * 400, "1" + "0" * 20, "9223372036854775808"),
)
WORDS = (
    *_words(
        '\t \0 \ufeff \u2028 \x85 \x1c \r \n \r\n \x1b[31m e\u0301 \xe9 😀 , ; " "" \' \\ / ../.. . : | = #'
    ),
    *_words("true null [1] {} %s {0} [red] :m: m f p1 all Normal Wheeze Wheeze+Crackle left-posterior"),
    *_words("start_s end_s label channel path recording"),
    *("", " ", "a" * 300),
)
TOML = (
    *_words('"" "x" [] [[[]]] {} {a=1} true 1979-05-27 1979-05-27T07:32:00Z 07:32:00 0b1 [a.b] [[model]]'),
    *_words('[front_end] ["a",1] [nan] "a.py:B" "\\u0000"'),
)
JSON_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 0.5, 10**20, 10**400, 1e308, -1e308, 1e-320, -0.0),
    *(float("nan"), float("inf")),
    *("", " ", "x", "1", "nan", "9" * DIGITS, "\ud800", "\0", "@number@", "y" * 2000, "Normal"),
    *([], {}, [[]], {"a": [1]}, [None], ["x", "x"], [1, "a"], [0.5] * 7),
)

LONG_WORDS = ("9" * DIGITS, "a" * LONGEST_CELL)
LONG_SHARE = 0.002  # of words: they cost much, and what they find they find at once
LONGEST_VARINT = 10  # bytes


def change_bytes(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Change a few bytes, most of them near the beginning, where the header is; cut, repeat or join."""
    changed = bytearray(data or b"\0")
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        place = rng.randrange(min(len(changed), rng.choice((16, 64, 256, MOST_BYTES))) or 1)
        match rng.randrange(9):
            case 0:
                changed[place : place + 1] = bytes([rng.randrange(256)])
            case 1 if changed:
                changed[min(place, len(changed) - 1)] ^= 1 << rng.randrange(8)
            case 2 | 3 | 4:
                form = rng.choice(("<H", ">H", "<I", ">I", "<Q", ">Q", "<f", "<d"))
                changed[place : place + struct.calcsize(form)] = _packed(form, rng)
            case 5:
                del changed[place:]
            case 6:
                del changed[place : place + rng.choice((1, 2, 4, 16, 256))]
            case 7:
                part = changed[place : place + rng.choice((1, 4, 16, 256, 2048))]
                changed[place:place] = part * rng.choice((1, 1, 2, 16))
            case _:
                other = rng.choice(seeds or [b"\0"])
                start = rng.randrange(len(other) or 1)
                changed[place:] = other[start:]
    return bytes(changed[:MOST_BYTES])


def _packed(form: str, rng: random.Random) -> bytes:
    if form[1] in "fd":
        return struct.pack(form, rng.choice((0.0, -1.0, 1e30, 1e-30, float("nan"), float("inf"))))
    value = rng.choice(INTERESTING) + rng.choice((0, 0, 0, 1, -1, rng.randrange(100)))
    return struct.pack(form, value % 256 ** struct.calcsize(form))


def change_text(words: Sequence[str]) -> Mutator:
    """Return a mutator of lines of cells, which replaces cells by `words`, and moves cells and lines."""

    def mutate(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
        if rng.random() < 0.1:
            return change_bytes(data, rng, seeds)
        lines = data.decode("utf-8", "surrogateescape").split("\n")
        for _ in range(rng.choice((1, 1, 2, 4))):
            row = rng.randrange(len(lines))
            match rng.randrange(8):
                case 0:
                    lines.insert(row, rng.choice(lines))
                case 1 if len(lines) > 1:
                    del lines[row]
                case 2:
                    other = rng.choice(seeds or [b""]).decode("utf-8", "surrogateescape").split("\n")
                    lines.insert(row, rng.choice(other))
                case _:
                    lines[row] = _changed_line(lines[row], rng, words)
        return "\n".join(lines).encode("utf-8", "surrogateescape")[:MOST_BYTES]

    return mutate


def _changed_line(line: str, rng: random.Random, words: Sequence[str]) -> str:
    parts = re.split(r"([\t,;= ]|(?<=\d)(?=\D))", line)
    place = rng.randrange(len(parts))
    word = rng.choice(LONG_WORDS if rng.random() < LONG_SHARE else words)
    match rng.randrange(6):
        case 0:
            parts.insert(place, word)
        case 1:
            del parts[place]
        case 2:
            parts[place] = rng.choice(parts)
        case _:
            parts[place] = word
    return "".join(parts)


def change_json(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Replace, remove, add and rename parts of a JSON value; what is no JSON has its bytes changed."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = json.loads(rng.choice(seeds)) if seeds and rng.random() < 0.7 else None
    if value is None or rng.random() < 0.1:
        return change_bytes(data, rng, seeds)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        value = _changed_value(value, rng)
    with contextlib.suppress(ValueError, RecursionError):
        text = json.dumps(value).replace(BIG_NUMBER, "9" * DIGITS)
        return text.replace(DEEP_LIST, "[" * DEPTH + "]" * DEPTH).encode()[:MOST_BYTES]
    return data


def _changed_value(value: Any, rng: random.Random) -> Any:
    if not isinstance(value, dict | list) or not value or rng.random() < 0.1:
        return "@list@" if rng.random() < LONG_SHARE else copy.deepcopy(rng.choice(JSON_VALUES))
    key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
    match rng.randrange(8):
        case 0:
            del value[key]
        case 1 if isinstance(value, dict):
            value[rng.choice(("", "x", "kind", "\0", "9" * 100))] = value.pop(key)
        case 2 if isinstance(value, list):
            value.insert(key, rng.choice(value))
        case _:
            value[key] = _changed_value(value[key], rng)
    return value


# --- protocol buffers: https://protobuf.dev/programming-guides/encoding -------------------------------------

Field = tuple[int, int, Any]  # number, wire type, value: int, bytes, or a list of fields


def change_protobuf(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Change a field of nested messages, so that the lengths in front of each are right again."""
    message = _fields(data, 0)
    if message is None or rng.random() < 0.1:
        return change_bytes(data, rng, seeds)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _change_field(message, rng, seeds)
    return _message(message)[:MOST_BYTES]


def _change_field(message: list[Field], rng: random.Random, seeds: Sequence[bytes]) -> None:
    if not message:
        return None
    place = rng.randrange(len(message))
    number, kind, value = message[place]
    if isinstance(value, list) and rng.random() < 0.85:
        return _change_field(value, rng, seeds)
    match rng.randrange(8):
        case 0:
            del message[place]
        case 1:
            message.insert(rng.randrange(len(message)), message[place])
        case 2:
            message[place] = (rng.randrange(1, 32), kind, value)
        case 3 if len(message) > 1:
            message[place] = (number, *rng.choice([field for field in message if field[1] == kind])[1:])
        case _ if isinstance(value, int):
            size = {0: 8, 1: 8, 5: 4}[kind]
            message[place] = (number, kind, (rng.choice(INTERESTING) + rng.choice((0, -1, 1))) % 256**size)
        case _:
            raw = _message(value) if isinstance(value, list) else value
            message[place] = (number, kind, change_bytes(raw, rng, seeds)[:MOST_BYTES])
    return None


def _fields(data: bytes, depth: int) -> list[Field] | None:
    """Return the fields of a message; None if these bytes are none."""
    fields: list[Field] = []
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        number, kind = tag >> 3, tag & 7
        if tag < 0 or number == 0:
            return None
        if kind == 0:
            value, place = _varint(data, place)
            if value < 0:
                return None
        elif kind == 2:
            size, place = _varint(data, place)
            if size < 0 or place + size > len(data):
                return None
            raw, place = data[place : place + size], place + size
            inner = _fields(raw, depth + 1) if depth < 6 and size else None
            fields.append((number, kind, raw if inner is None else inner))
            continue
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            if place + size > len(data):
                return None
            value, place = int.from_bytes(data[place : place + size], "little"), place + size
        else:
            return None
        fields.append((number, kind, value))
    return fields


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for index in range(LONGEST_VARINT):
        if place + index >= len(data):
            break
        byte = data[place + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 128:
            return value % 2**64, place + index + 1
    return -1, place


def _message(fields: list[Field]) -> bytes:
    parts = []
    for number, kind, value in fields:
        parts.append(_as_varint(number << 3 | kind))
        if kind == 2:
            raw = _message(value) if isinstance(value, list) else value
            parts.append(_as_varint(len(raw)) + raw)
        else:
            parts.append(_as_varint(value) if kind == 0 else value.to_bytes(8 if kind == 1 else 4, "little"))
    return b"".join(parts)


def _as_varint(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 0x7F | 128)
        value >>= 7
    return bytes([*parts, value])


# --- zip ----------------------------------------------------------------------------------------------------

ZIP_NAMES = (
    *_words("../x /x a/../../x C:/x a\\..\\x . .. / a a/ a/b a/b/c A nul CON a:b e\u0301"),
    *("", " ", "x" * 300, "y/" * 200 + "z", "a\0b", "a\nb", "\x1b[31m"),
)


def change_zip(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Write the archive anew with other names and kinds of members, or change its bytes."""
    if rng.random() < 0.4:
        half = len(data) // 2
        return data[:half] + change_bytes(data[half:], rng, seeds)
    if rng.random() < 0.3:
        return change_bytes(data, rng, seeds)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(member, archive.read(member)) for member in archive.infolist()[:20]]
    except Exception:  # whatever Python says of a broken archive: its bytes are changed instead
        return change_bytes(data, rng, seeds)
    written = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(written, "w") as archive:
        warnings.simplefilter("ignore")  # the same name twice
        for member, content in members[:1] + members:
            name = rng.choice(ZIP_NAMES) if rng.random() < 0.3 else member.filename
            info = zipfile.ZipInfo(name)
            info.compress_type = rng.choice((0, 8, 8, 12, 14))
            info.external_attr = rng.choice((0, 0o644 << 16, 0o120777 << 16, 0o020644 << 16, 0x10, 2**32 - 1))
            content = content if rng.random() < 0.9 else bytes(rng.choice((0, 100, 10**6)))
            archive.writestr(info, content)
    return written.getvalue()[:MOST_BYTES]
