"""The models that a server offers, and the one in use."""

import json
import os
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

from laennec.errors import LaennecError
from laennec.files import sha256_of
from laennec.model.calibration import read_calibration
from laennec.model.card import RECORDING, ClipCard, RecordingCard
from laennec.model.load import (
    SHIPPED,
    load_model,
    model_path,
    named,
    shipped_models,
    with_calibration,
)
from laennec.web.database import Database
from laennec.web.settings import Settings

RECORDINGS, CLIPS = "recordings", "clips"
MODEL, CALIBRATION = "model", "calibration"  # settings: a name or a SHA-256; a path below the folder


class ClipModelError(LaennecError):
    """The model is for clips, and one for whole recordings is needed."""

    status = 422


class UnknownModelError(LaennecError):
    """There is no such model."""

    status = 404


@dataclass(frozen=True)
class ModelInUse:
    """What recordings are analysed with: as :func:`laennec.analyze` takes it, and the files' SHA-256.

    `task` is `RECORDINGS`, or `CLIPS` for one that classifies windows, and neither answers for whole
    recordings nor learns nor hears sound that still comes.
    """

    source: str
    name: str
    version: str
    sha256: str
    task: str
    calibration: str | None = None
    calibration_sha256: str | None = None


class Models:
    """Those that ship, one that the server was started with, and those of the workspace."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._folder = database, settings.folder
        self._given: ModelInUse | None = None
        chosen = named(settings.model or RECORDING)
        if chosen not in SHIPPED:
            loaded = load_model(chosen)  # one that cannot be used is said now
            path = os.path.abspath(model_path(chosen))
            self._given = ModelInUse(
                path, loaded.card.name, loaded.card.version, loaded.sha256, task_of(loaded.card)
            )
        self._first = self._given or _shipped(str(chosen))

    @property
    def first(self) -> ModelInUse:
        """The model that the server was started with, which has learnt from nothing in the folder."""
        return self._first

    def in_use(self) -> ModelInUse:
        """The model that was chosen last, or the one that the server was started with."""
        chosen = self._setting(MODEL)
        try:
            model = self._first if chosen is None else self.find(chosen)
        except UnknownModelError:  # its file is gone
            model = self._first
        return self._calibrated(model)

    def card(self, sha256: str, calibration_sha256: str | None) -> RecordingCard | None:
        """The card by which a model, or a calibration of it, answers; None where it is gone, or for clips."""
        model = next((model for model in self._all() if model.sha256 == sha256), None)
        if model is None or model.task != RECORDINGS:
            return None
        used = self._calibrated(model)
        if calibration_sha256 not in (None, used.calibration_sha256):
            return None
        return _card(sha256, model.source, None if calibration_sha256 is None else used.calibration)

    def find(self, name: str) -> ModelInUse:
        """The model of a name or SHA-256; UnknownModelError if there is none, or its file is gone."""
        for model in self._all():
            if name in (model.name, model.sha256):
                return model
        raise UnknownModelError("there is no such model; GET /api/v1/models lists them")

    def use(self, name: str) -> ModelInUse:
        """Choose a model for what is analysed from now on."""
        model = self.find(name)
        with self._database.transaction() as do:
            do("INSERT OR REPLACE INTO setting VALUES (?, ?)", (MODEL, model.sha256))
        return self._calibrated(model)

    def listed(self) -> list[dict[str, Any]]:
        """Each model in JSON's types."""
        used = self.in_use().sha256
        own = {row["sha256"]: row for row in self._database.rows("SELECT * FROM model")}
        listed = []
        for model in self._all():
            row = own.get(model.sha256)
            kind = "shipped" if model.sha256 in SHIPPED.values() else "own" if row else "given"
            listed.append(
                {
                    "name": model.name,
                    "version": model.version,
                    "sha256": model.sha256,
                    "kind": kind,
                    "task": model.task,
                    "made": row and row["made"],
                    "in_use": model.sha256 == used,
                    "content": without_answers(json.loads(row["content"])) if row else {},
                }
            )
        return listed

    def _all(self) -> list[ModelInUse]:
        models = [self._given] if self._given else []
        models += [_shipped(name) for name in shipped_models() if name in SHIPPED]
        for row in self._database.rows("SELECT * FROM model ORDER BY made"):
            path = self._folder / row["path"]
            if path.is_file():
                models.append(
                    ModelInUse(
                        str(path),
                        row["name"],
                        str(json.loads(row["content"]).get("version", "")),
                        row["sha256"],
                        RECORDINGS,
                    )
                )
        return models

    def _calibrated(self, model: ModelInUse) -> ModelInUse:
        """A model with the calibration that was chosen, if that is for it."""
        chosen = self._setting(CALIBRATION)
        path = self._folder / chosen if chosen else None
        if path is None or not path.is_file() or read_calibration(path).model_sha256 != model.sha256:
            return model
        return replace(model, calibration=str(path), calibration_sha256=sha256_of(path))

    def _setting(self, key: str) -> str | None:
        row = self._database.row("SELECT value FROM setting WHERE key = ?", (key,))
        return None if row is None else str(row["value"])


def without_answers(content: dict[str, Any]) -> dict[str, Any]:
    """What is known of an own model, but for its answers to each recording, which are many."""
    return {key: value for key, value in content.items() if key != "answers"}


@cache
def _shipped(name: str) -> ModelInUse:
    """A model that ships; only its file tells its version."""
    card = load_model(name).card
    return ModelInUse(name, name, card.version, SHIPPED[name], task_of(card))


def task_of(card: ClipCard | RecordingCard) -> str:
    """What a model is for: `RECORDINGS` or `CLIPS`."""
    return RECORDINGS if isinstance(card, RecordingCard) else CLIPS


def for_recordings(model: ModelInUse) -> ModelInUse:
    """Return a model for whole recordings; ClipModelError for another."""
    if model.task != RECORDINGS:
        raise ClipModelError(f"the model {model.name} is for clips; choose one for whole recordings")
    return model


@lru_cache(maxsize=8)
def _card(sha256: str, source: str, calibration: str | None) -> RecordingCard | None:
    """Of the model file with this SHA-256, so that one which has changed is not taken for it."""
    loaded = load_model(source)
    if calibration is not None:
        loaded = with_calibration(loaded, calibration)
    return loaded.card if isinstance(loaded.card, RecordingCard) and loaded.sha256 == sha256 else None
