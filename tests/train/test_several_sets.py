"""Whole recordings of several data sets: one table, one list of examples, and who may take what."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from laennec.cli import parse, run
from laennec.datasets import dataset
from laennec.errors import UsageError
from laennec.features.recording import RecordingLogMel
from laennec.labels import SOUND_KINDS, SPRSOUND_RECORDS
from laennec.models.recording_task import UNKNOWN
from laennec.train.card import card, learnt_from
from laennec.train.crossval import CrossValidationData, gather
from laennec.train.protocols import protocol_of
from laennec.train.recipe import Recipe, load_recipe, recipe_from_dict, recipe_to_dict, with_settings
from laennec.train.recordings import Example, RecordingExamples, image_of, read_recordings
from laennec.train.tables import recording_tables, source_of, with_auxiliary

SETS = ("icbhi", "kauh", "hls-cmds", "hf-lung", "not-lung")


@pytest.fixture(scope="module")
def folders(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    root = tmp_path_factory.mktemp("sets")
    for name in SETS:
        dataset(name).tiny(root / name)
    return {"sprsound": simulated, **{name: root / name for name in SETS}}


@pytest.fixture(scope="module")
def recipe(folders: Mapping[str, Path]) -> Recipe:
    options = [f"{name}={folders[name]}" for name in SETS]
    return with_auxiliary(load_recipe("recording"), options)[0]


@pytest.fixture(scope="module")
def material(folders: Mapping[str, Path], recipe: Recipe) -> CrossValidationData:
    also = {name: folders[name] for name in SETS}
    events, recordings = recording_tables(recipe, folders["sprsound"], also)
    return gather(events, recipe, protocol_of(recipe, 2), None, recordings)


def of(material: CrossValidationData, name: str) -> list[Example]:
    return [own for own in material.examples.examples if own.dataset == name]


def test_all_data_sets_are_one_table_and_one_list(material: CrossValidationData) -> None:
    sources = source_of(material.clips)
    assert list(sources.unique()) == ["sprsound", *SETS]
    assert [own.dataset for own in material.examples.examples] == list(sources)
    assert [own.subject for own in material.examples.examples] == list(material.clips["subject"].fillna(""))
    known = material.clips["subject"].notna()
    assert all(
        subject.startswith(f"{source}-")
        for subject, source in zip(material.clips["subject"][known], sources[known], strict=True)
    )
    manikin = (sources == "hls-cmds").to_numpy()
    assert all(not fold.train[manikin].any() for fold in material.folds)


def test_each_recording_is_learnt_from_as_far_as_it_is_annotated(
    material: CrossValidationData, folders: Mapping[str, Path]
) -> None:
    names = [*SPRSOUND_RECORDS, "unknown"]
    events = dataset("sprsound").load(folders["sprsound"])
    for own in of(material, "sprsound"):
        mine = events[events["recording"] == own.name.rpartition(":")[0]]
        assert own.placed
        assert len(own.spans) == len(own.classes) == len(mine)
        if len(mine):
            np.testing.assert_array_equal(own.stretches, own.spans)
    assert sum(len(own.spans) for own in of(material, "sprsound")) > 0
    cycles = dataset("icbhi").load(folders["icbhi"])
    for own in of(material, "icbhi"):
        mine = cycles[cycles["recording"] == own.name.rpartition(":")[0]]
        assert (own.placed, len(own.spans), own.classes.shape) == (False, 0, (0, 7))
        np.testing.assert_allclose(own.stretches, mine[["start_s", "end_s"]])
        families = {"normal": "Normal", "crackle": "DAS", "wheeze": "CAS", "both": "CAS & DAS"}
        assert [names[k] for k in own.stretch_records] == [families[label] for label in mine["label"]]
        assert own.record != UNKNOWN
    for own in (*of(material, "kauh"), *of(material, "hls-cmds")):
        np.testing.assert_allclose(own.stretches, [[0.0, 1.0]])
        assert own.stretch_records.tolist() == [own.record] != [UNKNOWN]
    assert {names[own.record] for own in of(material, "kauh")} == {"Normal", "CAS", "DAS", "CAS & DAS"}
    for own in (*of(material, "hf-lung"), *of(material, "not-lung")):
        assert (own.record, len(own.stretches), len(own.spans), own.placed) == (UNKNOWN, 0, 0, False)
    assert {SOUND_KINDS[own.kind] for own in of(material, "not-lung")} == {"heart", "speech", "noise"}
    assert {own.kind for name in ("sprsound", *SETS[:-1]) for own in of(material, name)} == {0}
    first = of(material, "kauh")[0]
    assert (first.age_years, first.device, first.position) == (70.0, "Littmann 3200 bell", "left-posterior")
    assert (of(material, "hf-lung")[0].position, np.isnan(of(material, "hf-lung")[0].age_years)) == ("", True)


def test_poor_quality_is_one_stretch_over_all(recipe: Recipe, folders: Mapping[str, Path]) -> None:
    events, recordings = recording_tables(recipe, folders["sprsound"], {})
    quiet = recordings.assign(label="Poor Quality").head(2)
    elsewhere = events[~events["path"].isin(quiet["path"])]
    examples = read_recordings(elsewhere, quiet, recipe, RecordingLogMel()).examples
    for own, end_s in zip(examples, quiet["end_s"], strict=True):
        assert (own.placed, len(own.spans)) == (True, 0)
        np.testing.assert_allclose(own.stretches, [[0.0, end_s]])
        assert [SPRSOUND_RECORDS[k] for k in own.stretch_records] == ["Poor Quality"]


def test_images_are_kept_at_one_level_and_normalised_on_the_way() -> None:
    front_end = RecordingLogMel()
    rng = np.random.default_rng(0)
    samples = (0.1 * rng.standard_normal(16_000)).astype(np.float32)
    image = image_of(samples, front_end)
    assert image.dtype == torch.float16
    own = Example("a", "a", "", "", "", np.nan, image, *[np.zeros((0, 2))] * 2, True, *[np.zeros(0)] * 2, 0)
    held = RecordingExamples([own])
    torch.testing.assert_close(held.__getitems__([0])["image"], image.float()[None])
    normalised = held.normalised(front_end).__getitems__([0])["image"]
    torch.testing.assert_close(normalised, front_end(torch.from_numpy(samples)[None]), atol=5e-3, rtol=0)


def test_several_data_sets_are_for_whole_recordings_and_each_is_named_once(
    folders: Mapping[str, Path], tmp_path: Path
) -> None:
    words = ["--data", str(folders["sprsound"]), "--out", str(tmp_path / "out")]
    two = ["--also", f"icbhi={folders['icbhi']}", "--also", f"kauh={folders['kauh']}"]
    assert parse("detector", [*words, *two]).also == (two[1], two[3])
    with pytest.raises(UsageError, match="recipe default is one of clips and takes one --also, not 2"):
        run(["train", "default", *words, *two, "--set", "augmentation.mixup=0"])
    with pytest.raises(UsageError, match="--also icbhi: trained on already; name each data set once"):
        run(["train", "recording", *words, *two[:2], *two[:2]])
    with pytest.raises(UsageError, match="--also sprsound: trained on already"):
        run(["crossvalidate", "recording", *words, "--also", "sprsound=x"])
    recipe = with_settings(load_recipe("recording"), ['also=["icbhi", "kauh"]'])
    with pytest.raises(UsageError, match="on 3 data sets; add --also icbhi=FOLDER --also kauh=FOLDER"):
        with_auxiliary(recipe, ())


def test_recipes_and_cards_with_one_name_are_still_read(recipe: Recipe) -> None:
    plain = recipe_to_dict(load_recipe("recording"))
    for stored, read in (("icbhi", ("icbhi",)), ("", ()), (["icbhi", "kauh"], ("icbhi", "kauh"))):
        assert recipe_from_dict({**plain, "also": stored}).also == read
    assert json.loads(json.dumps(recipe_to_dict(recipe)))["also"] == list(SETS)
    one = {"dataset": "SPRSound", "beside": {"dataset": "ICBHI"}}
    assert learnt_from({"dataset": "sprsound", "also": "icbhi"}, one) == {"sprsound", "icbhi"}
    several = {"dataset": "SPRSound", "beside": [{"dataset": "simulated ICBHI"}, {"dataset": "KAUH"}]}
    learnt = learnt_from({"dataset": "sprsound", "also": ["icbhi", "kauh"]}, several)
    assert learnt == {"sprsound", "simulated icbhi", "kauh"}


def test_a_card_counts_what_was_trained_on_of_each_data_set(
    material: CrossValidationData, recipe: Recipe
) -> None:
    entries = card(recipe, *material.trained(material.fold("all patients"), recipe))
    told = entries["data"]["beside"]
    assert [own["dataset"][:5] for own in told] == ["ICBHI", "KAUH ", "HLS-C", "HF_Lu", "Sound"]
    assert "of kauh, 4 clips of 2 patients of hf-lung, 10 clips" in entries["limits"]
    assert [own["clips"] for own in told] == [
        0 if name == "hls-cmds" else int((source_of(material.clips) == name).sum()) for name in SETS
    ]
