"""A person's own model for the page, rounded to 8 bits, with what that costs and what is left out.

A generator of characters writes, a classifier of texts says the class of what is typed, a detector is shown over the
readings that it was given, a forecaster over a window of a series.
"""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from memfold.data.texts import read_text
from memfold.errors import InputError
from memfold.explain.units import find_units, text_features
from memfold.explorer.forecaster import forecaster_page
from memfold.explorer.packing import CharacterModel, GivenModel, WordModel
from memfold.formats.directory import read_config
from memfold.runtime.monitoring.features import Features
from memfold.runtime.monitoring.watching import Watching
from memfold.runtime.pipeline import read_pipeline
from memfold.runtime.texts.labelling import Labelling
from memfold.runtime.texts.tokens import tokens
from memfold.runtime.writing.writing import Writing

__all__ = ["character_model", "classifier_page", "detector_page", "own_model"]

SHOWN = ("generate", "sentiment", "anomaly", "forecast")  # the tasks of models that the page shows
READINGS = 400  # of a series that the page shows
SCORED_LINES = 200  # texts on which a classifier of the page is compared with the whole model
TABLE = 450_000  # numbers in the table of a classifier's words, a byte each
EXAMPLE = "It was not bad at all, but much too long."
SCORED = 3000  # characters of the text that scores and units are taken from
SAMPLE = 1500  # characters that the model writes itself, where no text is given
WITHIN = 100  # characters within which a sign is counted


def own_model(folder: Path, file: Path | None) -> dict[str, Any]:
    """The model in a folder as a page holds it.

    Args:
        file: with the text that its scores and the first unit are taken from, of a forecaster a table of series; when
            None, what the model itself writes.

    Raises:
        InputError: the folder holds no model, or one of another task, or a text that does not fit it.
    """
    config = read_config(folder)
    if config["task"] not in SHOWN:
        shown = ", ".join(SHOWN)
        raise InputError(
            f"{folder}: its task is {config['task']}; memfold explore shows {shown}, memfold explain all models"
        )
    if config["task"] == "forecast":
        return forecaster_page(folder, file)
    text = None if file is None else read_text(file)
    pipeline = read_pipeline(folder, config)
    if isinstance(pipeline, Watching):
        return detector_page(pipeline, folder, text)
    if isinstance(pipeline, Labelling):
        return classifier_page(pipeline, folder, text)
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


def detector_page(pipeline: Watching, folder: Path, text: str | None) -> dict[str, Any]:
    """A detector over readings: the last lines of a text, or the end of what it was trained on.

    Raises:
        InputError: no readings, or a detector without a network of its own.
    """
    its = pipeline.settings
    if its.cold:
        raise InputError(f"{folder}: the bundled forecaster is in the place of its network, so there is none to show")
    if text is not None:
        session = pipeline.open()
        read = [reading for line in text.splitlines() if (reading := session.lines.read(line))]
        name = read[0].name if read else ""
        points = [(reading.time, reading.values) for reading in read if reading.name == name]
    else:
        points = list(its.history[0].points()) if its.history else []
    points = [
        (time, values) for time, values in points if not any(map(math.isnan, values))
    ]  # the page shows whole rows
    if len(points) < 3:
        raise InputError("--text: three readings are the least" if text else f"{folder}: give it readings by --text")
    features = Features(its.size, its.history[0].day if its.history else 0)
    rows, level, unit = [], [], []
    for k, (_, values) in enumerate(points):
        features.add(values)
        following = points[k + 1][0] if k + 1 < len(points) else 2 * points[k][0] - points[k - 1][0]
        rows.append(features.next(following))
        level.append(features.scales[0].level)
        unit.append(features.scales[0].unit)
    shown = slice(-READINGS, None)
    (layer,) = pipeline.layers
    head = pipeline.head["weight"][:1], pipeline.head["bias"][:1]  # what is expected of the first variable
    weights = {name: np.asarray(weight) for name, weight in layer.weights.items()}
    y = np.array([values[0] for _, values in points])[shown]
    arrays = np.array(rows)[shown], np.array(level)[shown], np.array(unit)[shown]
    model = GivenModel([(layer.cell, weights)], *head, *arrays, y)
    page = model.packed()
    facts = {
        "kind": "detector",
        "folder": folder.resolve().name,
        "units": its.hidden_size,
        "parameters": f"{sum(w.size for w in (*weights.values(), *head)):,}",
        "pieces": len(y),
        "variable": its.variables[0],
        "error": f"{model.error():.4g}",
        "packed_error": f"{GivenModel.unpacked(page).error():.4g}",
        "left": [{"name": "alarms"}],
    }
    hero = {"text": "", "step": len(y) // 4, "layer": 0, "unit": 0, "value": "c", "held": 0, "event": None}
    name = folder.resolve().name
    corpus = "\n".join(page["given"]["pieces"])
    return {**page, "name": name, "hero": hero, "facts": facts, "probe": "", "corpus": corpus, "temperature": 1}


def classifier_page(pipeline: Labelling, folder: Path, text: str | None) -> dict[str, Any]:
    """A classifier's first network, with the most frequent of its words.

    Args:
        text: a text a line, on which its classes are compared with the whole model's; the page opens with the first.
    """
    its = pipeline.settings
    network = pipeline.networks[0]
    kept = its.vocabulary[: max(1, TABLE // its.width - 1)]  # the vocabulary is in the order of frequency
    kinds = pipeline.encoder.kinds(kept)
    alone = np.array([row[0] if len(row) == 1 else 0 for row in kinds.rows])
    table = np.concatenate([network.words[:1], network.embedded(kinds, alone)])
    table[1:][alone == 0] = network.words[1 : len(kept) + 1][alone == 0]
    layers = [(cell, {name: np.asarray(w) for name, w in weights.items()}) for cell, weights in network.layers]
    model = WordModel(kept, table, layers, network.attention, network.out, its.classes)
    page = model.packed()
    rounded = WordModel.unpacked(page)
    facts: dict[str, Any] = {
        "kind": "classifier",
        "folder": folder.resolve().name,
        "units": its.hidden_size,
        "parameters": f"{model.parameters:,}",
        "left": [
            {"name": "words", "kept": f"{len(kept):,}", "all": f"{len(its.vocabulary):,}"},
            {"name": "halves", "share": f"{its.blend.share:.0%}", "members": its.members - 1},
        ],
    }
    lines = [line for line in (text or "").splitlines() if tokens(line)][:SCORED_LINES]
    if lines:
        whole = [answer["label"] for answer in pipeline.answer(lines)]
        labels = [rounded.label(tokens(line)[: its.max_length]) for line in lines]
        same = sum(one == label for one, label in zip(labels, whole, strict=True))
        facts |= {"agrees": {"lines": len(lines), "same": same}}
    shown = lines[0] if lines else EXAMPLE
    probe = " ".join(lines)[:SCORED] if lines else shown
    hero = {"text": shown, "step": 0, "layer": 0, "unit": 0, "value": "c", "held": 0, "event": None}
    return {**page, "name": folder.resolve().name, "hero": hero, "facts": facts, "probe": probe, "temperature": 1}
