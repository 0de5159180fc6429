"""The folder of `laennec export --target web`: what is in it, what is refused, and what its files say."""

import base64
import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from laennec import load_model
from laennec.cli import main
from laennec.cli.export import OPTIONS, TARGETS
from laennec.errors import LaennecError, UsageError
from laennec.files import folder_written_whole
from laennec.output.scripts import joined
from laennec.targets import runtime
from laennec.targets.web import LANGUAGES, WRITTEN, card_json, contents, module_script, words
from laennec.train.jobs import ExportJob
from laennec.version import DISCLAIMER

FAKE = {runtime.SCRIPT: b"export const env = {};\n", runtime.WASM: b"\0asm" + bytes(1000)}
BROWSER = files("laennec").joinpath("targets", "browser")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive like npm's, of files that are taken for the pinned ones."""
    monkeypatch.setattr(runtime, "SHA256", {k: hashlib.sha256(v).hexdigest() for k, v in FAKE.items()})
    return archive(tmp_path / "package.tgz", FAKE)


def archive(path: Path, content: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["export", "--target", "web", *map(str, arguments)])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def folder() -> dict[str, bytes]:
    return contents(load_model("recording"), FAKE)


def test_every_target_can_be_chosen() -> None:
    offered = ExportJob.__dataclass_fields__["target"].type.__args__
    assert tuple(TARGETS) == offered
    assert {each for targets in OPTIONS.values() for each in targets} <= set(TARGETS)


def test_the_command_writes_the_folder(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: dict[str, bytes]
) -> None:
    out = tmp_path / "site"
    assert command("recording", "--runtime", package, "--out", out) == 0
    assert capsys.readouterr().out == f"{out}\n"
    written = {
        path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }
    record = json.loads(written.pop(WRITTEN))["files"]
    assert record == {name: hashlib.sha256(data).hexdigest() for name, data in folder.items()}
    assert written == folder
    assert command("--runtime", package, "--out", out) == 0, "a second time, in place of the first"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_unpacked_package_does_as_well(package: Path, tmp_path: Path) -> None:
    with tarfile.open(package) as tar:
        tar.extractall(tmp_path, filter="data")
    for place in (tmp_path, tmp_path / "package", tmp_path / "package" / "dist"):
        assert runtime.read_runtime(place) == FAKE


def test_what_is_missing_is_told(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("recording", "--out", tmp_path / "site") == 2
    told = capsys.readouterr().err
    assert runtime.FETCH in told
    assert f"--runtime {runtime.ARCHIVE}" in told
    assert command("recording", "--runtime", package) == 2
    assert "--out is missing" in capsys.readouterr().err
    assert command("recording", "--runtime", package, "--out", tmp_path / "s", "--temperature", "2") == 2
    assert "--temperature is for --target onnx" in capsys.readouterr().err
    assert command("recording", "--out", package) == 2
    assert "is a file, not a folder to write" in capsys.readouterr().err, "before a runtime is asked for"


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda p: archive(p, {**FAKE, runtime.WASM: b"other"}), "is not that of onnxruntime-web"),
        (lambda p: archive(p, {runtime.SCRIPT: FAKE[runtime.SCRIPT]}), "an archive without"),
        (lambda p: p.write_bytes(b"no archive") and p, "not an npm archive"),
        (lambda p: p, "no such file or folder"),
        (lambda p: p.mkdir() or p, "a folder without"),
    ],
)
def test_another_runtime_is_refused(
    made: Callable[[Path], Path], message: str, package: Path, tmp_path: Path
) -> None:
    with pytest.raises(LaennecError, match=message) as error:
        runtime.read_runtime(made(tmp_path / "other.tgz"))
    assert runtime.FETCH in str(error.value)


def test_the_real_hashes_are_pinned() -> None:
    assert set(runtime.SHA256) == {runtime.SCRIPT, runtime.WASM}
    assert all(
        re.fullmatch("[0-9a-f]{64}", each) for each in (*runtime.SHA256.values(), runtime.ARCHIVE_SHA256)
    )
    with pytest.raises(UsageError, match=re.escape(runtime.VERSION)):
        runtime.read_runtime(None)


def test_nobodys_files_are_lost(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(LaennecError, match="name another"), folder_written_whole(tmp_path, "marker"):
        raise AssertionError
    fresh = tmp_path / "new"
    with pytest.raises(ZeroDivisionError), folder_written_whole(fresh, "marker") as temporary:
        (temporary / "marker").write_bytes(bytes(1 // 0))
    assert not fresh.exists()
    for text in ("first", "second"):
        with folder_written_whole(fresh, "marker") as temporary:
            (temporary / text).write_text(text)
    assert sorted(path.name for path in fresh.iterdir()) == ["marker", "second"]
    assert (fresh / "second").read_text() == "second"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt", "new"]
    with (
        pytest.raises(LaennecError, match="is a file"),
        folder_written_whole(tmp_path / "mine.txt", "marker"),
    ):
        raise AssertionError


OTHERS = "holds files that this command did not write"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mine.html", f"site: {OTHERS} (mine.html); name another --out"),
        ("page.css", "page.css: is there and would be replaced; name another --out"),
        ("runtime/mine.wasm", f"site: {OTHERS} (runtime/mine.wasm); name another --out"),
    ],
)
def test_what_is_not_of_the_export_before_stays(
    name: str, said: str, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "site"
    assert command("--runtime", package, "--out", out) == 0
    (out / name).write_text("mine")
    assert command("--runtime", package, "--out", out) == 2
    assert said in capsys.readouterr().err
    assert (out / name).read_text() == "mine"
    (out / name).unlink()
    (out / WRITTEN).write_text("{")
    assert command("--runtime", package, "--out", out) == 1
    assert f"{WRITTEN}: damaged, it is not JSON; name another --out" in capsys.readouterr().err
    (out / WRITTEN).unlink()
    assert command("--runtime", package, "--out", out) == 2
    assert f"site: {OTHERS} (" in capsys.readouterr().err


def test_the_card_is_the_models_metadata(folder: dict[str, bytes]) -> None:
    model = load_model("recording")
    card = json.loads(folder["recording.json"])
    assert card.pop("sha256") == hashlib.sha256(folder["recording.onnx"]).hexdigest() == model.sha256
    assert card.pop("disclaimer") == DISCLAIMER
    assert card.pop("laennec")
    assert card == json.loads(model.graph.metadata)
    assert json.loads(card_json(load_model("default")))["task"] == "event"


def test_the_module_gives_what_is_described(folder: dict[str, bytes]) -> None:
    script = folder["laennec.js"].decode()
    assert script == module_script()
    given = {
        name
        for names in re.findall(r"^export const { (.*?) } = ", script, re.M)
        for name in names.split(", ")
    }
    assert given == {"load", "Model", "readSound", "resample"}
    readme = folder["README.md"].decode()
    assert {name for name in given if f"`{name}(" in readme or f"{{ {name}" in readme} >= {
        "load",
        "readSound",
    }
    assert not re.search(r"https?:", script)


def test_pages_name_what_they_may_load(folder: dict[str, bytes]) -> None:
    served, alone = (folder[name].decode() for name in ("index.html", "laennec.html"))
    for page in (served, alone):
        (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', page)
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe-inline" not in policy
        assert "'unsafe-eval'" not in policy
        assert page.split("<script")[0].count(DISCLAIMER) == 1
    assert set(re.findall(r'(?:src|href)="([^"]+)"', served)) == {"data:,", "page.css", "page.js"}
    script = re.search(r'<script type="module">(.*?)</script>', alone, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}' blob:" in alone
    (packed,) = re.findall(r'id="model">([\w+/=]+)<', alone)
    assert gzip.decompress(base64.b64decode(packed)) == folder["recording.onnx"]


def test_an_export_is_the_same_bytes_each_time(folder: dict[str, bytes]) -> None:
    assert contents(load_model("recording"), FAKE) == folder


def test_licences_come_along(folder: dict[str, bytes]) -> None:
    assert b"Apache License" in folder["LICENSES/Laennec-Apache-2.0.txt"]
    assert b"MIT License" in folder["LICENSES/ONNX-Runtime-MIT.txt"]
    assert len(folder["LICENSES/ONNX-Runtime-third-party.txt"]) > 100_000


def test_languages_have_the_same_words() -> None:
    english, *others = (
        {k: v for k, v in words(each).items() if k.startswith("browser.")} for each in LANGUAGES
    )
    for other in others:
        assert sorted(other) == sorted(english)
        for key, text in english.items():
            assert sorted(re.findall(r"{\w+}", other[key])) == sorted(re.findall(r"{\w+}", text)), key
    used = BROWSER.joinpath("page.js").read_text(encoding="utf-8") + BROWSER.joinpath("page.html").read_text(
        encoding="utf-8"
    )
    computed = {
        f"browser.{name}" for name in ("from", "to", "sound", "probability", "quality", "repairs", "notes")
    }
    assert {key for key in english if f'"{key}"' not in used} == computed


def test_modules_of_one_name_are_not_joined() -> None:
    with pytest.raises(ValueError, match=r"would both be \$dom"):
        joined("output/viewer/dom.js", "web/static/dom.js")
