"""A fitted model for other programs: as ONNX, as steps without a loop, or for memfold's runtime."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, get_args

from memfold.errors import InputError
from memfold.files import CONFIG, FolderKind, check_file, check_folder, sha256, write_file, write_folder
from memfold.formats.directory import CARD, ENCODERS, MODEL, PARTS, WEIGHTS, fingerprint, read_config
from memfold.runtime.pipeline import answers_alone, load
from memfold.runtime.recipe import Part, Recipe, Run
from memfold.tasks.registry import load as load_task

if TYPE_CHECKING:
    from memfold.export.onnx_file import Exported
    from memfold.tasks.model import Task
    from memfold.tasks.report import Report

__all__ = ["Export", "Target", "export"]

Target = Literal["onnx", "step", "runtime"]
FOLDER = FolderKind(
    "exported model",
    lambda config: "export" in config,
    frozenset({CONFIG, *ENCODERS, *PARTS}),
)


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        place: the file or the folder.
        parts: of ONNX, in the order in which a caller calls them.
        left_out: what of the model is not in there, in words.
        scores: of the model, and of it with the exported parts in place of its network; none where no data was given.
    """

    place: Path
    parts: Sequence["Exported"]
    left_out: Sequence[str]
    scores: "Mapping[str, Report]"

    def lines(self) -> list[str]:
        """What was written, for a person to read."""
        lines = [
            f"{part.part}: {part.nodes} nodes, {len(part.content) / 1e6:.2f} MB, exported in {part.seconds:.1f} s; "
            f"largest difference from the model {part.difference:.1g}"
            for part in self.parts
        ]
        lines += [f"not in there: {what}" for what in self.left_out]
        return [*lines, f"written to {self.place}"]

    def as_json(self) -> dict[str, Any]:
        """The same as one object."""
        parts = [
            {
                "name": part.part,
                "nodes": part.nodes,
                "bytes": len(part.content),
                "seconds": round(part.seconds, 2),
                "difference": part.difference,
            }
            for part in self.parts
        ]
        scores = {name: report.as_json()["metrics"] for name, report in self.scores.items()}
        return {"out": str(self.place), "parts": parts, "left_out": list(self.left_out), "scores": scores}


def export(
    model: "Task | Part | str | Path",
    to: str,
    out: str | Path,
    *,
    check: Any = None,
    name: str = "",
    scoring: Mapping[str, Any] | None = None,
) -> Export:
    """Write a model for other programs; nothing is written unless it answers as the model does.

    Args:
        model: fitted, or its folder; or a module as a `memfold.runtime.Part`, for which ``runtime`` is nothing.
        to: ``onnx`` (one file; a folder where a model has several parts, or needs other files), ``step`` (the same for
            one step, without loops and recurrent nodes, its state going in and out) or ``runtime`` (a folder for
            `memfold.runtime.load`).
        out: the file or folder.
        check: data on which to score what was exported beside the model.
        name: of that data, for the scores.
        scoring: what ``evaluate`` should know of it.

    Raises:
        InputError: the model has no such form, or what was exported answers otherwise.
    """
    if to not in get_args(Target):
        raise InputError(f"export to {to!r}; there is {', '.join(get_args(Target))}")
    out = Path(out)
    task: Task | None = None
    if isinstance(model, Part):
        recipe = Recipe("module", [model], steps=[model])
        if to == "runtime" or check is not None:
            raise InputError("a module by itself has no form for memfold's runtime, and is not scored")
    elif to == "runtime":
        return _to_runtime(model, out, None if check is None else (check, name, scoring or {}))
    else:
        task = load_task(Path(model)) if isinstance(model, str | Path) else model
        recipe = task.recipe()
    parts = recipe.steps if to == "step" else recipe.parts
    if task is not None and not parts:
        raise InputError(f"a {task.name} model cannot go step by step: {recipe.no_steps}")
    single = len(parts) == 1 and not recipe.files
    _check_place(out, single, [part.name for part in parts], recipe)
    from memfold.export.onnx_file import exported

    about = {"task": recipe.task, "recipe": json.dumps(_described(recipe), ensure_ascii=False)}
    if isinstance(model, str | Path):
        about["model"] = sha256(Path(model) / WEIGHTS)
    done = [exported(part, step=to == "step", about=about) for part in parts]
    scores = {}
    if task is not None and check is not None:
        scores = _scores(task, _through(task, recipe, done, to), (check, name, scoring or {}))
    if single:
        write_file(out, lambda aside: _write(aside, done[0].content))
    else:
        write_folder(out, FOLDER, lambda aside: _fill(aside, to, recipe, done, about))
    return Export(out, done, recipe.left_out, scores)


def _check_place(out: Path, single: bool, names: Sequence[str], recipe: Recipe) -> None:
    if single:
        if out.suffix != ".onnx":
            raise InputError(f"{out}: expected the name of a file that ends in .onnx")
        check_file(out)
        return
    if out.suffix == ".onnx":
        what = [*(f"{name}.onnx" for name in names), *recipe.files]
        raise InputError(f"{out}: a {recipe.task} model is exported to a folder, with {', '.join(what)} in it")
    check_folder(out, FOLDER)


def _described(recipe: Recipe) -> dict[str, Any]:
    return {"task": recipe.task, "around": dict(recipe.around), "left_out": list(recipe.left_out)}


def _write(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def _fill(folder: Path, to: str, recipe: Recipe, parts: "Sequence[Exported]", about: Mapping[str, str]) -> None:
    for part in parts:
        _write(folder / f"{part.part}.onnx", part.content)
    for name, content in recipe.files.items():
        _write(folder / name, content)
    config = {"export": to, "model": about.get("model"), **_described(recipe), "parts": [part.part for part in parts]}
    (folder / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


# -- scores of what was exported ------------------------------------------------------------------------------


Data = tuple[Any, str, Mapping[str, Any]]  # what `evaluate` takes: examples, their name, and options


def _through(task: "Task", recipe: Recipe, parts: "Sequence[Exported]", to: str) -> "Task":
    from memfold.export.stepped import stepped
    from memfold.runtime.onnx_part import run_of

    runs: dict[str, Run] = {part.part: run_of(part.content) for part in parts}
    return task.through(stepped(recipe, runs) if to == "step" else runs)


def _scores(task: "Task", exported: "Task", data: Data) -> "dict[str, Report]":
    check, name, scoring = data
    models = {"the model": task, "exported": exported}
    return {which: one.evaluate(check, name, **scoring) for which, one in models.items()}


# -- for memfold's runtime ------------------------------------------------------------------------------------


def _to_runtime(model: "Task | str | Path", out: Path, data: Data | None) -> Export:
    """A model's folder, with exported parts in it where it does not answer by NumPy and the engine alone."""
    if not isinstance(model, str | Path):
        with TemporaryDirectory() as folder:
            model.save(Path(folder) / "model")
            return _to_runtime(Path(folder) / "model", out, data)
    path = Path(model)
    config = read_config(path)
    check_folder(out, MODEL)
    if (out / CONFIG).exists() and sha256(out / WEIGHTS) != sha256(path / WEIGHTS):
        raise InputError(f"{out}: holds another model; choose another folder")
    task = load_task(path)
    done: list[Exported] = []
    written: Task | None = None
    if not answers_alone(config):
        from memfold.export.onnx_file import exported

        recipe = task.recipe()
        done = [exported(part) for part in recipe.parts]
        written = _through(task, recipe, done, "onnx")
    write_folder(out, MODEL, lambda aside: _copy(path, aside, config, done))
    if written is None:
        load(out)
        written = load_task(out)
    return Export(out, done, (), {} if data is None else _scores(task, written, data))


def _copy(path: Path, aside: Path, config: Mapping[str, Any], parts: "Sequence[Exported]") -> None:
    for name in config["files"]:
        shutil.copyfile(path / name, aside / name)
    if (path / CARD).is_file():
        shutil.copyfile(path / CARD, aside / CARD)
    files = dict(config["files"])
    for part in parts:
        file = aside / f"{part.part}.onnx"
        _write(file, part.content)
        files[file.name] = fingerprint(file)
    text = json.dumps({**config, "files": files}, indent=2, ensure_ascii=False)
    (aside / CONFIG).write_text(text + "\n", encoding="utf-8")
