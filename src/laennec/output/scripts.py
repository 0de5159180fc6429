"""Modules of JavaScript as one script: a page that is opened from disk can load none."""

import posixpath
import re
from functools import cache
from importlib.resources import files

_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[\w./]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function\*?|class|const) (\w+))", re.MULTILINE)
_COMMENT = re.compile(r"^[ ]*(?:/\*\*.*?\*/[ ]*|//[^\n]*)\n", re.MULTILINE | re.DOTALL)
_INDENT = re.compile(r"^[ ]+", re.MULTILINE)


@cache
def joined(*paths: str) -> str:
    """Return modules of the package and all that they import as one script of objects ``$name``.

    `paths` are as ``output/viewer/report.js``; each module is called by its file's name, without suffix.
    ValueError where two are called alike.
    """
    parts: dict[str, str] = {}
    places: dict[str, str] = {}

    def add(place: str) -> str:
        name = posixpath.basename(place).removesuffix(".js")
        if places.setdefault(name, place) != place:
            raise ValueError(f"{place} and {places[name]} would both be ${name}")
        if name in parts:
            return name
        text = files("laennec").joinpath(place).read_text(encoding="utf-8")
        folder = posixpath.dirname(place)

        def imported(found: re.Match[str]) -> str:
            needed = add(posixpath.normpath(posixpath.join(folder, found[2])))
            return f"const {{{found[1].replace(' as ', ': ')}}} = ${needed};\n"

        text = _IMPORT.sub(imported, text)
        exported = ", ".join(found for _, found in _EXPORT.findall(text))
        body = _INDENT.sub("", _COMMENT.sub("", _EXPORT.sub(r"\1", text)))
        parts[name] = f"const ${name} = (() => {{\n{body}return {{{exported}}};\n}})();"
        return name

    for path in paths:
        add(path)
    return '"use strict";\n' + "\n".join(parts.values())
