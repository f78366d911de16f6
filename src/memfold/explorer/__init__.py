"""The explorer: a page in which a trained network is live, every number of it open, and any gate can be held.

`explore` writes the lesson with its own small models, or a page of a person's model. The page is one file, works
without a network, and computes everything that it says while it is looked at. ``parts/cells.js`` has the cells in
float64, which tests hold equal to `memfold.cells`; ``strings.json`` is the table of its words in both languages.
"""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from memfold.data.texts import read_text
from memfold.errors import InputError
from memfold.explorer.own import own_model
from memfold.explorer.page import page
from memfold.files import check_file, write_file

__all__ = ["LESSON", "explore", "lesson_models"]

LESSON = ("prose", "poems", "counter", "taxi", "rnn")  # the lesson's models, in the order in which the page lists them
FIRST = {"en": "prose", "zh": "poems"}  # what a page opens with, by its language
MOST_CHARACTERS = 400  # of a text that the page reads; parts/state.js has the same number


def explore(
    out: str | Path,
    model: str | Path | None = None,
    *,
    text: str | Path | None = None,
    language: str = "en",
    guides: str | None = None,
) -> Path:
    """Write the page; returns its path.

    Args:
        out: file to write, whose name ends in .html.
        model: folder of a fitted generator of characters, classifier of texts, detector or forecaster; the lesson's own
            models when None.
        text: file that the page opens with: the first 400 characters of a text, of a classifier a text a line, of a
            detector its readings, of a forecaster (which needs it) its table.
        language: that it opens in, ``en`` or ``zh``; a button in the page changes it.
        guides: address of the guides' pages, which the page then links to, such as ``guide/``.

    Raises:
        InputError: a name, folder, file or language that does not fit, or a model of another kind.
    """
    out = Path(out)
    if language not in FIRST:
        raise InputError(f"--lang {language}: there is en and zh")
    if out.suffix not in (".html", ".htm"):
        raise InputError(f"{out}: expected a name that ends in .html")
    check_file(out)
    file = None if text is None else Path(text)
    models = [own_model(Path(model), file)] if model else _lesson(file, FIRST[language])
    tour = None if model else 0 if text is not None else 1
    written = page(models, language, tour=tour, guides=guides)
    write_file(out, lambda aside: _write(aside, written))
    return out


def lesson_models() -> list[dict[str, Any]]:
    """The lesson's models as a page holds them; ``benchmarks/lesson.py`` trains and writes them."""
    folder = files("memfold.explorer") / "models"
    return [json.loads((folder / f"{name}.json").read_text("utf-8")) for name in LESSON]


def _lesson(file: Path | None, name: str) -> list[dict[str, Any]]:
    """The lesson's models, the one of a name first, or of a text the one that knows most of its characters."""
    models = lesson_models()
    if file is None:
        return sorted(models, key=lambda model: model["name"] != name)
    text = read_text(file)
    known = {model["name"]: sum(character in model.get("characters", "") for character in text) for model in models}
    models.sort(key=lambda model: model["name"] != max(known, key=known.__getitem__))
    shown = text[:MOST_CHARACTERS]
    models[0]["hero"] |= {"text": shown, "step": len(shown) - 1}
    return models


def _write(path: Path, written: str) -> None:
    path.write_text(written, encoding="utf-8")
