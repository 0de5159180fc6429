"""The text of a label file or table: UTF-8, or what Excel saves as "Unicode Text"."""

import codecs
import os
from pathlib import Path

from laennec.audio.source import STANDARD_INPUT, locate
from laennec.errors import unread

# Notepad and Excel mark UTF-16 so; without a mark its zero bytes tell.
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: str | os.PathLike[str]) -> str:
    """Return the text of a file, without a byte order mark, lines ended by ``\\n``; ``-`` is standard input.

    ValueError says what is wrong where it cannot be read or is no text.
    """
    try:
        is_piped = os.fspath(path) == STANDARD_INPUT
        content = locate(path).content if is_piped else Path(path).read_bytes()
    except OSError as error:
        raise ValueError(unread(error)) from error
    return decoded(content)


def decoded(content: bytes) -> str:
    """Return the text of a file's bytes, as :func:`read_text` does."""
    is_utf16 = content.startswith(_UTF16_MARKS)
    try:
        text = content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        where = "not UTF-16 text, as its first bytes say" if is_utf16 else f"not UTF-8 text (line {line})"
        raise ValueError(f"{where}; save it as UTF-8, a table as CSV UTF-8") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"not text: line {line} holds a zero byte; save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")
