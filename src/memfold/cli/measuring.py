"""The commands that measure: bench the speed, lab what gates are for."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from memfold.cli.options import Json, PageLanguage, app
from memfold.display import Terminal, point_table
from memfold.errors import InputError


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="layers, stream, train, bfloat16, series, busy or tasks")],
    budget: Annotated[
        str | None, typer.Option(help="series only: time to train for each model; 60s when not given.")
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compiled", help="tasks only: torch.nn's network compiled as well, some minutes more.")
    ] = False,
    in_bfloat16: Annotated[
        bool, typer.Option("--bfloat16", help="busy only: the layer and torch.nn's under torch.autocast.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Time memfold beside the peers that are installed, in one run of some minutes; above a ratio of 1 it is faster.

    layers and stream are inference, train is forward and backward and a whole training step. The peers are torch.nn and
    JAX, for inference also ONNX Runtime and Keras, for training loops in torch's operators, eager and compiled.
    bfloat16 is both under torch.autocast, beside torch.nn under it and in float32. series fits the forecaster and
    neuralforecast's LSTM to @m4-hourly in the same time, and scores both. busy times a layer while other programs take
    the cores, beside the same on one thread and torch.nn. tasks times a training step of every task beside the same
    network on torch.nn, in float32 and in bfloat16.

    Example: memfold bench stream
    """
    from memfold.bench import BENCHMARKS

    if name not in BENCHMARKS:
        raise InputError(f"no benchmark {name!r}; there is {', '.join(BENCHMARKS)}")
    if budget is not None and name != "series":
        raise InputError(f"--budget: {name} trains no model; only series does")
    if compiled and name != "tasks":
        raise InputError(f"--compiled: {name} has no such peer; only tasks has")
    if in_bfloat16 and name != "busy":
        raise InputError(f"--bfloat16: {name} takes no precision; only busy does")
    options: dict[str, Any] = {} if budget is None else {"budget": budget}
    options |= {"compiled": True} if compiled else {}
    options |= {"bfloat16": True} if in_bfloat16 else {}
    results = BENCHMARKS[name](**options)
    if as_json:
        print(json.dumps(results))
        return
    Terminal().print(point_table(results["points"], name))


@app.command()
def lab(
    name: Annotated[str, typer.Argument(help="adding, copy, order, timing, reber, pixels or gradient")],
    lags: Annotated[str | None, typer.Option(help="Lags to try, such as 100,200,400,800.")] = None,
    cells: Annotated[str | None, typer.Option(help="Of rnn,lstm,peephole,gru; all of them when not given.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Trainings of each; 1 when not given.")] = None,
    budget: Annotated[str | None, typer.Option(help="Time of each training at most, such as 2m.")] = None,
    init: Annotated[str | None, typer.Option(help="First weights: chrono, memfold, torch or orthogonal.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate; not for gradient.")] = None,
    forget_bias: Annotated[
        float | None, typer.Option(help="gradient only: bias of the gate that keeps the state.")
    ] = None,
    scale: Annotated[float | None, typer.Option(min=0.0, help="gradient only: deviation of the inputs.")] = None,
    orders: Annotated[str | None, typer.Option(help="pixels only: sequential,permuted or one of them.")] = None,
    out: Annotated[Path | None, typer.Option(help="Page to write with the table and the curves, in HTML.")] = None,
    lang: PageLanguage = "en",
    as_json: Json = False,
) -> None:
    """Show what gates are for: plain RNN, LSTM, peephole LSTM and GRU on tasks whose answer lies far back.

    adding, copy, order, timing and reber are the classical puzzles, over growing lags, each training ended as soon as
    the puzzle is solved. pixels reads MNIST's digits pixel by pixel. gradient measures how far a gradient reaches back.
    Where a paper reports another result than this run, that is printed. Seeds are fixed.

    Example: memfold lab adding --lags 100,200,400,800 --out adding.html
    """
    from memfold.files import check_file
    from memfold.lab import run_lab
    from memfold.words import Words

    Words(lang)  # refuse another one before anything is trained
    if out is not None:
        check_file(out)
    options: dict[str, Any] = {"lags": lags, "cells": cells, "seeds": seeds, "budget": budget, "init": init, "lr": lr}
    options |= {"forget_bias": forget_bias, "scale": scale, "orders": orders}
    record = run_lab(name, **{option: value for option, value in options.items() if value is not None})
    if out is not None:
        from memfold.lab.report import write_record

        write_record(out, record, lang)
    if as_json:
        print(json.dumps(record.as_json()))
        return
    Terminal().print(record.table())
    for finding in record.findings:
        print(finding)
