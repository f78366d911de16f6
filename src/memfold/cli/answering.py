"""The commands that answer and score: evaluate, predict and forecast."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from memfold.cli.options import Data, Json, PageLanguage, app
from memfold.cli.printing import check_table, print_report, write_table, write_text
from memfold.display import answer, say
from memfold.errors import InputError
from memfold.tasks.registry import load

SUBTITLES = (".srt", ".vtt")


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
    print_report(task.evaluate(test, " ".join(data), report=report, lang=lang, **{**scoring, **options}), as_json)
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
            write_file(place, lambda aside: write_text(aside, answers))
        return 0
    check_table(place)
    write_table(answers, place)
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
    check_table(out)
    Words(lang)  # refuse another one before anything is read
    forecasts = forecast_series(data, horizon, **parse_settings(keywords_of(forecast), "forecast", settings))
    for note in forecasts.notes:
        say(note)
    if report is not None:
        from memfold.pretrained.report import write_report

        write_report(report, forecasts, lang)
        say(f"the report is in {report}")
    write_table(forecasts.written(), out)
