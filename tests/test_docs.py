import ast
import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from memfold.budget import Budget
from memfold.cli import app, spread_settings
from memfold.pretrained.answering import forecast
from memfold.tasks.parameters import keywords_of, parameters_of, parse_settings
from memfold.tasks.registry import TASKS, task_class
from memfold.tasks.updating.command import OWN

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    str(page.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "examples/*.md")
    for page in ROOT.glob(pattern)
)
GUIDE = [page for page in DOCUMENTS if page.startswith("docs/guide/")]
REFERENCE = [page for page in DOCUMENTS if page.startswith("docs/reference/")]
CHINESE = [page for page in DOCUMENTS if page.endswith(".zh-CN.md")]
TASK_GUIDES = [f"docs/guide/{task}{suffix}" for task in TASKS for suffix in (".md", ".zh-CN.md")]
WIDE = 160  # columns of a line that is no row of a table
CODE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def script(name: str) -> ModuleType:
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    return script("make_reference")


@pytest.fixture(scope="module")
def contents() -> ModuleType:
    return script("make_contents")


# -- code ----------------------------------------------------------------------------------------------------

# tests/cells/test_cells_docs.py runs the one that takes longer, tests/serve the one that needs a server.
ELSEWHERE = ("docs/guide/learn.md", "docs/guide/serve.md", "docs/guide/serve.zh-CN.md")
WITH_CODE = [page for page in DOCUMENTS if "\n```python\n" in read(page) and page not in ELSEWHERE]


def code_of(page: str) -> str:
    """All blocks of Python in a page."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", read(page), re.M | re.S))


def without_comments(code: str) -> str:
    """The same code whatever its comments say, in any language."""
    return ast.unparse(ast.parse(code))


def without_texts(code: str) -> str:
    """The same code whatever texts stand in it, too."""
    return re.sub(r"'[^']*'", "''", without_comments(code))


# A page in Chinese whose code is that of the English one, comments aside, is not run again; where other texts stand in
# it, by make release-check alone.
ONCE = list({without_comments(code_of(page)): page for page in reversed(WITH_CODE)}.values())
FIRST = set({without_texts(code_of(page)): page for page in reversed(WITH_CODE)}.values())


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[] if page in FIRST else [pytest.mark.release]) for page in ONCE]
)
def test_the_code_in_the_docs_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # into which it writes
    code = code_of(page)
    assert code, page
    exec(code, {})


@pytest.mark.parametrize("page", [page for page in DOCUMENTS if "\n```bash\n" in read(page)])
def test_the_shell_understands_what_is_typed_into_it(page: str) -> None:
    for language, block in CODE.findall(read(page)):
        if language == "bash":
            checked = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
            assert checked.returncode == 0, checked.stderr


def commands_in(block: str) -> Iterator[list[str]]:
    """The words of every ``memfold …`` in the lines of a block, without redirections."""
    for line in block.replace("\\\n", " ").splitlines():
        if "memfold " not in line:
            continue
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # an apostrophe: not a line that is typed
            continue
        begins = [
            at for at, word in enumerate(words) if word == "memfold" and words[at - 1 : at] in ([], ["|"], ["&&"])
        ]
        for at in begins:
            ends = [end for end in range(at, len(words)) if words[end] in ("|", ";", "&&", "<", ">")]
            yield words[at + 1 : min(ends, default=len(words))]


def parsed(words: list[str]) -> tuple[str, dict[str, Any]]:
    """The command that words call and its arguments, by the program's own parser, which runs nothing."""
    command: Any = typer.main.get_command(app)
    rest, name, context = spread_settings(words), "memfold", None
    while hasattr(command, "commands"):
        context = command.make_context(name, rest, parent=context)
        rest = [*context._protected_args, *context.args]
        assert rest, f"memfold {shlex.join(words)}: no command"
        name, rest = rest[0], rest[1:]
        assert name in command.commands, f"memfold {shlex.join(words)}: no command {name}"
        command = command.commands[name]
    return name, command.make_context(name, rest, parent=context).params


def check_command(words: list[str]) -> None:
    """Fail where the program would refuse the words before it looks at any file."""
    name, arguments = parsed(words)
    if name == "fit":
        task = arguments["task"]
        settable: dict[str, Any] = {p.name: p.hint for p in parameters_of(task_class(task))}
        settable |= {} if arguments["earlier"] is None else OWN
        parse_settings(settable, task, arguments["settings"])
    if "budget" in arguments and arguments["budget"] is not None:
        Budget.parse(arguments["budget"])


TYPED = [
    pytest.param(words, id=f"{page}-{shlex.join(words)[:60]}")
    for page in DOCUMENTS
    if page != "docs/reference/cli.md"
    for language, block in CODE.findall(read(page))
    if language in ("", "text", "bash")
    for words in commands_in(block)
]
# In a sentence a command is often named with a part of its arguments; where it says what it writes, it is whole.
INLINE = [
    pytest.param(words, id=f"{page}-{shlex.join(words)[:60]}")
    for page in DOCUMENTS
    for span in re.findall(r"`(memfold [^`]+ --out [^`]+)`", CODE.sub("", read(page)))
    for words in commands_in(span)
]


@pytest.mark.parametrize("words", TYPED + INLINE)
def test_the_program_takes_the_commands_in_the_docs(words: list[str]) -> None:
    check_command(words)


def test_the_program_refuses_a_command_that_it_does_not_have() -> None:
    with pytest.raises(Exception, match="No such option"):
        check_command(["fit", "forecast", "sales.csv", "--out", "model", "--buget", "3m"])
    with pytest.raises(ValueError, match="horizn"):
        check_command(["fit", "forecast", "sales.csv", "--out", "model", "--set", "horizn=14"])
    with pytest.raises(AssertionError, match="no command"):
        check_command(["foretell", "model"])


@pytest.mark.parametrize("page", DOCUMENTS)
def test_commands_and_files_that_a_page_names_exist(page: str) -> None:
    text = read(page)
    names = {re.split("[ |]", span)[0] for span in re.findall(r"`memfold ([a-z][^`]*)`", CODE.sub("", text))}
    assert names <= set(typer.main.get_command(app).commands), page  # type: ignore[attr-defined]
    typed = re.findall(r"`make ([a-z][a-z -]*)`", text) + re.findall(r"^make ([a-z-]+)", text, re.M)
    assert {target for words in typed for target in words.split()} <= MAKE_TARGETS
    if page != "CHANGELOG.md":  # which also tells of what is gone
        for named in re.findall(r"\b((?:tests|docs|benchmarks|src)/[a-z0-9_./-]+\.(?:py|md|toml|cpp|hpp))\b", text):
            assert (ROOT / named).exists(), named


@pytest.mark.parametrize("page", ["examples/README.md", "examples/README.zh-CN.md"])
def test_every_example_is_in_the_table(page: str) -> None:
    programs = {path.name for path in (ROOT / "examples" / "onnx").iterdir() if path.is_file()}
    assert programs <= set(re.findall(r"^\| `([\w.]+)` \|", read(page), re.M))


# -- links and lines -----------------------------------------------------------------------------------------


def anchors_of(page: str) -> set[str]:
    """What a link can name after ``#``: the headings as GitHub writes them."""
    anchors: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", CODE.sub("", read(page)), re.M):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)|`", r"\1", heading).strip().lower()
        anchor = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        number = sum(1 for known in anchors if re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", known))
        anchors.add(f"{anchor}-{number}" if number else anchor)
    return anchors


@pytest.mark.parametrize("page", DOCUMENTS)
def test_links_inside_the_repository_lead_somewhere(page: str) -> None:
    text = re.sub(r"`[^`\n]*`", "", CODE.sub("", read(page)))
    for target in (
        link for links in re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", text) for link in links if link
    ):
        if re.match("[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors_of(str(file.relative_to(ROOT))), target


@pytest.mark.parametrize("page", CHINESE)
def test_both_languages_have_the_same_sections_tables_and_figures(page: str) -> None:
    english, chinese = (read(name) for name in (page.replace(".zh-CN", ""), page))
    for pattern in (r"^#+ ", r"^\|", r"^```", r"^- "):
        assert len(re.findall(pattern, english, re.M)) == len(re.findall(pattern, chinese, re.M)), pattern
    figures = [set(re.findall(r"\d+\.\d+", text)) for text in (english, chinese)]
    assert figures[0] == figures[1]


@pytest.mark.parametrize("page", [page for page in DOCUMENTS if page.startswith(("docs/", "README"))])
def test_lines_are_short_enough_to_read(page: str) -> None:
    lines = [line for line in read(page).splitlines() if not line.startswith("|")]
    assert [line for line in lines if len(line) > WIDE] == []


# -- what is written by the program --------------------------------------------------------------------------


def test_the_reference_says_what_the_program_says(reference: ModuleType) -> None:
    stale = [path.relative_to(ROOT) for path, text in reference.pages().items() if read(str(path)) != text]
    assert stale == [], "run `make docs`"


def test_the_index_and_the_api_pages_say_what_there_is(contents: ModuleType) -> None:
    made = {**contents.api_pages(), **contents.index_pages()}
    stale = [path.relative_to(ROOT) for path, text in made.items() if not path.exists() or read(str(path)) != text]
    assert stale == [], "run `make docs`"
    assert {path for path in made if path.parent.name == "api"} == set((ROOT / "docs" / "api").glob("*"))


def test_every_public_name_says_what_it_is(contents: ModuleType) -> None:
    for page in contents.MODULES:
        for module in contents.modules_of(page):
            silent = [name for name, value in contents.public_names(module) if not contents.summary_of(value)]
            assert silent == [], module


def test_every_command_is_documented(reference: ModuleType) -> None:
    page = read("docs/reference/cli.md")
    for name, command in reference.commands().items():
        assert f"\n## memfold {name}\n" in page
        examples = re.findall(r"Examples?: (.+)", command.help)
        assert examples, f"memfold {name} --help shows no example"
        for words in commands_in(examples[0]):
            check_command(words)


@pytest.mark.parametrize("task", TASKS)
def test_every_parameter_has_a_chinese_meaning_and_no_other_has_one(reference: ModuleType, task: str) -> None:
    names = {p.name for p in parameters_of(task_class(task))}
    known = {*reference.CHINESE[task], *reference.CHINESE["shared"]}
    assert names - known == set(), "nobody has said in Chinese what they mean"
    assert reference.CHINESE[task].keys() - names == set(), "no such parameters"


def test_a_meaning_that_tasks_share_in_chinese_is_one_in_english(reference: ModuleType) -> None:
    english: dict[str, set[str]] = {name: set() for name in reference.CHINESE["shared"]}
    for task in TASKS:
        for p in parameters_of(task_class(task)):
            if p.name not in reference.CHINESE[task]:
                english[p.name].add(p.meaning)
    assert {name: meanings for name, meanings in english.items() if len(meanings) != 1} == {}
    assert reference.CHINESE.keys() == {"shared", *TASKS}


@pytest.mark.parametrize("page", TASK_GUIDES)
def test_a_guide_advises_on_what_there_is(page: str) -> None:
    task = Path(page).name.split(".")[0]
    kind = task_class(task)
    parameters = {p.name for p in parameters_of(kind)}
    settable = parameters | keywords_of(kind.answer).keys() | keywords_of(kind.answers).keys()
    if task == "forecast":  # memfold forecast and memfold stream forecast have settings of their own
        settable |= keywords_of(forecast).keys() | {"horizon"}
    text = re.sub("<!-- parameters -->.*?<!-- /parameters -->", "", read(page), flags=re.S)
    for line in re.findall(r"memfold .*--set .*|`--set [^`]+`", text):
        assert set(re.findall(r"\b([a-z]\w*)=", line)) <= settable, line
    (advice,) = re.findall(r"^## (?:What to change first|先改什么)\n\n(\|.*?)\n\n", text, re.M | re.S)
    for row in advice.splitlines()[2:]:
        names = re.findall(r"`([^`]+)`", row.split("|")[1])
        assert names, row
        assert {name for name in names if not name.startswith("--")} <= parameters, row
