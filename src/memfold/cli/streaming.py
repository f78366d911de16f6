"""The commands that go on answering: stream and serve."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memfold.cli.options import app
from memfold.display import answer
from memfold.errors import InputError
from memfold.tasks.registry import load

if TYPE_CHECKING:
    from memfold.runtime.pipeline import Pipeline


@app.command()
def stream(
    model: Annotated[Path, typer.Argument(help="A model's folder; or forecast, for the forecaster without a fit.")],
    settings: Annotated[
        list[str],
        typer.Option(
            "--set", metavar="NAME=VALUE ...", help="Of forecast alone: horizon=24 season=24,168 target=load."
        ),
    ] = [],  # noqa: B006
) -> None:
    """Read from standard input and answer at once, until the input ends.

    A generator goes on from a line, a classifier labels it, a translator translates it. A detector of anomalies judges
    readings, as CSV or JSON, in lines of JSON. A recogniser of speech or commands takes an audio file, or raw samples
    (16 bits, little-endian, one channel, at the model's rate), and writes what it hears and when in lines of JSON.
    Text into a model that hears, and sound into one that reads, are refused.

    memfold stream forecast takes readings, as CSV or JSON, and after each forecasts what follows, as memfold forecast.

    Examples: memfold stream model < lines.txt; arecord -f S16_LE -r 16000 | memfold stream model
    """
    from memfold.data.incoming import incoming_lines
    from memfold.formats.directory import read_config
    from memfold.runtime.pipeline import answers_alone, read_pipeline

    lines = _typed_lines() if sys.stdin.isatty() else incoming_lines(sys.stdin.buffer)
    if str(model) == "forecast" and not model.exists():
        _stream_forecasts(lines, settings)
        return
    if settings:
        raise InputError(
            "--set: only memfold stream forecast takes settings; a model has those that it was fitted with"
        )
    config = read_config(model)
    if answers_alone(config):
        pipeline = read_pipeline(model, config)
        for piece in _heard(pipeline) if pipeline.hears else _printed(pipeline, lines):
            answer(piece)
        return
    task = load(model)
    if task.hears:
        _refuse_keyboard()
        for heard in task.listen(sys.stdin.buffer):
            answer(heard, end="\n")
        return
    for line in lines:
        end = ""  # a line that needs no answer, such as a header, gets none
        for piece in task.respond(line):
            answer(piece)
            end = "\n"
        answer(end)


def _stream_forecasts(lines: Iterator[str], settings: Sequence[str]) -> None:
    """Forecast after each reading."""
    from memfold.pretrained.streaming import ForecastStream
    from memfold.tasks.parameters import keywords_of, parse_settings

    forecasts = ForecastStream(**parse_settings(keywords_of(ForecastStream), "stream forecast", settings))
    for line in lines:
        for said in forecasts.push(line):
            answer(f"{json.dumps(said, ensure_ascii=False)}\n")


def _printed(pipeline: "Pipeline[Any]", lines: Iterator[str]) -> Iterator[str]:
    """What a model answers to lines."""
    session = pipeline.open()
    for line in lines:
        yield from session.printed(line)


def _heard(pipeline: "Pipeline[Any]") -> Iterator[str]:
    """What a model hears in the sound on standard input."""
    from memfold.data.audio import listen
    from memfold.data.sound_notes import noting

    _refuse_keyboard()
    session = pipeline.open()
    for block in noting(listen, sys.stdin.buffer, pipeline.rate):
        yield from session.printed(block)
    yield from (f"{json.dumps(heard, ensure_ascii=False)}\n" for heard in session.finish())


def _refuse_keyboard() -> None:
    if sys.stdin.isatty():
        raise InputError("this model hears: give it sound, such as memfold stream DIR < audio.wav")


def _typed_lines() -> Iterator[str]:
    """What somebody types after a prompt, until the end of the input."""
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        yield line.rstrip("\n")


@app.command("serve")
def serve_models(
    models: Annotated[list[str], typer.Argument(metavar="[NAME=]DIR...", help="Folders of models.")],
    host: Annotated[str, typer.Option(help="Address to listen on; another than this machine's takes --tokens.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    tokens: Annotated[
        Path | None,
        typer.Option(help="File with a line for each client: name sha256 [streams] [per-second] [admin]."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="File of the key that signs states, made when it is not there; so they outlive the server."),
    ] = None,
    watch: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds between two looks for a model that was written anew.")
    ] = None,
    cert: Annotated[Path | None, typer.Option(help="Certificate of TLS, in PEM; with --cert-key.")] = None,
    cert_key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
    settings: Annotated[
        list[str],
        typer.Option("--set", metavar="NAME=VALUE", help="Limits, such as streams=2000 idle_seconds=60."),
    ] = [],  # noqa: B006
) -> None:
    """Serve models: whole inputs by HTTP, streams by WebSocket, a page to try them at /.

    POST /v1/models/NAME/predict answers as memfold predict, the WebSocket /v1/models/NAME/stream as memfold stream.
    Without --tokens programs of this machine alone are answered. SIGTERM and Ctrl-C hand the streams' states back,
    SIGHUP has the models read again.

    Example: memfold serve model --port 8000
    """
    from memfold.serve import Limits, serve
    from memfold.tasks.parameters import keywords_of, parse_settings

    limits = Limits(**parse_settings(keywords_of(Limits), "memfold serve", settings))
    serve(
        models,
        host=host,
        port=port,
        tokens=tokens,
        key=key,
        watch=watch,
        certificate=cert,
        private_key=cert_key,
        limits=limits,
    )
