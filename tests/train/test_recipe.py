import json
import math
from pathlib import Path

import pytest

from laennec.errors import LaennecError, UsageError
from laennec.train.build import build_parts, check_network
from laennec.train.ranges import AUGMENTATION, FRONT_END, MODEL, RECIPE, RECORDING_SETTINGS
from laennec.train.recipe import (
    load_recipe,
    parent_of,
    recipe_from_dict,
    recipe_names,
    recipe_to_dict,
    with_settings,
)


def test_the_papers_recipes_and_the_default_are_there() -> None:
    assert set(recipe_names()) >= {
        "default",
        "chen2022",
        "chen2022-convlstm",
        "chen2022-upsampling-cnn",
        "chen2022-cnn",
        "chen2022-bilstm",
        "chen2022-resnet",
    }


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_builds_what_it_names(name: str) -> None:
    recipe = load_recipe(name)
    build_parts(recipe)
    assert recipe.title
    assert recipe.split == "patient"


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_survives_json(name: str) -> None:
    import json

    recipe = load_recipe(name)
    assert recipe_from_dict(json.loads(json.dumps(recipe_to_dict(recipe)))) == recipe


def test_the_ablation_shares_everything_but_the_model() -> None:
    from dataclasses import replace

    full = load_recipe("chen2022")
    for name in ("chen2022-convlstm", "chen2022-upsampling-cnn", "chen2022-cnn"):
        recipe = load_recipe(name)
        assert recipe.model != full.model
        told = ("model", "name", "title", "source", "start_from", "epochs", "learning_rate")
        assert replace(recipe, **{name: getattr(full, name) for name in told}) == full


def test_each_model_of_the_ablation_starts_from_the_one_before() -> None:
    chain = [load_recipe("chen2022", seed=3, split="random")]
    while (parent := parent_of(chain[-1])) is not None:
        chain.append(parent)
    assert [recipe.name for recipe in chain] == ["chen2022", "chen2022-convlstm", "chen2022-upsampling-cnn"]
    assert {(recipe.seed, recipe.split) for recipe in chain} == {(3, "random")}


def test_overrides() -> None:
    recipe = load_recipe("chen2022", epochs=3, seed=None)
    assert recipe.epochs == 3
    assert recipe.seed == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "unknown setting 'epoch'; there are: name"),
        ("epochs = '3'", "epochs = '3' is not a whole number"),
        (
            "split = 'patients'",
            "split = 'patients' is not one of 'patient', 'random', 'official', 'official-disjoint', 'none'",
        ),
        ("[augmentation]\nmix = 1", "unknown setting 'mix'"),
        ("epochs = ", "is not a TOML file"),
        ("epochs = 0", "epochs = 0 is not a whole number from 1 to 100000"),
        ("batch_size = 1", "batch_size = 1 is not a whole number from 2 to 65536, since batch norm"),
        ("labels = ['Wheeze', 'Normal']", "whose first is Normal"),
        ("warmup = 1.0", "warmup = 1.0 is not a number from 0 to below 1"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(LaennecError, match=message):
        load_recipe(path)


def test_an_option_that_does_not_fit_is_wrong_usage_and_a_wrong_recipe_is_not(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("epochs = 3")
    with pytest.raises(UsageError, match="seed = -1 is not a whole number"):
        load_recipe(path, seed=-1)
    path.write_text("epochs = 0")
    with pytest.raises(LaennecError, match="epochs = 0 is not a whole number") as caught:
        load_recipe(path, seed=1)
    assert not isinstance(caught.value, UsageError)


TABLES = {"": RECIPE, "augmentation": AUGMENTATION, "recording": RECORDING_SETTINGS}
TABLES |= {"front_end": FRONT_END, "model": MODEL}
WRONG = (
    "9" * 5000,
    "0x" + "f" * 5000,
    "1e308",
    "-1e308",
    "-1",
    "nan",
    "inf",
    "true",
    "'word'",
    "''",
    "[]",
    "[1e308]",
    "[nan, nan]",
    "[[1, 2], 3]",
    "['a', 'a']",
    "{a = 1}",
    "1979-05-27",
    "[1979-05-27]",
    "[" * 60 + "]" * 60,
    "[" * 9000 + "]" * 9000,
)
FITTING = {
    "''",
    "'word'",
    "true",
    "[]",
    "{a = 1}",
    "['a', 'a']",
}  # a text may be empty, a kind may be unknown


@pytest.mark.parametrize("part", TABLES)
def test_a_wrong_value_of_any_setting_is_named_when_the_recipe_is_read(part: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    head = {"front_end": 'kind = "log-mel"\n', "model": 'kind = "resnet"\n'}.get(part, "")
    refused = 0
    for name in TABLES[part]:
        for value in WRONG:
            path.write_text(f"[{part}]\n{head}{name} = {value}" if part else f"{name} = {value}")
            try:
                recipe = load_recipe(path)
            except LaennecError as error:
                message = str(error)
            else:
                json.dumps(recipe_to_dict(recipe), allow_nan=False, ensure_ascii=False).encode()
                assert value in FITTING, (name, value)
                continue
            refused += 1
            if value[0] == "9" or len(value) > 5002:  # what Python's reader of TOML cannot say of a line
                assert "is not a TOML file" in message
            else:
                assert name in message, message
            assert "bad.toml" in message
            assert len(message) < 1000
    assert refused > 14 * len(TABLES[part])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("front_end = 3", r"front_end = 3 is not a table"),
        ("front_end = {}", r"\[front_end\]: kind = None is not the name of one"),
        ("[model]\nkind = 3", r"\[model\]: kind = 3 is not the name of one"),
        ("augmentation = 3", r"\[augmentation\] = 3 is not a table"),
        ("labels = ['Normal', 3]", "labels = .* is not a list of different labels"),
        ("labels = ['Normal', '']", "labels = .* is not a list of different labels"),
        ("seed = -1", "seed = -1 is not a whole number from 0 to 4294967295"),
        (
            "[front_end]\nkind = 'log-mel'\nn_fft = 20000",
            "n_fft = 20000 is not a whole number from 16 to 4096",
        ),
        ("[front_end]\nkind = 'log-mel'\nhop_length = 1\nclip_samples = 480000", "more than 4194304 values"),
        ("[front_end]\nkind = 'recording-log-mel'\n[model]\nkind = 'recording'", ""),
        (
            "labels = ['Normal', 'Squeak']\n[front_end]\nkind = 'recording-log-mel'",
            "labels has 'Squeak'; a model for whole recordings knows Normal, Rhonchi, Wheeze",
        ),
        ("labels = ['normal', 'crackle']\n[front_end]\nkind = 'recording-log-mel'", "labels has 'normal'"),
        ("records = ['Normal', 'CAS']", "with Poor Quality among them"),
    ],
)
def test_what_contradicts_itself_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    if not message:
        assert load_recipe(path).name == "bad"
        return
    with pytest.raises(LaennecError, match=r"bad\.toml.*" + message):
        load_recipe(path)


@pytest.mark.parametrize(
    "setting",
    ["epochs=" + "9" * 5000, "epochs=nan", "epochs=[[", "epochs=-1", "title=1979-05-27",
     "model.channels=[1e308]",
     "front_end=3", "a.b.c.d.e=1", "=3", "augmentation.mixup=1e999", "title=\udcff", "model.x=" + "[" * 9000,
     "labels=['Normal', 'Normal']", "front_end.n_fft=0x" + "f" * 5000, ".".join("a" * 3000) + "=1"],
)  # fmt: skip
def test_a_wrong_setting_of_the_command_line_is_named(setting: str) -> None:
    with pytest.raises(UsageError, match=r"--set") as caught:
        with_settings(load_recipe("baseline"), [setting])
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"epochs = 3\n" * 200_000, b"\x00"])
def test_what_is_no_recipe_file(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    if content == b"":  # the defaults
        assert load_recipe(path).epochs == 8
        return
    with pytest.raises(LaennecError, match=r"bad\.toml.*(is no recipe|is not a TOML file)"):
        load_recipe(path)


def test_a_recipe_of_a_run_or_a_model_is_checked_alike() -> None:
    table = recipe_to_dict(load_recipe("baseline"))
    for wrong in (
        [],
        3,
        None,
        "recipe",
        {},
        table | {"epochs": math.nan},
        table | {"model": {"kind": ["a"]}},
    ):
        with pytest.raises(LaennecError, match=r"^here"):
            recipe_from_dict(wrong, "here")  # type: ignore[arg-type]


def test_a_recipe_that_starts_from_itself_is_refused(tmp_path: Path) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text(f"start_from = '{other}'")
    other.write_text(f"start_from = '{one}'")
    with pytest.raises(LaennecError, match="starts from itself"):
        parent_of(load_recipe(one))


@pytest.mark.parametrize(
    ("front_end", "model", "message"),
    [
        ({"kind": "log-mel", "hop_length": 0}, {"kind": "resnet"}, r"\[front_end\] cannot be built"),
        (
            {"kind": "log-mel", "fmin_hz": 2000, "fmax_hz": 100},
            {"kind": "resnet"},
            "fmin_hz is 2000 and fmax_hz 100",
        ),
        (
            {"kind": "log-mel", "fmax_hz": 9000},
            {"kind": "resnet"},
            "fmax_hz is 9000; at 8000 Hz expected up to 4000",
        ),
        (
            {"kind": "log-mel", "clip_samples": 256},
            {"kind": "chen2022"},
            r"\[model\] (does not fit|cannot be built)",
        ),
    ],
)
def test_parts_that_do_not_fit_are_named_before_anything_is_read(
    front_end: dict[str, object], model: dict[str, object], message: str
) -> None:
    recipe = load_recipe("baseline", front_end=front_end, model=model)
    with pytest.raises(LaennecError, match=message):
        check_network(recipe, *build_parts(recipe))


def test_no_such_recipe() -> None:
    with pytest.raises(LaennecError, match=r"no recipe named .chen.; there are: .*chen2022"):
        load_recipe("chen")
    with pytest.raises(LaennecError, match=r"no such recipe file: nowhere\.toml"):
        load_recipe("nowhere.toml")


def test_a_retired_setting_that_was_off_is_read_past() -> None:
    table = recipe_to_dict(load_recipe("default"))
    off = {**table, "augmentation": {**table["augmentation"], "blend": 0.0}}
    assert recipe_from_dict(off) == load_recipe("default")
    on = {**table, "augmentation": {**table["augmentation"], "blend": 0.5}}
    with pytest.raises(LaennecError, match="unknown setting 'blend'"):
        recipe_from_dict(on)
