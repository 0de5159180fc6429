"""What is installed, what the wheel holds, and that versions and names agree wherever they stand."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import laennec.version

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BASE = PYPROJECT["project"]["dependencies"]
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
IMPORT_NAMES = {"scikit-learn": "sklearn"}  # where they differ from the package's
NOT_OURS = {
    "demo",
    "runs",
    "site",
    "dist",
    "build",
    "data",
    "__pycache__",
    "lightning_logs",
}  # as in .gitignore


def package_name(requirement):
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def names(requirements):
    return {package_name(requirement) for requirement in requirements} - {"laennec"}


def importable(requirements):
    return {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names(requirements)}


def constraints():
    lines = (ROOT / "ci/constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def project_files():
    """Every text file of the project, whether or not it is under version control yet."""
    for folder, folders, files in os.walk(ROOT):
        hidden = {name for name in folders if name.startswith(".") and name not in (".ci", ".github")}
        folders[:] = sorted(set(folders) - NOT_OURS - hidden)
        for name in set(files) - {".git"}:  # a file in another work tree of the repository
            path = Path(folder, name)
            if b"\0" not in path.read_bytes()[:4096] and not name.endswith(".tmp"):
                yield path


def test_the_base_install_is_small():
    assert names(BASE) == {"numpy", "soundfile", "soxr", "onnxruntime", "tyro", "rich"}


def test_extras_hold_what_their_names_say():
    assert set(EXTRAS) == {
        "train",
        "web",
        "media",
        "clinic",
        "live",
        "scale",
        "ray",
        "test",
        "fuzz",
        "audit",
        "dev",
    }
    assert "torch" not in names(EXTRAS["web"])
    assert {"torch", "lightning", "pandas"} <= names(EXTRAS["train"])
    assert not {"torch", "pandas", "scipy", "matplotlib"} & names(EXTRAS["test"])
    assert any(requirement == "laennec[train,web,media,clinic,scale,test]" for requirement in EXTRAS["dev"])


def test_torchvision_is_installed_by_nothing():
    every = [*BASE, *(requirement for extra in EXTRAS.values() for requirement in extra), *constraints()]
    assert not {"torchvision", "torchaudio"} & names(every)


def test_pyproject_keeps_ranges():
    for requirement in [*BASE, *(r for extra in EXTRAS.values() for r in extra)]:
        ours = package_name(requirement) == "laennec"
        assert ours or re.fullmatch(r"[\w-]+>=[\d.]+(,(!=|<)[\d.]+)*", requirement), requirement


def test_every_direct_dependency_is_pinned():
    direct = names(BASE).union(*(names(extra) for extra in EXTRAS.values()))
    assert direct - names(constraints()) == set()


def test_constraints_are_versions_and_no_addresses():
    assert [line for line in constraints() if not re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+", line)] == []
    assert len(names(constraints())) == len(constraints()), "a package is pinned twice"
    # Without a local part (+cpu, +cu130), which is the index's choice.
    assert "torch==2.13.0" in constraints()


def test_what_is_known_to_be_bad_is_excluded():
    from packaging.requirements import Requirement

    ranges = {package_name(text): Requirement(text).specifier for text in [*BASE, *EXTRAS["train"]]}
    # The first is the last version with which every command fails; the others were malicious.
    for name, version in [("tyro", "0.9.15"), ("lightning", "2.6.2"), ("lightning", "2.6.3")]:
        assert version not in ranges[name]


def test_pins_lie_in_the_ranges():
    from packaging.requirements import Requirement

    pinned = dict(line.split("==") for line in constraints())
    for text in [*BASE, *(r for extra in EXTRAS.values() for r in extra)]:
        requirement = Requirement(text)
        if requirement.name != "laennec":
            assert pinned[package_name(text)] in requirement.specifier, text


def test_every_import_is_declared():
    kinds = ("train", "web", "media", "clinic", "live", "scale", "ray")
    extras = [requirement for extra in kinds for requirement in EXTRAS[extra]]
    allowed = importable([*BASE, *extras]) | {"laennec", *sys.stdlib_module_names}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path.name}:{node.lineno}: write the whole name of the module"
                modules = [node.module or ""]
            undeclared = {module.split(".")[0] for module in modules} - allowed
            assert not undeclared, f"{path.name}:{node.lineno} imports {undeclared}, which no extra installs"


def test_the_command_works_in_the_base_install():
    """As if nothing of the extras were installed."""
    absent = sorted(importable([*EXTRAS["train"], *EXTRAS["web"]]) - importable(BASE))
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
import laennec
from laennec.cli import main
sys.argv = ["laennec", "--help"]
sys.exit(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "analyze" in done.stdout


def test_one_version_everywhere():
    version = laennec.version.__version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    newest = re.search(
        r"^## \[([\d.]+)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M
    )
    assert newest, "CHANGELOG.md has no dated version"
    assert newest[1] == version
    assert re.search(r"^version: (.+)$", citation, re.M)[1] == version
    assert re.search(r'^date-released: "(.+)"$', citation, re.M)[1] == newest[2]


def test_one_licence_everywhere():
    assert PYPROJECT["project"]["license"] == "Apache-2.0"
    assert "license: Apache-2.0\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")[:200]


def test_no_file_names_a_place_on_somebodys_machine():
    """Data is found by LAENNEC_DATA, which only .ci/run sets by itself."""
    place = re.compile(r"(?<![\w.)>}/-])/(?:home|root|work|opt|Users|mnt)/\w|\.\./shared|file://")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in project_files()
        if path != ROOT / ".ci/run"
        for number, line in enumerate(
            path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1
        )
        if place.search(line) and "re.compile" not in line
    ]
    assert found == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_holds_every_file_of_the_package(wheel):
    source = ROOT / "src"
    wanted = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".tmp")
    }
    inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert inside == wanted
    assert {
        "laennec/py.typed",
        "laennec/recipes/default.toml",
        "laennec/datasets/sprsound_train.tsv",
    } <= inside
    assert any(re.fullmatch(r"laennec/pretrained/[\w.-]+\.onnx", name) for name in inside)


def test_the_wheel_says_who_it_is(wheel):
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    lines = wheel.read(metadata).decode().splitlines()
    assert f"Version: {laennec.version.__version__}" in lines
    assert "Requires-Python: >=3.11" in lines
    assert "License-Expression: Apache-2.0" in lines
    assert not [line for line in lines if line.startswith("Requires-Dist: torch") and "extra ==" not in line]
    (entry,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "laennec = laennec.__main__:main" in wheel.read(entry).decode()


def test_the_wheel_is_the_same_bytes_each_time(wheel, tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    elsewhere = {**os.environ, "TZ": "Asia/Shanghai", "PYTHONHASHSEED": "7"}
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60, env=elsewhere)
    (again,) = tmp_path.glob("*.whl")
    assert again.read_bytes() == Path(wheel.filename).read_bytes()


@pytest.fixture(scope="module")
def audit():
    """The program behind `make audit`."""
    spec = importlib.util.spec_from_file_location("audit", ROOT / "ci" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_licences_are_allowed(audit):
    needed = audit.closure(())
    assert set(needed) >= names(BASE)
    for distribution in needed.values():
        words = audit.licence(distribution)
        assert all(part in audit.ALLOWED for part in audit.parts(words)), (distribution.name, words)
    assert not all(part in audit.ALLOWED for part in audit.parts("MIT AND GPL-3.0-only"))


def test_kept_hashes_are_of_pinned_versions(audit):
    pinned = {line.replace("-", "_").replace("==", "-") for line in constraints()}
    lines = list(audit.kept_lines())
    assert lines
    for line in lines:
        digest, file = line.split("  ")
        name, version, *_ = file.removesuffix(".tar.gz").split("-")
        assert re.fullmatch("[0-9a-f]{64}", digest), line
        assert f"{re.sub('[._]+', '_', name).lower()}-{version.split('+')[0]}" in pinned, line


def test_the_makefile_offers_what_the_documents_name():
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    offered = set(re.findall(r"^ +make ([a-z-]+)", listed, re.M))
    named = set()
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / ".github").rglob("*.yml")]:
        # As commands: at the start of a line, in backquotes, or after a variable that is set for one command.
        named |= set(
            re.findall(r"(?:^|`|\w=\S+ )make ([a-z][a-z-]*)", path.read_text(encoding="utf-8"), re.M)
        )
    assert named
    assert named - offered == set()
    assert {"demo", "test", "lint", "docs", "clean"} <= offered
