"""A person's own model for the page: a fitted generator of characters, rounded to 8 bits, with what that costs."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from memfold.errors import InputError
from memfold.explain.units import find_units, text_features
from memfold.explorer.packing import CharacterModel
from memfold.formats.directory import read_config
from memfold.runtime.pipeline import read_pipeline
from memfold.runtime.writing.writing import Writing

__all__ = ["character_model", "own_model"]

SCORED = 3000  # characters of the text that scores and units are taken from
SAMPLE = 1500  # characters that the model writes itself, where no text is given
WITHIN = 100  # characters within which a sign is counted


def own_model(folder: Path, text: str | None) -> dict[str, Any]:
    """The model in a folder as a page holds it.

    Args:
        text: that its scores and the first unit are taken from; when None, what the model itself writes.

    Raises:
        InputError: the folder holds no model, or one that is no generator of characters.
    """
    config = read_config(folder)
    if config["task"] != "generate":
        raise InputError(
            f"{folder}: its task is {config['task']}; memfold explore shows generators, memfold explain all models"
        )
    pipeline = read_pipeline(folder, config)
    assert isinstance(pipeline, Writing)
    model = character_model(pipeline, folder)
    read = text if text is not None else "".join(pipeline.answer("", SAMPLE, seed=0))
    scored = read[:SCORED]
    if len(scored) < 2:
        raise InputError("--text: two characters are the least")
    page = model.packed()
    facts: dict[str, Any] = {
        "kind": "own",
        "folder": folder.resolve().name,
        "units": model.hidden_size,
        "parameters": f"{model.parameters:,}",
        "nats": model.nats(scored),
        "packed": CharacterModel.unpacked(page).nats(scored),
        "scored": "given" if text is not None else "written",
    }
    mixture = pipeline.mixture
    if mixture.share > 0:
        facts["left"] = [{"name": "ngram", "order": mixture.ngram.order, "share": f"{mixture.share:.0%}"}]
    shown = scored[:400]
    layer = len(model.layers) - 1
    hero = {
        "text": shown,
        "step": len(shown) - 1,
        "layer": layer,
        "unit": _unit(model, scored),
        "value": "c",
        "held": 0,
    }
    hero["event"] = {"kind": "sign", "signs": _sign(scored), "within": WITHIN}
    return {**page, "name": folder.resolve().name, "hero": hero, "facts": facts, "probe": scored, "temperature": 1}


def character_model(pipeline: Writing, folder: Path) -> CharacterModel:
    """The network of a generator.

    Raises:
        InputError: it reads subwords.
    """
    characters = pipeline.settings.characters
    if characters is None:
        raise InputError(f"{folder}: reads subwords; the page reads characters, as a fit with tokens=characters does")
    layers = [
        (layer.cell, {name: np.asarray(weight) for name, weight in layer.weights.items()}) for layer in pipeline.layers
    ]
    if pipeline.projection is None:
        return CharacterModel(characters, pipeline.embedding, layers, pipeline.output, pipeline.bias)
    projection = pipeline.projection["weight"], pipeline.projection["bias"]
    return CharacterModel(characters, pipeline.embedding, layers, None, pipeline.bias, projection)


def _unit(model: CharacterModel, text: str) -> int:
    """The unit of the last layer that follows something in the text best, by the first half of it; 0 if none does."""
    found = find_units(model.values(text)[-1]["c"], text_features(text))
    best = max(found, key=lambda f: abs(2 * f.found - 1) if f.kind == "auc" else abs(f.found), default=None)
    return 0 if best is None else best.unit


def _sign(text: str) -> str:
    """The sign to count: the quotation mark where there is one, else the most frequent sign that is no letter."""
    signs = Counter(character for character in text if not (character.isalnum() or character == " "))
    if '"' in signs:
        return '"'
    return signs.most_common(1)[0][0] if signs else Counter(text).most_common(1)[0][0]
