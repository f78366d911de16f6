"""A run of the command line: the arguments, the exit codes, and what is said of an error."""

import errno
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

from memfold.cli.options import FIRST_MINUTES, app, task_names
from memfold.display import say
from memfold.errors import InputError
from memfold.extras import extra_of, install, task_in
from memfold.tasks.registry import task_class

__all__ = ["run", "spread_settings"]

# How torch, the loader of libraries and others say that there is no memory left; they have no error of their own.
NO_MEMORY = r"can't allocate memory|bad_alloc|out of memory|annot allocate memory|failed to map segment"


def run() -> int:
    """Run the command line and return its exit code: 0 done, 2 wrong usage or bad input, 3 files failed in a bulk
    run, 130 interrupted."""
    arguments = spread_settings(sys.argv[1:]) or ["--help"]
    try:
        code = app(args=arguments, prog_name="memfold", standalone_mode=False) or 0
        if arguments[0] == "fit" and {"--help", "-h"} & set(arguments):
            _print_parameters(next((word for word in arguments[1:] if word in task_names("")), None))
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
