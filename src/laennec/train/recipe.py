"""Recipes: everything that decides a training run, as data.

A recipe file is TOML and holds only what differs from the defaults below. The ones in ``laennec/recipes``
are named without path or suffix: ``laennec train chen2022``.
"""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from laennec.errors import LaennecError, UsageError, shown, unread
from laennec.features.augment import Augmentation
from laennec.labels import EVENT_FAMILY, SPRSOUND_EVENTS, SPRSOUND_RECORDS
from laennec.train.ranges import (
    AUGMENTATION,
    FRONT_END,
    FRONT_END_OF_RECORDINGS,
    LARGEST_IMAGE,
    MODEL,
    PHASE_SETTINGS,
    RECIPE,
    RECORDING_SETTINGS,
    WINDOW_SETTINGS,
    Range,
    first_outside,
    image_too_large,
    unknown_families,
)


@dataclass(frozen=True)
class RecordingSettings:
    """What is particular to models for whole recordings."""

    batch_s: float = 200.0
    """Seconds of sound in a batch of crops."""
    batches: int = 100
    """Batches of an epoch."""
    shares: tuple[float, ...] = (0.58, 0.22, 0.2)
    """Of the crops: recordings whose events are annotated, other lungs, and what is no lung."""
    loss_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 0.5, 0.3)
    """Of presence, onset and offset, event class, record label, kind of sound."""
    evidence_weight: float = 0.0
    """Of the record label that the frames of the event classes tell, in the loss."""
    other_sounds: int = 50
    """Generated sounds of each kind that is no lung, to learn from what to refuse."""
    pattern_share: float = 0.0
    """Of patterns of the sources of sounds in what tells lungs from others after the training, 0 to 1; the
    rest is the training's layer (`laennec.train.sound_patterns`). 0: the layer alone."""
    piece_s: float = 9.216
    """Length of a crop, that of most of SPRSound's recordings."""
    shortest_s: float = 8.0
    """A shorter recording with annotated events is not trained on; another one is repeated."""

    @property
    def frames_tell(self) -> bool:
        """Whether the frames of the event classes learnt the record label, and have a say in it."""
        return self.evidence_weight > 0


@dataclass(frozen=True)
class WindowSettings:
    """What is particular to models for windows of a few seconds."""

    sick_share: float = 0.5
    """Least share of recordings with adventitious sounds among those of a kind that windows are drawn from;
    they are drawn more often where there are fewer."""
    teacher: str = ""
    """Model for whole recordings whose probabilities are learnt besides: a model file, a run folder, or the
    name of one that ships. Empty: annotations alone teach."""
    teacher_weight: float = 0.5
    """Share of the teacher in the loss of annotated windows; others have the teacher alone."""
    temperature: float = 1.0
    """That the log-odds of both are divided by before they are compared."""


@dataclass(frozen=True)
class PhaseSettings:
    """What is particular to models for breath phases."""

    clips: int = 64
    """Clips of one phase in a batch."""
    cycles: int = 6
    """Pieces of recordings with respiratory cycles in a batch."""
    breaths: int = 5
    """Pieces of recordings with annotated breaths in a batch."""
    loss_weights: tuple[float, ...] = (1.0, 1.0, 0.5)
    """Of clips, cycles and breaths."""


@dataclass(frozen=True)
class Recipe:
    """One training run."""

    name: str
    title: str = ""
    source: str = ""
    """Paper or reason behind it."""
    dataset: str = "sprsound"
    labels: tuple[str, ...] = SPRSOUND_EVENTS
    taxonomy: Literal["own", "icbhi"] = "own"
    """``icbhi``: map labels to normal, crackle, wheeze and both (`laennec.labels.TO_ICBHI`)."""
    other_labels: Literal["refuse", "leave out"] = "refuse"
    """What happens to clips whose label is none of `labels`."""
    also: tuple[str, ...] = ()
    """Data sets to train on beside the first: several for whole recordings, one for clips, with labels that
    `laennec.labels.TO_ICBHI` knows. Such a label of a clip allows every class that ICBHI calls so: a crackle
    may be fine or coarse, and the network's own answer says which (Cour, Sapp & Taskar, "Learning from
    partial labels", JMLR 12, 2011). Nothing is chosen on them."""
    padding: Literal["tile", "zero", "sample"] = "tile"
    front_end: dict[str, Any] = field(default_factory=lambda: {"kind": "cepstral-image"})
    model: dict[str, Any] = field(default_factory=lambda: {"kind": "chen2022"})
    start_from: str = ""
    """Recipe whose trained weights the run begins with, wherever name and shape of a layer agree."""
    split: Literal["patient", "random", "official", "official-disjoint", "none"] = "patient"
    """``patient``: no patient on both sides; ``random``: a plain split of events, which leaks;
    ``official``: the data set's own training part against its test part, on which nothing is chosen: the last
    epoch counts; ``official-disjoint``: the same without the test clips of patients who are trained on;
    ``none``: train on everything, for a model to ship after selection."""
    validation_fraction: float = 0.3
    split_seed: int = 0
    normal_share: float = 1.0
    """Share of the normal clips that an epoch hears, drawn anew for each."""
    epochs: int = 8
    patience: int = 0
    """Stop once so many epochs in a row bring no better `monitor`; 0 never. Where no epoch is chosen, nothing
    is stopped."""
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.2
    """Share of the steps in which the one-cycle schedule rises."""
    initial_rate: float = 0.1
    """Share of the learning rate at which the one-cycle schedule begins."""
    class_weights: Literal["balanced", "sqrt", "none"] = "sqrt"
    loss: Literal["cross-entropy", "focal"] = "cross-entropy"
    focal_gamma: float = 2.0
    """Exponent of the focal loss (Lin et al., ICCV 2017, equation 4)."""
    optimizer: Literal["adamw", "adam"] = "adamw"
    """``adam`` adds `weight_decay` times the weights to their gradient, as an L2 penalty does."""
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    monitor: Literal["ts", "accuracy", "average_precision", "last"] = "ts"
    """What of the validation side chooses the epoch; ``last`` chooses none and keeps the last."""
    known_phases: bool = False
    """Split cycles at the end of inspiration that an airflow signal told, where it did, and not by the ratio.
    A model file is given sound alone and splits by the ratio, so this is for comparing."""
    decision: Literal["argmax", "score", "validation-f1"] = "argmax"
    """``score``: the logit of Normal is shifted so that the challenge's Scores are best on patients that the
    model never heard (`laennec.train.decision`). ``validation-f1``: the last class's logit is shifted so that
    its F-score on the validation side is best; cross-validation of cycles only."""
    fine_tune_from: str = ""
    """Where fine-tuning begins, by the names of Nguyen & Pernkopf's Table II: ``2ndConv``, ``4thBN``, …;
    earlier layers keep the weights they start with. Empty: everything is trained."""
    fine_tune_norms: bool = False
    """Train scale and shift of every batch norm, also of those before `fine_tune_from`: "we update all BN
    layers", read literally. Their running statistics move either way."""
    label_smoothing: float = 0.0
    gradient_clip: float = 1.0
    averaging_decay: float = 0.0
    """Decay of the exponential average of the weights that is validated and shipped; 0 switches it off."""
    precision: Literal["auto", "bf16-mixed", "32-true"] = "auto"
    """``auto``: on a processor the faster of the two, which is timed once when a run begins; bfloat16 on a
    graphics card."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    records: tuple[str, ...] = SPRSOUND_RECORDS
    """Labels of whole recordings, for a model of those."""
    recording: RecordingSettings = field(default_factory=RecordingSettings)
    window: WindowSettings = field(default_factory=WindowSettings)
    phases: PhaseSettings = field(default_factory=PhaseSettings)
    seed: int = 0

    @property
    def chooses_epoch(self) -> bool:
        """Whether the best epoch and the temperature are chosen on the validation set.

        Not where everything is trained on, nor on a published test set.
        """
        return self.split in ("patient", "random")


def _available() -> dict[str, Path]:
    folder = Path(str(resources.files("laennec") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


# What a setting is called in messages.
NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
NAMES |= {tuple: "a list", dict: "a table"}
LARGEST_FILE = 2**20  # bytes of a recipe
ALIASES = {"floor": "baseline"}  # earlier names of recipes
RETIRED = {"blend": 0.0}  # earlier settings, and what switched them off


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    return list(_available())


def load_recipe(name_or_path: str | Path, **overrides: Any) -> Recipe:
    """Read a recipe by its name or by the path of a TOML file.

    Overrides that are not None replace its fields.

    Raises
    ------
    LaennecError
        No such recipe, not TOML, or a field that recipes do not have; UsageError if an override does not fit.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        known = _available()
        name_or_path = ALIASES.get(str(name_or_path), name_or_path)
        if str(name_or_path) not in known:
            raise UsageError(f"no recipe named {str(name_or_path)!r}; there are: {', '.join(known)}")
        path = known[str(name_or_path)]
    table = _read_toml(path)
    table.setdefault("name", path.stem)
    for part in ("front_end", "model"):  # files beside the recipe are found from anywhere
        inside = table.get(part)
        place, colon, name = str(inside.get("kind", "") if isinstance(inside, dict) else "").rpartition(":")
        if colon and place.endswith(".py"):
            table[part]["kind"] = f"{(path.parent / place).resolve()}:{name}"
    given = {key: value for key, value in overrides.items() if value is not None}
    # Where the package lies helps nobody.
    where = f"recipe {path.stem}" if Path(name_or_path).suffix != ".toml" else str(path)
    try:
        return recipe_from_dict(table | given, where)
    except LaennecError as error:
        recipe_from_dict(table, where)  # raises where the recipe itself does not fit
        raise UsageError(str(error)) from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_FILE or not path.is_file():
            raise LaennecError(f"{path} is no recipe: not a file of at most {LARGEST_FILE} bytes")
        return _toml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LaennecError(f"no such recipe file: {path}") from None
    except OSError as error:
        raise LaennecError(f"{path}: {unread(error)}") from error
    except ValueError as error:
        raise LaennecError(f"{path} is not a TOML file: {error}") from None


def _toml(text: str) -> dict[str, Any]:
    """Values of TOML text; ValueError where it is none, or tables within tables have no end."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("its values are nested too deeply") from error


def with_settings(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """A recipe with some of its settings replaced.

    Parameters
    ----------
    settings
        Such as ``epochs=30`` or ``augmentation.mixup=0.3``, as TOML writes it; what is not TOML is a text.
    """
    table = recipe_to_dict(recipe)
    names = [setting.partition("=")[0].strip() for setting in settings]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"--set {shown(twice)} is given twice; give it once")
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set takes name=value, such as epochs=30, and not {setting!r}")
        try:
            value = _toml(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        except ValueError as error:
            raise UsageError(f"--set {shown(setting)}: {error}") from None
        inside = table
        *above, last = name.strip().split(".")
        if len(above) > 2:
            raise UsageError(f"--set {shown(setting)}: no setting lies so deep")
        for part in above:
            inside = inside.setdefault(part, {})
            if not isinstance(inside, dict):
                raise UsageError(f"--set {setting}: {part} is a setting and not a table")
        inside[last] = value
    try:
        return recipe_from_dict(table, "--set")
    except LaennecError as error:  # the recipe fitted before
        raise UsageError(str(error)) from error


def recipe_from_dict(table: dict[str, Any], where: str = "recipe") -> Recipe:
    """Make a recipe from plain values, naming any field or value that does not fit."""
    if not isinstance(table, dict):
        raise LaennecError(f"{where} is no table of settings")
    table = dict(table)
    for name, part, ranges in (
        ("augmentation", Augmentation, AUGMENTATION),
        ("recording", RecordingSettings, RECORDING_SETTINGS),
        ("window", WindowSettings, WINDOW_SETTINGS),
        ("phases", PhaseSettings, PHASE_SETTINGS),
    ):
        table[name] = _checked(part, table.get(name, {}), f"{where} [{name}]", ranges)
    if "name" not in table:
        raise LaennecError(f"{where} has no name")
    if isinstance(table.get("also"), str):  # as it was when one was the most
        table["also"] = [table["also"]] if table["also"] else []
    recipe: Recipe = _checked(Recipe, table, where, RECIPE)
    for name, own, ranges in (("front_end", recipe.front_end, FRONT_END), ("model", recipe.model, MODEL)):
        kind = own.get("kind")
        if not isinstance(kind, str):
            raise LaennecError(f"{where} [{name}]: kind = {shown(kind)} is not the name of one")
        if ":" not in kind:  # arguments of others may have any meaning
            _refuse_outside(own, ranges, f"{where} [{name}]")
    if recipe.front_end["kind"] == FRONT_END_OF_RECORDINGS:
        check_families(recipe, where)
    elif ":" not in recipe.front_end["kind"] and image_too_large(recipe.front_end):
        raise LaennecError(
            f"{where} [front_end]: the image of one clip would have more than {LARGEST_IMAGE} values; "
            "choose fewer bands, a longer hop_length or shorter clips"
        )
    if recipe.also and recipe.augmentation.mixup > 0:
        raise LaennecError(
            f"{where}: mixup cannot mix the labels of a second data set (also), which mean several"
        )
    return recipe


def in_precision(recipe: Recipe, precision: str | None) -> Recipe:
    """The recipe with the precision that a command was given, if any."""
    return recipe_from_dict({**recipe_to_dict(recipe), "precision": precision}) if precision else recipe


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuse seeds that generators of random numbers do not take."""
    inside, permitted = RECIPE["seed"]
    for seed in seeds:
        if not inside(seed):
            raise UsageError(f"seed {shown(seed)} is not {permitted}")


def check_families(recipe: Recipe, where: str) -> None:
    """Refuse labels that a model for whole recordings cannot have: its rule knows families of sounds."""
    if unknown := unknown_families(recipe.labels):
        raise LaennecError(
            f"{where}: labels has {shown(unknown[0])}; a model for whole recordings knows "
            f"{', '.join(EVENT_FAMILY)}"
        )


def _checked(kind: type, table: Any, where: str, ranges: Mapping[str, Range]) -> Any:
    if not isinstance(table, dict):
        raise LaennecError(f"{where} = {shown(table)} is not a table")
    hints = typing.get_type_hints(kind)
    # TOML and JSON know lists only.
    table = {
        name: tuple(value)
        if isinstance(value, list) and typing.get_origin(hints.get(name)) is tuple
        else value
        for name, value in table.items()
    }
    # Files of earlier versions name them; switched off, they are missed by nobody.
    table = {name: value for name, value in table.items() if name not in RETIRED or value != RETIRED[name]}
    for name, value in table.items():
        if name not in hints:
            raise LaennecError(f"{where}: unknown setting {shown(name)}; there are: {', '.join(hints)}")
        if not _fits(value, hints[name]):
            raise LaennecError(f"{where}: {name} = {shown(value)} is not {_spelled(hints[name])}")
    _refuse_outside(table, ranges, where)
    return kind(**table)


def _refuse_outside(table: Mapping[str, Any], ranges: Mapping[str, Range], where: str) -> None:
    if outside := first_outside(table, ranges):
        name, value, permitted = outside
        raise LaennecError(f"{where}: {name} = {shown(value)} is not {permitted}")


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin is Literal:
        return isinstance(value, str) and value in typing.get_args(hint)
    if origin in (tuple, dict) or isinstance(hint, types.GenericAlias):
        return isinstance(value, origin)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _spelled(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(repr(choice) for choice in typing.get_args(hint))
    return NAMES.get(typing.get_origin(hint) or hint, str(hint))


def parent_of(recipe: Recipe) -> Recipe | None:
    """The recipe that this one starts from, with the same data, labels, images, split, precision and seed."""
    if not recipe.start_from:
        return None
    same = (
        "dataset",
        "labels",
        "taxonomy",
        "other_labels",
        "padding",
        "front_end",
        "split",
        "split_seed",
        "validation_fraction",
        "precision",
        "seed",
    )
    parent = load_recipe(recipe.start_from, **{name: getattr(recipe, name) for name in same})
    earlier, chain = parent.start_from, [recipe.start_from]
    while earlier:
        if earlier in chain:
            raise LaennecError(
                f"recipe {recipe.name} starts from {earlier}, which starts from itself (start_from)"
            )
        chain.append(earlier)
        earlier = load_recipe(earlier).start_from
    return parent


def recipe_to_dict(recipe: Recipe) -> dict[str, Any]:
    """Plain values, as JSON can hold them; `recipe_from_dict` reads them back."""
    return dataclasses.asdict(recipe)


def changed_settings(table: dict[str, Any], recipe: Recipe, where: str) -> list[str]:
    """Names of the settings in which the recipe of a run, as `recipe_to_dict` wrote it, differs."""
    other = recipe_from_dict(table, where)
    if (other.precision, recipe.precision) == ("bf16-mixed", "auto"):  # the earlier name of the default
        other = dataclasses.replace(other, precision="auto")
    names = (setting.name for setting in dataclasses.fields(Recipe))
    return sorted(name for name in names if getattr(other, name) != getattr(recipe, name))


def deep_update(table: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's values with some changed; tables within are merged, not replaced."""
    result = dict(table)
    for key, value in change.items():
        known = result.get(key)
        result[key] = deep_update(known, value) if isinstance(known, Mapping) else value
    return result
