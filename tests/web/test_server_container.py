"""The Dockerfile, as far as it can be tried without Docker: its steps, files, extras and command."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
from laennec.cli import parse
from laennec.cli.arguments import Serve

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def steps() -> list[tuple[str, str]]:
    """Instructions and what follows each, over line breaks."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def of(instruction: str) -> list[str]:
    return [rest for name, rest in steps() if name == instruction]


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored, "recordings beside the project stay out"
    for rest in of("COPY"):
        if rest.startswith("--from="):
            continue
        *sources, _ = shlex.split(rest)
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in ignored, source


def test_it_has_all_that_a_build_reads() -> None:
    """hatchling reads the readme, the licence, the version and the package."""
    copied = {source for rest in of("COPY") for source in shlex.split(rest)[:-1]}
    project = PYPROJECT["project"]
    assert {"pyproject.toml", "src", project["readme"], *project["license-files"]} <= copied
    assert PYPROJECT["tool"]["hatch"]["version"]["path"].startswith("src/")


def test_extras_and_python_are_the_projects() -> None:
    (install,) = [rest for rest in of("RUN") if "pip install" in rest]
    extras = re.search(r'"\.\[([\w,]+)\]"', install)
    assert extras is not None
    assert set(extras[1].split(",")) <= set(PYPROJECT["project"]["optional-dependencies"])
    assert "web" in extras[1].split(",")
    for base in of("FROM"):
        python = re.match(r"python:(\d+\.\d+)-slim", base)
        assert python is not None
        named = f"Programming Language :: Python :: {python[1]}"
        assert named in PYPROJECT["project"]["classifiers"]


def test_it_runs_as_nobody_special_and_serves_its_volume() -> None:
    names = [name for name, _ in steps()]
    assert names.index("USER") < names.index("ENTRYPOINT")
    (user,) = of("USER")
    assert user != "root"
    assert any(f"--uid 1000 {user}" in rest for rest in of("RUN"))
    command, name, *arguments = json.loads(of("ENTRYPOINT")[0])
    assert (command, name) == ("laennec", "serve")
    asked = parse(name, arguments)
    assert isinstance(asked, Serve)
    assert (str(asked.folder), asked.host) == (of("VOLUME")[0], "0.0.0.0")
    assert str(asked.port) == of("EXPOSE")[0]
    assert asked.token is None, "no image holds a token"
