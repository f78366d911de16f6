"""The commands that write a page in which a model can be looked at: explain and explore."""

from pathlib import Path
from typing import Annotated

import typer

from memfold.cli.options import PageLanguage, app
from memfold.display import say
from memfold.errors import InputError
from memfold.tasks.registry import load


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
