"""The commands that say what there is: params, info, doctor and data."""

import json
from pathlib import Path
from typing import Annotated

import typer

from memfold.cli.options import Json, TaskName, app, data_app
from memfold.display import Terminal, answer, plain
from memfold.tasks.registry import task_class


@app.command()
def params(task: TaskName, as_json: Json = False) -> None:
    """List a task's parameters with their defaults, meanings and, where a search makes sense, ranges.

    Example: memfold params forecast
    """
    from memfold.tasks.parameters import parameter_lines, parameters_of

    kind = task_class(task)
    if as_json:
        print(json.dumps([p.as_json() for p in parameters_of(kind)]))
        return
    print(parameter_lines(kind))


@app.command()
def info(model: Annotated[Path, typer.Argument(help="A model's folder.")], as_json: Json = False) -> None:
    """Show a model's card: what it was fitted to, how, its scores beside the baselines, and its parameters.

    Example: memfold info model
    """
    from rich.markdown import Markdown

    from memfold.formats.directory import CARD, read_config

    config = read_config(model)
    size = sum(file["bytes"] for file in config["files"].values())
    if as_json:
        kept = {name: config.get(name) for name in ("task", "format", "memfold", "torch", "parameters", "plan")}
        print(json.dumps({**kept, "bytes": size}))
        return
    card = model / CARD
    text = (
        card.read_text(encoding="utf-8", errors="replace") if card.is_file() else f"# A memfold {config['task']} model"
    )
    console = Terminal()
    console.print(Markdown(plain(text)))
    parameters = config.get("parameters", {}) | config.get("plan", {})
    changed = ", ".join(f"{name}={value}" for name, value in parameters.items())
    console.print(f"{size / 1e6:.1f} MB; parameters: {changed}", highlight=False)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is installed and what is missing: packages, instruction set, threads, tasks, and what to install.

    Nothing is imported for it but the engine. Known sets are read from the folder that MEMFOLD_DATA names, else from
    the cache that is printed. A task can answer with fewer packages than it takes to fit one.

    Example: memfold doctor
    """
    from memfold.doctor import examine

    examination = examine()
    if as_json:
        print(json.dumps(examination.as_json()))
        return
    for line in examination.lines():
        answer(f"{line}\n")


@data_app.command("list")
def data_list() -> None:
    """List the known data sets.

    Example: memfold data list
    """
    from memfold.data.datasets import DATASETS

    for dataset in DATASETS.values():
        print(f"@{dataset.name:<16} {dataset.task:<10} {dataset.what} [{dataset.licence}]")


@data_app.command("get")
def data_get(name: Annotated[str, typer.Argument(help="A name from memfold data list.")]) -> None:
    """Download a data set unless it is there already, and print its folder.

    Example: memfold data get m4-hourly
    """
    from memfold.data.datasets import find

    answer(f"{find(name.removeprefix('@'))}\n")
