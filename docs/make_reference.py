"""Writes what the program says of itself into the docs: its commands, and every task's parameters.

`make docs` runs this; tests/test_docs.py fails where a page differs from what this would write. The Chinese meanings
are in docs/reference/meanings.zh-CN.toml: by task and parameter, and once under `shared` for what several tasks have.
"""

import contextlib
import io
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from memfold.cli import app, run
from memfold.tasks.parameters import Parameter, Search, keywords_of, parameters_of
from memfold.tasks.registry import TASKS, task_class

DOCS = Path(__file__).parent
MEANINGS = DOCS / "reference" / "meanings.zh-CN.toml"
WIDTH = "80"  # columns of the terminal that the help is printed for
BEGIN, END = "<!-- parameters -->", "<!-- /parameters -->"
MADE = "<!-- Written by docs/make_reference.py: change the program, then `make docs`. -->"
CHINESE: dict[str, dict[str, str]] = tomllib.loads(MEANINGS.read_text(encoding="utf-8"))

HEADS = {
    "en": ("parameter", "default", "value", "meaning", "worth a search"),
    "zh": ("参数", "默认", "取值", "含义", "值得搜索的范围"),
}

BEGINNINGS = {
    "en": """\
# The parameters of every task

[中文](parameters.zh-CN.md)

{made}

`memfold fit TASK … --set NAME=VALUE` sets one, in Python the argument of that name. `memfold params TASK` prints them,
with `--json` for a program. `none` stands for None. Where a search goes by factors, it tries 16, 32, 64 … rather than
16, 32, 48 …""",
    "zh": """\
# 各任务的参数

[English](parameters.md)

{made}

用 `memfold fit TASK … --set NAME=VALUE` 设置，在 Python 中则是同名的参数。`memfold params TASK` 打印它们，
加 `--json` 供程序读取。`none` 即 None。“按倍数”指试 16、32、64……，而不是 16、32、48……。""",
}


def commands() -> dict[str, Any]:
    """Every command of the program, by the words that call it, such as ``data list``."""

    def below(group: Any, before: str) -> Iterator[tuple[str, Any]]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from below(command, f"{before}{name} ")
            else:
                yield f"{before}{name}", command

    return dict(below(typer.main.get_command(app), ""))


def help_of(command: str) -> str:
    """What the program prints for ``memfold COMMAND --help``."""
    printed, arguments, columns = io.StringIO(), sys.argv, os.environ.get("COLUMNS")
    sys.argv, os.environ["COLUMNS"] = ["memfold", *command.split(), "--help"], WIDTH
    try:
        with contextlib.redirect_stdout(printed):
            run()
    finally:
        sys.argv = arguments
        os.environ.pop("COLUMNS")
        if columns is not None:
            os.environ["COLUMNS"] = columns
    return "\n".join(line.rstrip() for line in printed.getvalue().strip("\n").splitlines())


def command_page() -> str:
    """The page with every command's help."""
    sections = [f"## memfold {name}\n\n```text\n{help_of(name)}\n```\n" for name in commands()]
    return f"""\
# The command line

{MADE}

What `--help` prints. A task's parameters follow `memfold fit TASK --help`, and are [in one page](parameters.md).

| exit code | when |
|---|---|
| 0 | done; inputs that were left out are named on standard error |
| 2 | wrong usage, or input that cannot be worked with: one line on standard error says what, where, and what to do |
| 3 | `predict` into a folder is done, but files could not be answered to; they are listed on standard error |
| 130 | interrupted; `fit` and `tune` keep the best model so far |

With `--json` one object stands on standard output and nothing else; what else is said stands on standard error.

```text
{help_of("")}
```

{chr(10).join(sections)}"""


def chinese_meaning(task: str, name: str) -> str:
    """What a parameter means, in Chinese.

    Raises:
        KeyError: nobody has written it yet.
    """
    for place in (CHINESE[task], CHINESE["shared"]):
        if name in place:
            return place[name]
    raise KeyError(f"{MEANINGS.name} says nothing of {task}'s {name}")


def kind_of(hint: Any, language: str) -> str:
    """A type as a table shows it."""
    if get_origin(hint) is Literal:
        return {"en": ", ", "zh": "、"}[language].join(f"`{option}`" for option in get_args(hint))
    if options := [option for option in get_args(hint) if option is not type(None)]:  # of a union or a sequence
        return kind_of(options[0], language)
    words = {int: ("integer", "整数"), float: ("number", "数"), str: ("text", "文字")}
    return "`true` / `false`" if hint is bool else words[hint][language == "zh"]


def takes_several(hint: Any) -> bool:
    """Whether a type is a sequence, or one or None."""
    return get_origin(hint) is Sequence or any(takes_several(option) for option in get_args(hint))


def value_of(p: Parameter, language: str) -> str:
    """The type and the bounds of a parameter: ``number, > 0, < 1``."""
    bounds = [(">", p.above), ("≥", p.least), ("<", p.below), ("≤", p.most)]
    comma = {"en": ", ", "zh": "，"}[language]
    limits = (f"{sign} {bound:.12g}" for sign, bound in bounds if bound is not None)
    several = {"en": "; several: `a,b`", "zh": "；多个写作 `a,b`"}[language] if takes_several(p.hint) else ""
    return comma.join([kind_of(p.hint, language), *limits]) + several


def search_of(p: Parameter, language: str) -> str:
    """Where a search makes sense: ``16 … 256, by factors``."""
    if isinstance(p.search, Search):
        by_factors = {"en": ", by factors", "zh": "，按倍数"}[language] if p.search.log else ""
        return f"{p.search.low:g} … {p.search.high:g}{by_factors}"
    return ", ".join(f"`{str(value).lower()}`" for value in p.search or ())


def parameter_table(task: str, language: str) -> str:
    """Every parameter of a task as a table, in English (``en``) or Chinese (``zh``)."""
    rows = [HEADS[language]]
    for p in parameters_of(task_class(task)):
        meaning = p.meaning.replace("``", "`") if language == "en" else chinese_meaning(task, p.name)
        default = f"`{p.shown_default}`"
        rows.append(
            (f"`{p.name}`", default, value_of(p, language), meaning.replace("|", r"\|"), search_of(p, language))
        )
    head, *body = (f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows)
    return "\n".join([head, "|---" * len(HEADS[language]) + "|", *body])


def answer_settings(task: str) -> dict[str, list[str]]:
    """What ``--set`` takes where a fitted model answers, by command."""
    kind = task_class(task)
    return {"evaluate": list(keywords_of(kind.answer)), "predict": list(keywords_of(kind.answers))}


def parameter_page(language: str) -> str:
    """The page with the parameters of every task, in English (``en``) or Chinese (``zh``)."""
    suffix = {"en": ".md", "zh": ".zh-CN.md"}[language]
    parts = [BEGINNINGS[language].format(made=MADE)]
    for task in TASKS:
        guide = f"../guide/{task}{suffix}"
        head = f"## {task}\n\n" + (f"[The guide]({guide})." if language == "en" else f"[指南]({guide})。")
        for command, names in answer_settings(task).items():
            if names:
                listed = ", ".join(f"`{name}`" for name in names)
                takes = "also takes" if language == "en" else "还接受"
                head += f"{' ' if language == 'en' else ''}`memfold {command} --set` {takes} {listed}"
                head += "." if language == "en" else "。"
        parts += [head, parameter_table(task, language)]
    return "\n\n".join(parts) + "\n"


def with_table(page: str, task: str, language: str) -> str:
    """A guide's text with the table of its task between the markers.

    Raises:
        ValueError: it has no markers, or several.
    """
    written, count = re.subn(
        f"{BEGIN}.*?{END}",
        lambda _: f"{BEGIN}\n\n{parameter_table(task, language)}\n\n{END}",
        page,
        flags=re.S,
    )
    if count != 1:
        raise ValueError(f"the guide of {task} ({language}) has {count} pairs of markers {BEGIN} … {END}, not one")
    return written


def pages() -> dict[Path, str]:
    """Every page that is written here, whole or in part, and the text that it should have."""
    made = {DOCS / "reference" / "cli.md": command_page()}
    for language, suffix in (("en", ".md"), ("zh", ".zh-CN.md")):
        made[DOCS / "reference" / f"parameters{suffix}"] = parameter_page(language)
        for task in TASKS:
            guide = DOCS / "guide" / f"{task}{suffix}"
            made[guide] = with_table(guide.read_text(encoding="utf-8"), task, language)
    return made


def main() -> None:
    """Write every page that differs."""
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(DOCS.parent)}")


if __name__ == "__main__":
    main()
