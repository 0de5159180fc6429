"""Batches of crops: what is drawn, what of an annotation a crop keeps, and that a seed draws it again."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from laennec.features.recording import RecordingLogMel
from laennec.labels import SOUND_KINDS, SPRSOUND_RECORDS
from laennec.models.recording_task import UNKNOWN
from laennec.train.crops import Balanced, Crop, Crops, combined_record, crop_loader, groups_of
from laennec.train.recipe import Recipe, RecordingSettings, load_recipe

FRAME_S = 0.0125


def sound(dataset: str, kind: str = "lung", placed: bool = False, frames: int = 1000, **told: Any) -> Any:
    given = {
        "spans": np.zeros((0, 2)),
        "classes": np.zeros((0, 7), bool),
        "stretches": np.zeros((0, 2)),
        "stretch_records": np.zeros(0, int),
        "image": torch.arange(frames).repeat(1, 4, 1).half(),
    }
    return SimpleNamespace(dataset=dataset, kind=SOUND_KINDS.index(kind), placed=placed, **{**given, **told})


def settings(**given: Any) -> Recipe:
    recipe = load_recipe("recording")
    return replace(recipe, epochs=2, recording=replace(recipe.recording, piece_s=5.0, batch_s=50.0, **given))


@pytest.fixture
def examples() -> list[Any]:
    whole = {"stretches": np.array([[0.0, 12.5]]), "stretch_records": np.array([1])}
    return [
        *(sound("sprsound", placed=True) for _ in range(50)),
        sound("icbhi", **whole),
        *(sound("kauh", **whole) for _ in range(3)),
        *(sound("hf-lung") for _ in range(40)),
        sound("not-lung", "heart"),
        sound("not-lung", "noise"),
        *(sound("generated", "heart", placed=True) for _ in range(9)),
        *(sound("generated", "music", placed=True) for _ in range(9)),
    ]


def test_small_data_sets_have_their_share(examples: list[Any]) -> None:
    groups, chances = groups_of(examples, (0.58, 0.22, 0.2))
    share = {
        (examples[rows[0]].dataset, SOUND_KINDS[examples[rows[0]].kind]): chance
        for rows, chance in zip(groups, chances, strict=True)
    }
    assert sum(share.values()) == pytest.approx(1)
    assert share["sprsound", "lung"] == pytest.approx(0.58)
    assert share["icbhi", "lung"] == share["kauh", "lung"] == pytest.approx(0.1)
    assert share["hf-lung", "lung"] == pytest.approx(0.02)  # which tells nothing of what is heard
    assert share["generated", "heart"] == pytest.approx(share["not-lung", "heart"] / 3)
    assert share["generated", "music"] == pytest.approx(
        share["generated", "heart"] + share["not-lung", "heart"]
    )
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(examples)))


def test_what_is_not_there_leaves_its_share() -> None:
    groups, chances = groups_of([sound("kauh"), sound("not-lung", "heart")], (0.58, 0.22, 0.2))
    assert [rows.tolist() for rows in groups] == [[0], [1]]
    assert chances == pytest.approx([0.22 / 0.42, 0.2 / 0.42])


def test_an_epoch_is_drawn_by_its_seed(examples: list[Any]) -> None:
    recipe = settings(batches=30)
    crops = Crops(examples, 400, FRAME_S, SPRSOUND_RECORDS)

    def drawn(seed: int, epoch: int) -> list[list[Crop]]:
        batches = Balanced(crops, range(len(examples)), replace(recipe, seed=seed))
        batches.set_epoch(epoch)
        return list(batches)

    first = drawn(0, 0)
    assert len(first) == 30
    assert all(len(batch) == 10 for batch in first)
    assert first == drawn(0, 0)
    assert first != drawn(1, 0)
    assert first != drawn(0, 1)
    every = [crop for batch in first for crop in batch]
    assert all(0 <= crop.first <= 600 for crop in every)
    counts = Counter(examples[crop.row].dataset for crop in every)
    assert 0.5 < counts["sprsound"] / len(every) < 0.66
    kinds = {SOUND_KINDS[examples[crop.beside].kind] for crop in every}
    assert kinds == {"heart", "noise"}
    assert [batch[0].progress for batch in first] == sorted(batch[0].progress for batch in first)
    assert drawn(0, 1)[-1][0].progress == pytest.approx(59 / 60)


def test_a_crop_has_the_events_that_lie_in_it() -> None:
    own = sound(
        "sprsound",
        placed=True,
        spans=np.array([[0.0, 1.0], [2.0, 4.0], [4.5, 8.5], [7.8, 9.0]]),
        classes=np.eye(7, dtype=bool)[[0, 2, 5, 0]],
        stretches=np.array([[0.0, 1.0], [2.0, 4.0], [4.5, 8.5], [7.8, 9.0]]),
        stretch_records=np.array([0, 1, 2, 0]),
    )
    crops = Crops([own, own], 400, FRAME_S, SPRSOUND_RECORDS)
    # From 3 s to 8 s: half of the second event, most of the third, a sixth of the fourth.
    batch = crops.__getitems__([Crop(0, 240, -1, 0, 0.5), Crop(1, 0, -1, 0, 0.5)])
    assert batch["row"].tolist() == [0, 0, 1, 1]
    torch.testing.assert_close(batch["spans"], torch.tensor([[0, 1], [1.5, 5], [0, 1], [2, 4]]))
    assert batch["classes"].int().argmax(1).tolist() == [2, 5, 0, 2]
    assert batch["image"][0, 0, 0, :3].tolist() == [240, 241, 242]
    assert [SPRSOUND_RECORDS[k] for k in batch["record"]] == ["DAS", "CAS"]
    assert "beside" not in batch


def test_a_short_recording_is_repeated() -> None:
    crops = Crops([sound("hf-lung", frames=150)], 400, FRAME_S, SPRSOUND_RECORDS)
    image = crops.__getitems__([Crop(0, 0, 0, 0, 0.0)])
    assert image["image"][0, 0, 0, [0, 149, 150, 399]].tolist() == [0, 149, 0, 99]
    assert image["record"].tolist() == [UNKNOWN]
    assert image["beside"].shape == image["image"].shape


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (set(), UNKNOWN),
        ({"Normal"}, 0),
        ({"Normal", "CAS"}, 1),
        ({"DAS"}, 2),
        ({"DAS", "CAS"}, 3),
        ({"CAS & DAS", "Normal"}, 3),
        ({"Poor Quality", "CAS"}, 4),
    ],
)
def test_stretches_make_a_record_label(labels: set[str], expected: int) -> None:
    assert combined_record(labels, SPRSOUND_RECORDS) == expected


def test_records_of_other_names() -> None:
    assert combined_record({"Normal", "Adventitious"}, ("Normal", "Adventitious", "Poor Quality")) == 1
    assert combined_record({"CAS", "DAS"}, ("Normal", "CAS", "DAS")) == UNKNOWN


def test_batches_reach_the_front_end(examples: list[Any]) -> None:
    recipe = settings(batches=1)
    bands = [replace_image(own) for own in examples]
    front_end = RecordingLogMel(by_band=True)
    batch = next(iter(crop_loader(bands, range(len(bands)), recipe, front_end)))
    varied = front_end.augment(batch, recipe.augmentation)
    tempo = varied["image"].shape[3] / batch["image"].shape[3]
    assert varied["image"].shape[:3] == (10, 2, 64)
    assert 0.89 < tempo < 1.13
    assert torch.isfinite(varied["image"]).all()


def replace_image(own: Any) -> Any:
    noise = torch.randn(1, 64, own.image.shape[2], generator=torch.Generator().manual_seed(0))
    return SimpleNamespace(**{**vars(own), "image": (noise - 9).half()})


def test_default_settings_are_those_of_the_recipe() -> None:
    assert load_recipe("recording").recording.shares == RecordingSettings().shares
