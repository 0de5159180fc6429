"""One training by two processes: torchrun, SLURM and Lightning's own, against one process."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from test_ahead import small

from laennec.errors import LaennecError, UsageError
from laennec.train.crops import crop_loader
from laennec.train.data import ClipTensors
from laennec.train.processes import is_first, started, started_by
from laennec.train.recipe import Recipe, load_recipe
from laennec.train.saved import at_work, held

TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "RANK": "3", "WORLD_SIZE": "4", "GROUP_WORLD_SIZE": "2"}
SLURM = {"SLURM_NTASKS": "4", "SLURM_PROCID": "1", "SLURM_NNODES": "2", "SLURM_JOB_NAME": "lungs"}

# A network without batch norm and dropout, whose gradient of a batch is the mean of those of its parts.
NETWORK = """
from torch import nn

class Plain(nn.Module):
    kind = "plain"

    def __init__(self, classes=7, image=(1, 64, 47)):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(image[0], 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
            nn.Linear(64, classes),
        )

    def forward(self, image, age_years, sex, position):
        return self.layers(image)
"""
RECIPE = """
epochs = 3
batch_size = 12
learning_rate = 1e-2
class_weights = "none"
averaging_decay = 0.9
precision = "32-true"

[front_end]
kind = "log-mel"

[model]
kind = "{folder}/plain.py:Plain"

[augmentation]
metadata_dropout = 0.0
"""


@pytest.mark.parametrize(
    ("environment", "launcher", "first", "counts"),
    [
        ({}, "", True, (1, 1, False)),
        (TORCHRUN, "torchrun", False, (2, 2, True)),
        (TORCHRUN | {"RANK": "0"}, "torchrun", True, (2, 2, True)),
        (SLURM, "srun", False, (2, 2, True)),
        (SLURM | {"SLURM_PROCID": "0"}, "srun", True, (2, 2, True)),
        (SLURM | {"SLURM_JOB_NAME": "bash"}, "", True, (1, 1, False)),
        (SLURM | {"SLURM_NTASKS": "1", "SLURM_NNODES": "1"}, "", True, (1, 1, False)),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0"}, "", False, (1, 1, False)),
    ],
)
def test_the_launcher_is_known_by_the_environment(
    environment: dict[str, str], launcher: str, first: bool, counts: tuple[int, int, bool]
) -> None:
    assert started_by(environment) == launcher
    assert is_first(environment) is first
    assert started(1, 1, environment) == counts


def test_other_numbers_than_were_started_are_refused() -> None:
    assert started(2, 2, TORCHRUN) == (2, 2, True)
    with pytest.raises(UsageError, match="--devices is 4, but torchrun started 2; leave --devices out"):
        started(4, 1, TORCHRUN)
    with pytest.raises(UsageError, match="srun started a different number of processes on each machine"):
        started(1, 1, SLURM | {"SLURM_NTASKS": "5"})


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_processes_share_the_batches_of_one_out_and_take_no_clip_twice(share: float) -> None:
    recipe = load_recipe("baseline", batch_size=8, normal_share=share, class_weights="none")
    none = torch.zeros(45).long()
    clips = ClipTensors(torch.arange(45.0)[:, None, None, None], none.clone(), none.float(), none, none)
    clips.label[20:] = 1

    def batches(world: int, rank: int) -> list[set[float]]:
        loader = clips.training_loader(recipe, None, world, rank)  # type: ignore[arg-type]
        return [set(batch["image"].flatten().tolist()) for batch in loader]

    whole, shares = batches(1, 0), [batches(2, rank) for rank in range(2)]
    assert len(whole) == len(shares[0]) == len(shares[1])
    for batch, one, other in zip(whole, *shares, strict=True):
        assert batch == one | other
        assert not one & other
    with pytest.raises(LaennecError, match="a batch of 8 cannot be shared out over 5 processes"):
        batches(5, 0)


def test_processes_share_the_crops_of_one_out() -> None:
    recipe, front_end, examples = small("recording")
    rows = list(range(len(examples)))

    def drawn(world: int, rank: int) -> list[Any]:
        sampler: Any = crop_loader(
            examples.examples, rows, _wide(recipe), front_end, world, rank
        ).batch_sampler
        return list(sampler)

    for batch, one, other in zip(drawn(1, 0), drawn(2, 0), drawn(2, 1), strict=True):
        assert batch == [crop for pair in zip(one, other, strict=True) for crop in pair]


def _wide(recipe: Recipe) -> Recipe:
    return replace(recipe, recording=replace(recipe.recording, batch_s=40.0))


def test_a_command_of_many_models_is_started_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    refused = pytest.raises(UsageError, match=r"torchrun started several processes, but .* start it once")
    with refused, at_work(tmp_path / "many"):
        pass
    with at_work(tmp_path / "one", together=True):
        pass


def test_folds_of_one_folder_may_be_trained_by_several_commands_but_each_by_one(tmp_path: Path) -> None:
    with at_work(tmp_path, part=True), at_work(tmp_path, part=True):
        with pytest.raises(LaennecError, match="another process is writing"), at_work(tmp_path):
            pass

        def again() -> None:
            held(tmp_path / "fold1", lambda: None)

        with pytest.raises(LaennecError, match="fold1: another process is writing into this folder"):
            held(tmp_path / "fold1", again)
        again()
    refused = pytest.raises(LaennecError, match="another process is writing")
    with at_work(tmp_path), refused, at_work(tmp_path, part=True):
        pass


# --- whole trainings ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    (folder / "plain.py").write_text(NETWORK)
    (folder / "plain.toml").write_text(RECIPE.format(folder=folder))
    return folder / "plain.toml"


def train(recipe: Path, data: Path, out: Path, *more: object) -> list[str]:
    line = ["-m", "laennec", "train", recipe, "--data", data, "--out", out, "--accelerator", "cpu", *more]
    return [str(word) for word in line]


def environment(**more: object) -> dict[str, str]:
    without = ("LOCAL_RANK", "RANK", "WORLD_SIZE", "MASTER_PORT", "MASTER_ADDR")
    kept = {name: value for name, value in os.environ.items() if name not in without}
    return {**kept, "OMP_NUM_THREADS": "1", **{name: str(value) for name, value in more.items()}}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(line: Sequence[str], **more: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *line], check=False, capture_output=True, text=True, env=environment(**more)
    )
    assert done.returncode == 0, done.stderr
    return done


def by_torchrun(line: Sequence[str]) -> list[str]:
    port = free_port()
    return ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port), *line]


def weights(out: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(out / "model.pt", weights_only=True)["network"]
    return found


@pytest.fixture(scope="module")
def alone(plain_recipe: Path, simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone") / "run"
    run(train(plain_recipe, simulated, out, "--threads", 1))
    return out


def same_training(out: Path, alone: Path) -> None:
    """Two processes must have made what one makes, but for the order in which it is added up."""
    told, expected = (json.loads((run / "run.json").read_text()) for run in (out, alone))
    assert (told["processes"], expected["processes"]) == (2, 1)
    for name, value in weights(alone).items():
        torch.testing.assert_close(weights(out)[name], value, rtol=1e-4, atol=1e-5)
    assert told["best_epoch"]["epoch"] == expected["best_epoch"]["epoch"]
    for name in ("train_loss", "val_loss", "val_ts", "val_average_precision"):
        assert told["last_epoch"][name] == pytest.approx(expected["last_epoch"][name], abs=1e-4), name
    probabilities = [pd.read_csv(run / "predictions.csv").select_dtypes("number") for run in (out, alone)]
    assert (probabilities[0] - probabilities[1]).abs().to_numpy().max() < 1e-4


@pytest.mark.slow
def test_torchrun_trains_what_one_process_trains_and_resumes(
    plain_recipe: Path, simulated: Path, alone: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = run(by_torchrun(train(plain_recipe, simulated, out)))
    same_training(out, alone)
    assert done.stdout.count("run/model.onnx") == 1, "both processes spoke"
    assert done.stderr.count("events to train on") == 1, "both processes spoke"
    # Interrupted after its last epoch but before its end: the state that is kept is gone on with.
    before = weights(out)
    for name in ("run.json", "model.pt"):
        (out / name).unlink()
    run(by_torchrun(train(plain_recipe, simulated, out)))
    assert all(torch.equal(value, weights(out)[name]) for name, value in before.items())


@pytest.mark.slow
def test_slurm_trains_what_one_process_trains(
    plain_recipe: Path, simulated: Path, alone: Path, tmp_path: Path
) -> None:
    out, port = tmp_path / "run", free_port()
    own = {"SLURM_NTASKS": 2, "SLURM_NNODES": 1, "SLURM_NODEID": 0, "SLURM_JOB_NAME": "lungs",
           "SLURM_NTASKS_PER_NODE": 2, "SLURM_JOB_ID": 7, "MASTER_ADDR": "127.0.0.1",
           "MASTER_PORT": port}  # fmt: skip
    ranks = [
        subprocess.Popen(
            [sys.executable, *train(plain_recipe, simulated, out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(**own, SLURM_PROCID=rank, SLURM_LOCALID=rank),
        )
        for rank in range(2)
    ]
    said = [rank.communicate(timeout=300) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], said
    same_training(out, alone)
    assert "run/model.onnx" in said[0][0]
    assert said[1] == ("", ""), "the second process spoke"


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_when_one_process_is_killed_the_others_end(
    killed: int, plain_recipe: Path, simulated: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    line = [sys.executable, *by_torchrun(train(plain_recipe, simulated, out, "--epochs", 100_000))]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as launcher:
        last, until = out / "checkpoints" / "last.ckpt", time.monotonic() + 200
        while not last.exists() and time.monotonic() < until and launcher.poll() is None:
            time.sleep(0.05)
        assert last.exists()
        ranks = {rank_of(pid): pid for pid in children(launcher.pid)}
        assert set(ranks) == {0, 1}
        os.kill(ranks[killed], signal.SIGKILL)
        _, said = launcher.communicate(timeout=100)
        assert launcher.returncode != 0
    assert not [pid for pid in ranks.values() if Path(f"/proc/{pid}").exists()]
    assert "unexpected" not in said.lower()
    assert torch.load(last, weights_only=True)["epoch"] >= 0  # whole


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(own) for own in found]


def rank_of(pid: int) -> int:
    match = re.search(rb"\0RANK=(\d+)\0", b"\0" + Path(f"/proc/{pid}/environ").read_bytes())
    return int(match[1]) if match else -1
