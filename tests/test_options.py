"""Command lines of plain words are read without tyro, to what tyro makes of them."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from laennec.cli import COMMANDS, load, parse
from laennec.cli.analyze_arguments import Analyze
from laennec.cli.arguments import Adapt, Calibrate, Datasets, Live, Serve, Simulate
from laennec.cli.options import Positional, arg, read_plainly
from laennec.cli.parser import read
from laennec.cli.tool_arguments import Challenge
from laennec.errors import UsageError
from test_cli import imported_by

PLAIN = (Analyze, Serve, Live, Calibrate, Adapt, Challenge)
VALUES = (
    *(
        "a.wav",
        "ward/",
        "b c.wav",
        "a=b",
        "4.5",
        "12",
        "0",
        "007",
        "1e3",
        "-1",
        ".5",
        "nan",
        "inf",
        "4,5",
        "1_0",
    ),
    *("None", "none", "True", "false", "male", "json,html", "-", "--", "-x", "a-b", "[1]", "é", "21", "11.0"),
)
STRANGE = (
    "--help",
    "-h",
    "--no-json",
    "--modle",
    "--any_sound",
    "--json=true",
    "--age=",
    "--out",
    "=x",
    "-v",
)


def options_of(command: type) -> list[str]:
    return [f"--{own.name.replace('_', '-')}" for own in fields(command)]  # type: ignore[arg-type]


def words_for(command: type) -> st.SearchStrategy[list[str]]:
    """Words in any order: options with and without values, values alone, some that are none of them."""
    named, value = st.sampled_from(options_of(command)), st.sampled_from(VALUES)
    parts = st.one_of(
        value.map(lambda word: [word]),
        st.tuples(named, value).map(list),
        st.tuples(named, value).map(lambda pair: ["=".join(pair)]),
        named.map(lambda word: [word]),
        st.sampled_from(STRANGE).map(lambda word: [word]),
    )
    return st.lists(parts, max_size=5).map(lambda parts: [word for part in parts for word in part])


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.sampled_from(PLAIN).flatmap(lambda command: st.tuples(st.just(command), words_for(command))))
def test_what_is_read_plainly_is_what_tyro_reads(drawn: tuple[type, list[str]]) -> None:
    command, words = drawn
    plain = read_plainly(command, words)
    assume(plain is not None)
    assert read(command, "laennec", words) == plain


FILES = ["a.wav", "b c.wav", "ward"]
VALUES_OF = {
    "Literal": ["11", "22"],
    "float": ["4.5", "60", "0"],
    "int": ["80", "8000"],
    "": ["x", "a/b", "wörd", "a=b"],
}


@st.composite
def plain_lines(draw: st.DrawFn) -> tuple[type, list[str]]:
    """A command with some of its options, each once, in any order, all as the help shows them."""
    command = draw(st.sampled_from(PLAIN))
    parts, loose = [], []
    for own in fields(command):
        name = f"--{own.name.replace('_', '-')}"
        value = draw(st.sampled_from(next(VALUES_OF[kind] for kind in VALUES_OF if kind in str(own.type))))
        required = own.name in ("files", "data", "out", "task", "wav") and command not in (Live,)
        if (
            not (required and own.name != "out")
            and not (required and command is not Analyze)
            and draw(st.booleans())
        ):
            continue
        if own.name in ("files", "folder", "source"):
            loose = [value, *draw(st.lists(st.sampled_from(FILES), max_size=2))]
            loose = loose if own.name == "files" else loose[:1]
        elif own.type is bool:
            parts.append([name])
        else:
            parts.append([f"{name}={value}"] if draw(st.booleans()) else [name, value])
    parts = draw(st.permutations([*parts, loose]))
    return command, [word for part in parts for word in part]


@settings(max_examples=30, deadline=None)
@given(plain_lines())
def test_lines_as_the_help_has_them_are_read_plainly(drawn: tuple[type, list[str]]) -> None:
    command, words = drawn
    plain = read_plainly(command, words)
    assert plain is not None
    assert read(command, "laennec", words) == plain


@pytest.mark.parametrize(
    "line",
    [
        "",
        "a.wav --modle x",
        "a.wav --age old",
        "a.wav --json --json",
        "a.wav --model",
        "--json a.wav --again b.wav",
    ],
)
def test_errors_are_tyros(line: str) -> None:
    assert read_plainly(Analyze, line.split()) is None
    found = []
    for attempt in (
        lambda: parse("analyze", line.split()),
        lambda: read(Analyze, "laennec analyze", line.split()),
    ):
        try:
            found.append(attempt())
        except UsageError as error:
            found.append(str(error))
    assert found[0] == found[1]


def test_what_is_not_plain_is_left_to_tyro() -> None:
    @dataclass(frozen=True)
    class Two:
        """Two places."""

        first: Positional[str]
        second: Annotated[Positional[str], arg(metavar="B")] = ""

    assert read_plainly(Two, ["a", "b"]) is None
    assert read_plainly(Datasets, ["list"]) is None
    assert read_plainly(Simulate, ["--subjects", "3"]) is None

    @dataclass(frozen=True)
    class Chosen:
        """A choice."""

        size: Literal["s", "m"] = "s"
        out: Path = Path()

    assert read_plainly(Chosen, ["--size", "m", "--out", "x"]) == Chosen("m", Path("x"))
    assert read_plainly(Chosen, ["--size", "l"]) is None


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_read_as_tyro_reads_it(name: str) -> None:
    command: Any = load(COMMANDS[name][0])
    for words in ([], ["a"], ["a", "b"], ["--out", "x"], ["a", "--out=x", "--data", "y"]):
        plain = read_plainly(command, words)
        if plain is not None:
            assert read(command, f"laennec {name}", words) == plain


@pytest.mark.parametrize("printed", [["--json"], []])
def test_a_plain_analysis_starts_without_the_parser(printed: list[str], tmp_path: Path) -> None:
    from laennec.simulate import write_demo
    from tiny_model import tiny_model

    recording = write_demo(tmp_path / "demo")[0]
    imported = imported_by("analyze", recording, "--model", tiny_model(tmp_path / "tiny.onnx"), *printed)
    assert not {"tyro", "typeguard", "asyncio", "ssl", "html.parser"} & imported
    assert ("rich" in imported) == (not printed)
