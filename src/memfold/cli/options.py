"""The command line's program, and the arguments that several commands take."""

from typing import Annotated

import typer

from memfold.tasks.registry import TASKS

__all__ = ["Data", "Json", "PageLanguage", "Set", "TaskName", "app", "data_app", "task_names"]

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

PageLanguage = Annotated[str, typer.Option(help="Language of the page: en or zh.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")]


def task_names(incomplete: str) -> list[str]:
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
        autocompletion=task_names,
    ),
]
