"""The command that writes a model for other programs: export."""

import json
from pathlib import Path
from typing import Annotated

import typer

from memfold.cli.options import Json, app
from memfold.display import Terminal, answer, score_table
from memfold.tasks.registry import load


@app.command("export")
def export_model(
    model: Annotated[Path, typer.Argument(help="A model's folder.")],
    to: Annotated[str, typer.Option(metavar="onnx|step|runtime", help="What to write.")],
    out: Annotated[
        Path, typer.Option(help="File that ends in .onnx; a folder for runtime, and where a model has several parts.")
    ],
    check: Annotated[
        list[str] | None,
        typer.Option(metavar="DATA", help="Data to score what was exported on, beside the model. Once for each file."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a model for other programs, checked: what answers otherwise than the model is not written.

    onnx is for any program with ONNX Runtime; batch, time, height and width are free. step takes one step, its state
    going in and out, without loops and recurrent nodes, for phones and chips. runtime is a folder by which memfold
    answers where there is no PyTorch; translators and models of pictures then need ONNX Runtime. What of the model is
    in no file is said.

    Example: memfold export model --to onnx --out model.onnx --check later.csv
    """
    from memfold.export import export

    name, data, scoring = " ".join(check or ()), None, None
    if check:
        task = load(model)
        if task.known_set(check):
            parts = task.parts(check)
            data, scoring = parts.test, parts.scoring
        else:
            data = task.read_files(check)
    done = export(model, to, out, check=data, name=name, scoring=scoring)
    if as_json:
        print(json.dumps(done.as_json()))
        return
    for line in done.lines():
        answer(f"{line}\n")
    if done.scores:
        better = next(iter(done.scores.values())).better
        scores = {name: report.metrics for name, report in done.scores.items()}
        Terminal().print(score_table(scores, name, better))
