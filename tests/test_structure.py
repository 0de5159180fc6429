"""The import contract, and how long files and functions may be.

A room is a package or a module directly below `laennec`. Imports inside functions and those for types alone
count like any other.
"""

import ast
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"

# From the lowest floor to the highest. A room may import from its own floor and from those before it.
FLOORS = (
    (
        "version",
        "console",
        "errors",
        "files",
        "labels",
        "patient",
        "progress",
        "signals",
        "terminal",
        "extensions",
        "cores",
        "threads",
        "processes",
    ),
    ("audio", "annotations"),
    ("model",),
    ("analyze",),
    ("output",),
    ("score", "bulk"),
    ("simulate", "datasets", "clinic"),
    ("features", "models"),
    ("train", "referee"),
    ("experiments", "reproduce", "targets", "web"),
    ("cli",),
    ("laennec", "__main__"),  # the public names, and `python -m laennec`
)
LINES_OF_A_FILE = 450
LINES_OF_A_FUNCTION = 50  # of code: docstring, comments and empty lines are not counted

# What breaks the rules today, in the words of the failing test. A line that is no longer true fails it too.
EXCEPTIONS = """
"""

NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def test_the_house_stands_as_drawn() -> None:
    allowed = set(EXCEPTIONS.strip().splitlines())
    broken = {*arrows_up(), *circles(imports()), *long_files(), *long_functions()}
    assert sorted(broken - allowed) == [], "these break a rule of tests/test_structure.py"
    assert sorted(allowed - broken) == [], "these are mended: take them out of EXCEPTIONS"


def test_every_room_has_its_floor() -> None:
    named = [name for floor in FLOORS for name in floor]
    assert {room(module) for module in modules()} - set(named) == set(), "give these rooms a place in FLOORS"
    assert len(named) == len(set(named))


def test_circles_are_seen() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"a", "e"}}
    assert list(circles(graph)) == ["circle: b, c"]


def test_code_is_counted_without_docstring_comments_and_empty_lines() -> None:
    text = (
        'def f(\n    a,\n):\n    """One.\n\n    Two.\n    """\n\n    # why\n'
        '    b = """\n\n"""\n    return (a,\n\n    b)\n'
    )
    assert dict(functions("m", text)) == {"m.f": 3 + 3 + 2}


# --- what the source says -----------------------------------------------------------------------------------


@cache
def modules() -> dict[str, str]:
    """Return the text of every module by its dotted name; a package has its own name."""
    return {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path.read_text(
            encoding="utf-8"
        )
        for path in sorted(SOURCE.rglob("*.py"))
    }


def room(module: str) -> str:
    """Return the room of a module: the second part of its name, or the package itself."""
    return ([*module.split("."), "laennec"])[1]


@cache
def imports() -> dict[str, set[str]]:
    """Return the modules of Laennec that each module imports."""
    known = modules()
    graph: dict[str, set[str]] = {}
    for module, text in known.items():
        graph[module] = set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module in known:
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                names = [name if name in known else node.module for name in inner]
            else:
                continue
            graph[module].update(name for name in names if name in known and name != module)
    return graph


def arrows_up() -> Iterator[str]:
    height = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    for module, imported in imports().items():
        for other in imported:
            if height[room(other)] > height[room(module)]:
                yield f"upward: {module} imports {other}"


def circles(graph: dict[str, set[str]]) -> Iterator[str]:
    """Yield every group of modules that reach one another, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(node: str) -> Iterator[str]:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                yield from visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                yield f"circle: {', '.join(sorted(group))}"

    for node in sorted(graph):
        if node not in index:
            yield from visit(node)


def long_files() -> Iterator[str]:
    for module, text in modules().items():
        if len(text.splitlines()) > LINES_OF_A_FILE:
            yield f"long file: {module}"


def long_functions() -> Iterator[str]:
    for module, text in modules().items():
        for name, count in functions(module, text):
            if count > LINES_OF_A_FUNCTION:
                yield f"long function: {name}"


def functions(module: str, text: str) -> Iterator[tuple[str, int]]:
    """Yield name and lines of code of every function, inner ones within their outer one and by themselves."""
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            code.update(range(token.start[0], token.end[0] + 1))

    def visit(node: ast.AST, prefix: str) -> Iterator[tuple[str, int]]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from visit(child, prefix)
                continue
            name = f"{prefix}.{child.name}"
            if not isinstance(child, ast.ClassDef):
                lines = code & set(range(child.lineno, (child.end_lineno or 0) + 1))
                if ast.get_docstring(child) is not None:
                    lines -= set(range(child.body[0].lineno, (child.body[0].end_lineno or 0) + 1))
                yield name, len(lines)
            yield from visit(child, name)

    yield from visit(ast.parse(text), module)
