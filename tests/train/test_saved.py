"""Weights, checkpoints and results: damaged ones are named, none is half written; a folder has one writer."""

import errno
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from laennec.cli import Terminated
from laennec.errors import LaennecError
from laennec.files import claimed, read_json
from laennec.train.build import build_parts
from laennec.train.commands import crossvalidate, train
from laennec.train.decision import Decision
from laennec.train.export import export
from laennec.train.hardware import Hardware
from laennec.train.jobs import CrossValidationJob, TrainJob
from laennec.train.loop import train_network
from laennec.train.recipe import load_recipe
from laennec.train.run import load_best
from laennec.train.saved import WholeCheckpoints, at_work, is_done, read_saved, save_whole
from laennec.train.weights import read_entries, read_run, save_model, source_weights


class Touch:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory, tiny_recipe: Path) -> Path:
    folder = tmp_path_factory.mktemp("run")
    recipe = load_recipe(tiny_recipe)
    save_model(folder, *build_parts(recipe), Decision(), recipe)
    return folder / "model.pt"


def damaged(path: Path, kind: str, whole: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "text":
        path.write_text("not weights")
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"state_dict": Touch(path.parent / "ran"), "recipe": 1}))
    elif kind == "torch pickle":
        torch.save({"state_dict": Touch(path.parent / "ran")}, path)
    elif kind == "list":
        torch.save([1, 2], path)
    elif kind == "another":
        torch.save({"weights": torch.zeros(3)}, path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"")


KINDS = ["truncated", "text", "pickle", "torch pickle", "list", "another"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", [read_run, read_entries, source_weights, export])
def test_damaged_weights_are_named_and_run_nothing(
    reader: Callable[[Path], object], kind: str, model_file: Path, tmp_path: Path
) -> None:
    damaged(tmp_path / "model.pt", kind, model_file.read_bytes())
    with pytest.raises(
        LaennecError, match=r"model\.pt: .*(damaged|no 'front_end').*; delete it, and the command"
    ):
        reader(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", [*KINDS, "empty"])
def test_damaged_checkpoints_are_named_with_the_way_out(kind: str, model_file: Path, tmp_path: Path) -> None:
    damaged(tmp_path / "checkpoints" / "best.ckpt", kind, model_file.read_bytes())
    with pytest.raises(
        LaennecError, match=r"best\.ckpt: .*; delete .*checkpoints, and the same command begins"
    ):
        load_best(tmp_path, torch.nn.Linear(1, 1))
    damaged(tmp_path / "last.ckpt", kind, model_file.read_bytes())
    with pytest.raises(LaennecError, match=r"last\.ckpt: .*; delete it, and the same command begins"):
        WholeCheckpoints().load_checkpoint(tmp_path / "last.ckpt")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "checkpoints" / "ran").exists()


def test_weights_of_another_network_are_named(model_file: Path, tmp_path: Path, tiny_recipe: Path) -> None:
    saved = torch.load(model_file, weights_only=True)
    for change in ({"network": {}}, {"front_end": {"x": torch.zeros(1)}}, {"network": 3}):
        torch.save(saved | change, tmp_path / "model.pt")
        with pytest.raises(LaennecError, match=r"model\.pt: has weights of another network than its recipe"):
            read_run(tmp_path)
    for recipe in (3, {}, saved["recipe"] | {"epochs": "many"}):
        torch.save(saved | {"recipe": recipe}, tmp_path / "model.pt")
        with pytest.raises(LaennecError, match=r"model\.pt"):
            read_run(tmp_path)
    path = tmp_path / "checkpoints" / "best.ckpt"
    path.parent.mkdir()
    torch.save({"state_dict": saved["network"]}, path)
    with pytest.raises(LaennecError, match=r"best\.ckpt: has weights of another network"):
        load_best(tmp_path, build_parts(load_recipe(tiny_recipe))[1])


@pytest.mark.parametrize("content", ["{", "[]", "[" * 99_999])
def test_a_damaged_card_of_a_run_is_named(content: str, model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(model_file.read_bytes())
    (tmp_path / "card.json").write_text(content)
    with pytest.raises(LaennecError, match=r"card\.json: damaged"):
        export(tmp_path)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "checkpoints" / "last.ckpt"
    path.parent.mkdir()
    WholeCheckpoints().save_checkpoint({"epoch": 1}, path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        for save in (WholeCheckpoints().save_checkpoint, save_whole):
            with pytest.raises(
                LaennecError, match=rf"last\.ckpt: cannot be written \({os.strerror(errno.EFBIG)}\)"
            ):
                save({"weights": torch.zeros(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [entry.name for entry in path.parent.iterdir()] == ["last.ckpt"]
    assert read_saved(path, ["epoch"], "") == {"epoch": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it is not JSON"),
        ('{"best', "it is not JSON"),
        ("[1]", "shift is None"),
        ('{"shift": "0"}', "shift is '0'"),
        ('{"shift": NaN}', "shift is nan"),
        ('{"shift": 0.5, "best_epoch": null}', "best_epoch is None"),
        (None, "cannot be read"),
    ],
)
def test_results_of_wrong_types_are_named(content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "fold.json"
    if content is None:
        path.mkdir()
    else:
        path.write_text(content)
    with pytest.raises(LaennecError, match=rf"fold\.json: .*{message}.*; delete it"):
        read_json(path, "delete it", shift=(int, float), best_epoch=int)


def test_an_emptied_result_is_not_done(tmp_path: Path) -> None:
    assert not is_done(tmp_path, "fold.json")
    for name in ("fold.json", "predictions.csv", "model.pt", "outputs.npz"):
        (tmp_path / name).write_text("x")
    assert is_done(tmp_path, "fold.json")
    for name in ("fold.json", "predictions.csv", "model.pt", "outputs.npz"):
        (tmp_path / name).write_text("")
        assert not is_done(tmp_path, "fold.json")
        (tmp_path / name).write_text("x")


# --- one at a time, and the end by a signal -----------------------------------------------------------------


def test_two_commands_do_not_write_into_one_folder(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    out = tmp_path / "run"
    with at_work(out):
        for job in (
            TrainJob("baseline", tmp_path / "data", out),
            CrossValidationJob("baseline", tmp_path / "data", out),
        ):
            with pytest.raises(LaennecError, match="run: another process is writing into this folder; wait"):
                (train if isinstance(job, TrainJob) else crossvalidate)(job)  # type: ignore[arg-type]
    with pytest.raises(LaennecError, match="data"):
        train(TrainJob("baseline", tmp_path / "data", out))
    assert list(out.iterdir()) == []


def test_a_killed_process_leaves_the_folder_free(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    code = (
        "import sys, time; from pathlib import Path; from laennec.files import claimed\n"
        "with claimed(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(LaennecError, match="another process"), claimed(tmp_path):
        pass
    process.kill()
    process.wait()
    with claimed(tmp_path):
        pass


def test_what_stops_lightning_is_what_stops_the_command(
    tiny_recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nothing:
        def __len__(self) -> int:
            return 1

        def task(self, *_: object) -> None:
            return None

        def training_loader(self, *_: object) -> list[int]:
            return [1]

    def stopped(*_: object, **__: object) -> None:
        try:
            raise Terminated(15)
        except KeyboardInterrupt:
            sys.exit(1)  # as Lightning does

    monkeypatch.setattr("lightning.Trainer.fit", stopped)
    recipe = load_recipe(tiny_recipe)
    with pytest.raises(Terminated):
        train_network(Nothing(), recipe, build_parts(recipe)[0], Hardware("cpu"))  # type: ignore[arg-type]
