"""The command line: parses, calls, prints. PyTorch is imported by the commands that need it, not by ``--help``."""

import errno
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.exceptions import Abort, TyperException

from memfold.display import Terminal, answer, plain, point_table, say, score_table, show_read
from memfold.errors import InputError
from memfold.extras import extra_of, install, task_in
from memfold.tasks.registry import TASKS, load, task_class

if TYPE_CHECKING:
    import polars as pl

    from memfold.runtime.pipeline import Pipeline
    from memfold.tasks.report import Report
    from memfold.tasks.updating.outcome import Outcome

__all__ = ["app", "run"]

app = typer.Typer(
    name="memfold",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(
    help="Data sets known by name.\n\nExample: memfold data list",
    epilog="A set is read from $MEMFOLD_DATA/NAME where that folder exists, and else downloaded once.",
)
app.add_typer(data_app, name="data")

# Below the commands in `memfold --help`; tests/test_first_minutes.py holds every line to what the program does.
FIRST_MINUTES = """\b
Every parameter of a task: memfold params TASK
Known sets (@NAME): read from $MEMFOLD_DATA/NAME, or else downloaded once
Threads: one for each core, or as many as OMP_NUM_THREADS says
A training that was killed: the same command and --resume continue it
Systems: Linux on x86-64 and on 64-bit ARM
To add a cell: docs/engine.md, "A new cell"
"""

# How torch, the loader of libraries and others say that there is no memory left; they have no error of their own.
NO_MEMORY = r"can't allocate memory|bad_alloc|out of memory|annot allocate memory|failed to map segment"

SUBTITLES = (".srt", ".vtt")

PageLanguage = Annotated[str, typer.Option(help="Language of the page: en or zh.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")]


def _tasks(incomplete: str) -> list[str]:
    return [name for name in TASKS if name.startswith(incomplete)]


def _known_sets(incomplete: str) -> list[str]:
    from memfold.data.datasets import DATASETS

    return [f"@{name}" for name in DATASETS if f"@{name}".startswith(incomplete)] if incomplete[:1] == "@" else []


Set = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="NAME=VALUE ...",
        help="Parameters of the task, such as hidden_size=64; memfold params TASK lists them.",
    ),
]
Data = Annotated[
    list[str], typer.Argument(help="Files, folders, or @NAME of a known data set.", autocompletion=_known_sets)
]
TaskName = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help=f"{', '.join(list(TASKS)[:-1])} or {list(TASKS)[-1]}",
        autocompletion=_tasks,
    ),
]


def run() -> int:
    """Run the command line and return its exit code: 0 done, 2 wrong usage or bad input, 3 files failed in a bulk
    run, 130 interrupted."""
    arguments = spread_settings(sys.argv[1:]) or ["--help"]
    try:
        code = app(args=arguments, prog_name="memfold", standalone_mode=False) or 0
        if arguments[0] == "fit" and {"--help", "-h"} & set(arguments):
            _print_parameters(next((word for word in arguments[1:] if word in _tasks("")), None))
        sys.stdout.flush()  # whatever a full disk refuses is said here, and not when Python ends
        return code
    except InputError as error:
        say(f"memfold: {error}")
        return 2
    except TyperException as error:
        say(f"memfold: {error.format_message()}")
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("memfold"):  # a fault of ours
            raise
        extra = extra_of(error.name or "", task_in(error.__traceback__))
        remedy = f"pip install {error.name}" if extra is None else install([extra])
        say(f"memfold: this needs {error.name}, which is not installed: {remedy}")
        return 2
    except (KeyboardInterrupt, Abort):
        say("memfold: interrupted")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:
        if not (lacks := _lack(error)):
            raise
        say(f"memfold: {lacks}")
        return 2


def _lack(error: BaseException) -> str:
    """What the machine ran out of, in words; empty for any other error."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        _let_go_of_output()
        return f"cannot be written ({error}); make room"
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return f"too many files are open ({error}); raise the limit, ulimit -n"
    short = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    if short or re.search(NO_MEMORY, str(error)):
        return "the memory that there is was not enough; give less data at once, or a smaller model or batch"
    return ""


def _let_go_of_output() -> None:
    """Have Python not try again, when it ends, to write what could not be written."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def spread_settings(arguments: Sequence[str]) -> list[str]:
    """Arguments with ``--set`` before each of several settings that follow one; a file's name is none.

    >>> spread_settings(["evaluate", "model", "--set", "origins=8", "origin_step=24", "data.csv"])
    ['evaluate', 'model', '--set', 'origins=8', '--set', 'origin_step=24', 'data.csv']
    """
    spread: list[str] = []
    setting = False  # whether the word before is one, or --set
    for word in arguments:
        follows = setting and spread[-1] != "--set"
        if follows and re.match(r"[a-z]\w*=", word) and not Path(word).exists():
            spread += ["--set", word]
            continue
        setting = word == "--set" or (setting and spread[-1] == "--set")
        spread.append(word)
    return spread


def _print_parameters(task: str | None) -> None:
    """The parameters of a task, below the help of ``fit``; without a task, where to find them."""
    if task is None:
        print("Each task has its own parameters: memfold fit TASK --help, or memfold params TASK.")
        return
    from memfold.tasks.parameters import parameter_lines

    print(f"Parameters of {task}, by --set NAME=VALUE:\n")
    print(parameter_lines(task_class(task)))


@app.callback(invoke_without_command=True, epilog=FIRST_MINUTES)
def main(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
) -> None:
    """Recurrent networks on your own data.

    Example: memfold demo
    """
    if version:
        from memfold import __version__

        print(f"memfold {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        raise typer.BadParameter("no command given; memfold --help lists them")


@app.command()
def demo(
    budget: Annotated[str, typer.Option(help="Time to train, such as 60s, or epochs such as 20ep.")] = "60s",
    out: Annotated[Path, typer.Option(help="Folder for the report and the model.")] = Path("demo"),
    lang: PageLanguage = "en",
    as_json: Json = False,
) -> None:
    """Forecast births, watch taxi demand, look at a memory: a minute of training, and a report in demo/report.html.

    Beside it demo/lesson.html is written, a page with a live network that shows what an LSTM is.

    Example: memfold demo
    """
    from memfold.demo import run_demo

    summary = run_demo(budget, out, quiet=as_json, lang=lang)
    if as_json:
        print(json.dumps(summary))


@app.command()
def fit(
    task: TaskName,
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    budget: Annotated[str, typer.Option(help="Time to train, such as 90s, 3m or 1h, or epochs such as 20ep.")] = "3m",
    valid: Annotated[
        list[str] | None,
        typer.Option(help="Data to validate on; else a part of the training data. Once for each file."),
    ] = None,
    settings: Set = [],  # noqa: B006
    members: Annotated[
        int | None,
        typer.Option(metavar="N", help="Networks to train side by side and average; as --set members=N."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the initial weights, the order of the data and dropout.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the unfinished training in --out.")] = False,
    earlier: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="DIR", help="Go on from the weights of this model; classes and vocabulary may grow."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished model in --out.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what was read, the plan and what a fit would take, and stop.")
    ] = False,
    plan: Annotated[
        Path | None,
        typer.Option(help="Plan to take in place of a new one: what fit --json printed, or a model's folder."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Fit a model to your data and score it once on a part that was held out.

    What the plan chooses by looking at the data and the machine is printed first; --set wins over it.

    Held out are the test part that a data set has itself, or else the last horizon of each series, what follows a
    detector's warm-up, the end of a text, a tenth of the examples or of their speakers.

    With --from DIR the training goes on from that model. Its old data is given again where it still is (--set old=PATH
    says where, old=none leaves it out), what it reads is scaled as before (unless --set rescale=true), and both models
    are scored on what was held out of the old data and of the new.

    Example: memfold fit forecast sales.csv --out model --budget 3m --set horizon=14
    """
    from memfold.budget import Budget
    from memfold.formats.directory import check_place
    from memfold.tasks.contest import ANSWER
    from memfold.tasks.members import members_setting
    from memfold.tasks.parameters import parameters_of, parse_settings
    from memfold.tasks.planning import read_plan
    from memfold.tasks.updating.command import Update, run_update

    kind = task_class(task)
    if earlier is not None:
        if plan is not None:
            raise InputError(f"--plan: with --from the plan is that of {earlier}; leave --plan out")
        settings = settings if members is None else [*settings, members_setting(task, members, settings)]
        asked = Update(task, data, earlier, out, budget, valid, settings, seed, resume, overwrite, dry_run)
        code, report, compared = run_update(asked)
        _print_update(report, compared, as_json)
        return code
    given = None if plan is None else read_plan(plan)
    settable = {p.name: p.hint for p in parameters_of(kind) if p.name != "seed"}
    if members is not None:
        settings = [*settings, members_setting(task, members, settings)]
    model = kind(**{**kind.known_parameters(data), **parse_settings(settable, task, settings), "seed": seed})
    Budget.parse(budget)  # refuse it before anything is read
    check_place(out, resume=resume, overwrite=overwrite)
    begun = time.monotonic()
    parts = model.parts(data)
    held_out = model.read_files(valid) if valid else parts.valid
    summaries = {"to train on": parts.train, "to validate on": held_out, "to score": parts.test}
    show_read({name: model.summary(part) for name, part in summaries.items() if part is not None})
    if dry_run:
        show_read({"a fit would take": model.rehearse(replace(parts, valid=held_out), budget, given)})
        say("a fit would start; --dry-run trains and writes nothing")
        return 0
    model.fit(parts.train, budget=budget, valid=held_out, out=out, resume=resume, overwrite=overwrite, plan=given)
    command = shlex.join(["memfold", *sys.argv[1:]])
    model.note_data(data, parts.test)
    model.save(out, command=command)  # before the scoring, which may be interrupted
    if not model.training_.as_planned:
        say(f"memfold: {model.training_.message}; the model is in {out}")
        return model.training_.exit_status
    say("scoring beside the baselines ...")
    report = model.evaluate(parts.test, " ".join(data), **parts.scoring)
    report.seconds = time.monotonic() - begun
    report.advice = model.advice(parts.train, report)
    model.save(out, report, command)
    _print(report, as_json)
    if report.winner in (None, ANSWER):  # else it is said already
        for line in report.advice:
            say(line)
    say(f"the model is in {out}; {model.next_command(out, data)}")
    return 0


@app.command("tune")
def tune_parameters(
    task: TaskName,
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the best model, and for trials.csv.")],
    trials: Annotated[int, typer.Option(metavar="N", help="Fits at most, the first of which is the default.")] = 20,
    budget: Annotated[str, typer.Option(help="Time to train in all, such as 10m.")] = "10m",
    settings: Set = [],  # noqa: B006
    seed: Annotated[int, typer.Option(help="Seed of the search and of every fit.")] = 0,
    ray: Annotated[
        str | None,
        typer.Option(metavar="auto|ADDRESS", help="Have a cluster of Ray do the trials, auto is the one here."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished model in --out.")] = False,
    as_json: Json = False,
) -> int:
    """Search for better parameters of a task, and save the model that is best on the validation part.

    Optuna searches where memfold params TASK says "try"; what --set gives stays as it is. Half of the time is for the
    trials, the rest for fitting the best and the default once more, longer. The better of the two is saved; both are
    scored once on a part that was held out. Ctrl-C keeps the best model so far.

    Example: memfold tune forecast sales.csv --out model --trials 20 --budget 10m --set horizon=14
    """
    from memfold.tune.command import run_tune

    result = run_tune(task, data, out, trials, budget, settings, seed, ray, overwrite)
    if result.report is None:
        return 130
    if as_json:
        print(json.dumps(result.as_json()))
    else:
        Terminal().print(result.table())
    return 0


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="A model's folder.")],
    data: Data,
    settings: Annotated[
        list[str], typer.Option("--set", metavar="NAME=VALUE", help="How to score, such as origins=8 origin_step=24.")
    ] = [],  # noqa: B006
    report: Annotated[
        Path | None,
        typer.Option(help="Page to write with scores, answers and mistakes, in HTML."),
    ] = None,
    lang: PageLanguage = "en",
    as_json: Json = False,
) -> None:
    """Score a model beside the baselines on data that it must not have been fitted to.

    Example: memfold evaluate model later.csv --set origins=8 --report report.html
    """
    from memfold.files import check_file
    from memfold.tasks.parameters import keywords_of, parse_settings
    from memfold.words import Words

    Words(lang)  # refuse another one before anything is read
    if report is not None:
        check_file(report)
    task = load(model)
    if task.known_set(data):
        parts = task.parts(data)
        test, scoring = parts.test, parts.scoring
    else:
        test, scoring = task.read_files(data), {}
    options = parse_settings(keywords_of(task.answer), f"evaluate for {task.name}", settings)
    _print(task.evaluate(test, " ".join(data), report=report, lang=lang, **{**scoring, **options}), as_json)
    if report is not None:
        say(f"the report is in {report}")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A model's folder.")],
    data: Annotated[
        list[str] | None, typer.Argument(metavar="[INPUT]...", help="Files, folders, or @NAME of a known data set.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|FOLDER/",
            help="File to write, standard output when not given; or a folder, for each file to be answered to alone.",
        ),
    ] = None,
    settings: Annotated[
        list[str], typer.Option("--set", metavar="NAME=VALUE", help="How to predict, such as temperature=0.7.")
    ] = [],  # noqa: B006
    draw: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="New folder to draw in: series with forecasts or alarms (SVG), pictures with boxes or labels (PNG).",
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", help="Into a folder: files at once, one for each core when not given.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="auto|ADDRESS", help="Into a folder: have a cluster of Ray do it, auto is the one here."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Into a folder: end at the first file that cannot be answered to.")
    ] = False,
) -> int:
    """Write a model's answers to an input, or to each of many files.

    A forecaster gives what follows each series' last value (of @NAME: of its training part), with 80 % intervals, as
    CSV or Parquet: what is known ahead may stand in a second file, --set horizon=48 quantiles=0.05,0.95 asks for other
    steps and quantiles; a detector of anomalies the score of every reading; a generator goes on from a text; a
    classifier gives labels and probabilities, of texts, images or spoken commands; a detector of objects the boxes in
    images; a recogniser of faces says who is on pictures, with --set verify=true whether two show the same person; a
    translator translates, a recogniser of speech writes down sound, into a file named .srt or .vtt as subtitles.

    With --out FOLDER/ every file is answered to by itself, and patterns such as 'data/*.parquet' are expanded. A line
    for each stands in _manifest.jsonl there; the same command again does what is missing. Where files could not be
    answered to, the others are, and the exit code is 3.

    Example: memfold predict model sales.csv --out forecast.csv; memfold predict model 'data/*.csv' --out scored/
    """
    from memfold.bulk.driver import is_bulk, predict_files
    from memfold.files import check_file, write_file
    from memfold.tasks.parameters import keywords_of, parse_settings

    if is_bulk(data or [], out, asked=jobs is not None or ray is not None or strict):
        if draw is not None:
            raise InputError("--draw: draws what is answered into one file, not into a folder")
        return predict_files(model, data or [], Path(str(out)), jobs=jobs, ray=ray, strict=strict, settings=settings)
    place = None if out is None else Path(out)
    if place is not None:
        check_file(place)
    task = load(model)
    if draw is not None:
        task.check_drawing(draw)
    settable = keywords_of(task.answers)
    options = parse_settings(settable, f"predict for {task.name}", settings)
    if place is not None and place.suffix.lower() in SUBTITLES:
        if "times" not in settable:
            raise InputError(f"{place}: subtitles are of speech; a {task.name} model writes none")
        options["times"] = place.suffix.lower()[1:]
    answers = task.answers(data or [], **options)
    if isinstance(answers, Iterator):
        if place is None:
            for piece in answers:
                answer(piece)
        else:
            write_file(place, lambda aside: _write_text(aside, answers))
        return 0
    _check_table(place)
    _write_table(answers, place)
    if draw is not None:
        files = task.draw(data or [], answers, draw)
        say(f"{len(files):,} drawing{'' if len(files) == 1 else 's'} in {draw}")
    return 0


@app.command("forecast")
def forecast_at_once(
    data: Annotated[list[str], typer.Argument(metavar="FILE...", help="Tables of series, as fit forecast reads them.")],
    horizon: Annotated[int, typer.Option(help="Steps to forecast, at most 1,000.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write, .csv or .parquet; standard output when not given.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Page to write with the series and their forecasts, in HTML.")
    ] = None,
    lang: PageLanguage = "en",
    settings: Annotated[
        list[str],
        typer.Option("--set", metavar="NAME=VALUE ...", help="How to read, such as season=24,168 or target=sales."),
    ] = [],  # noqa: B006
) -> None:
    """Forecast a table at once, without a fit and without PyTorch.

    The forecaster is an LSTM that was trained on synthetic series and comes with memfold. It answers with the median,
    the mean and nine quantiles; values may be missing. The season is that of the calendar, or is looked for in the
    values; what was assumed is said. Columns beside names, times and values are not used: a fit can use them, and where
    there is much to learn from it may do better.

    By --set: season, id, time, target, dates, decimal, encoding, sheet, wide, every, holidays.

    Example: memfold forecast sales.csv --horizon 14 --out forecast.csv
    """
    from memfold.files import check_file
    from memfold.pretrained.answering import forecast, forecast_series
    from memfold.tasks.parameters import keywords_of, parse_settings
    from memfold.words import Words

    for file in (out, report):
        if file is not None:
            check_file(file)
    _check_table(out)
    Words(lang)  # refuse another one before anything is read
    forecasts = forecast_series(data, horizon, **parse_settings(keywords_of(forecast), "forecast", settings))
    for note in forecasts.notes:
        say(note)
    if report is not None:
        from memfold.pretrained.report import write_report

        write_report(report, forecasts, lang)
        say(f"the report is in {report}")
    _write_table(forecasts.written(), out)


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


@app.command()
def explain(
    model: Annotated[Path, typer.Argument(help="A model's folder.")],
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="A file; of series also @NAME; to a model of text also the text.")
    ],
    out: Annotated[Path, typer.Option(help="Page to write, in HTML; or .npz or .json, the trace alone.")] = Path(
        "report.html"
    ),
    lang: PageLanguage = "en",
) -> None:
    """Show what a model makes of one input: every gate at every step, what its memory is made of, what mattered.

    The page is one file and works without a network.

    Example: memfold explain model "a film that I will not forget" --out report.html --lang zh
    """
    from memfold.explain import write_explanation
    from memfold.files import check_file

    if out.suffix not in (".html", ".htm", ".npz", ".json"):
        raise InputError(f"{out}: expected a name that ends in .html, .npz or .json")
    check_file(out)
    explanation = load(model).explain(source, lang)
    if out.suffix in (".npz", ".json"):
        explanation.trace.save(out)
    else:
        write_explanation(out, explanation, lang)
    say(f"{out} shows what the model made of {explanation.source.splitlines()[0][:60]}")


@app.command("explore")
def explore_model(
    out: Annotated[Path, typer.Option(help="Page to write, in HTML.")],
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]", help="A generator, classifier of texts, detector or forecaster; the lesson without it."
        ),
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(
            help="What the page opens with: a text; for a classifier a text a line, for a detector readings, for a "
            "forecaster the table (needed)."
        ),
    ] = None,
    lang: Annotated[str, typer.Option(help="Language that the page opens in: en or zh.")] = "en",
) -> None:
    """Write a page with a live network in it: type, look at every number, hold a gate, count what it forgets.

    The page is one file, in English and Chinese, and works without a network. Without DIR it is a lesson of ten steps,
    with small models that come with memfold: one has read a novel in English, one poems of the Tang in Chinese. What a
    visitor pastes, a text or a column of numbers, is learned in the page.

    Example: memfold explore --out lesson.html
    """
    from memfold.explorer import explore

    explore(out, model, text=text, language=lang)
    say(f"{out} is ready: open it in a browser")


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


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="layers, stream, train, series, busy or tasks")],
    budget: Annotated[
        str | None, typer.Option(help="series only: time to train for each model; 60s when not given.")
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compiled", help="tasks only: torch.nn's network compiled as well, some minutes more.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Time memfold beside the peers that are installed, in one run of some minutes; above a ratio of 1 it is faster.

    layers and stream are inference, train is forward and backward and a whole training step. The peers are torch.nn and
    JAX, for inference also ONNX Runtime and Keras, for training loops in torch's operators, eager and compiled. series
    fits the forecaster and neuralforecast's LSTM to @m4-hourly in the same time, and scores both. busy times a layer
    while other programs take the cores, beside the same on one thread and torch.nn. tasks times a training step of
    every task beside the same network on torch.nn, in float32 and in bfloat16.

    Example: memfold bench stream
    """
    from memfold.bench import BENCHMARKS

    if name not in BENCHMARKS:
        raise InputError(f"no benchmark {name!r}; there is {', '.join(BENCHMARKS)}")
    if budget is not None and name != "series":
        raise InputError(f"--budget: {name} trains no model; only series does")
    if compiled and name != "tasks":
        raise InputError(f"--compiled: {name} has no such peer; only tasks has")
    options: dict[str, Any] = {} if budget is None else {"budget": budget}
    results = BENCHMARKS[name](**options, **({"compiled": True} if compiled else {}))
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


def _check_table(out: Path | None) -> None:
    """Refuse a name that says of no kind of table."""
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise InputError(f"{out}: expected a name that ends in .csv or .parquet")


def _write_table(answers: "pl.DataFrame", out: Path | None) -> None:
    """Write answers into a file, or as CSV on standard output."""
    from memfold.files import write_file

    if out is None:
        answer(answers.write_csv())
        return
    write_file(out, answers.write_parquet if out.suffix == ".parquet" else answers.write_csv)


def _write_text(path: Path, pieces: Iterator[str]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(pieces)


def _print_update(report: "Report | None", compared: "Outcome | None", as_json: bool) -> None:
    """The scores of an update beside the baselines, and before and after."""
    if compared is None:
        return
    if as_json:
        print(json.dumps({**({} if report is None else report.as_json()), "from": compared.as_json()}))
        return
    if report is not None:
        _print(report, as_json=False)
    if rows := compared.rows():
        Terminal().print(score_table(rows, f"went on from {compared.model}", compared.better))


def _print(report: "Report", as_json: bool) -> None:
    if as_json:
        print(json.dumps(report.as_json()))
        return
    console = Terminal()
    console.print(score_table({"memfold": report.metrics, **report.baselines}, report.data, report.better))
    for item in report.shown:
        console.print(item)
