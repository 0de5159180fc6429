from pathlib import Path

import pytest

from laennec.errors import LaennecError
from laennec.train.build import build_parts
from laennec.train.recipe import load_recipe, parent_of, recipe_from_dict, recipe_names, recipe_to_dict


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
        ("epochs = 0", "epochs = 0 is not 1 or more"),
        ("batch_size = 1", "batch_size = 1 is not 2 or more"),
        ("labels = ['Wheeze', 'Normal']", "whose first is Normal"),
        ("warmup = 1.0", "warmup = 1.0 is not from 0 to below 1"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(LaennecError, match=message):
        load_recipe(path)


def test_no_such_recipe() -> None:
    with pytest.raises(LaennecError, match=r"no recipe named .chen.; there are: .*chen2022"):
        load_recipe("chen")
    with pytest.raises(LaennecError, match=r"no such recipe file: nowhere\.toml"):
        load_recipe("nowhere.toml")
