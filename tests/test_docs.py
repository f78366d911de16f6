import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from memfold.tasks.parameters import keywords_of, parameters_of
from memfold.tasks.registry import TASKS, task_class

ROOT = Path(__file__).parent.parent
GUIDE = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs" / "guide").glob("*.md"))
REFERENCE = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs" / "reference").glob("*.md"))
PAGES = ["README.md", "README.zh-CN.md", *(page for page in GUIDE if "learn" not in page)]
LINKED = [*PAGES, *REFERENCE, "CONTRIBUTING.md", "docs/architecture.md"]
CHINESE = [page for page in ("README.zh-CN.md", *GUIDE, *REFERENCE) if page.endswith(".zh-CN.md")]
TASK_GUIDES = [f"docs/guide/{task}{suffix}" for task in TASKS for suffix in (".md", ".zh-CN.md")]
WIDE = 160  # columns of a line that is neither a table's row nor code


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The script docs/make_reference.py."""
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES)
def test_the_code_in_the_docs_runs(page: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", read(page), re.M | re.S)
    assert blocks, page
    exec("\n".join(blocks), {})


@pytest.mark.parametrize("page", LINKED)
def test_links_inside_the_repository_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", read(page)):
        link = target[0] or target[1]
        if not link.startswith("http"):
            assert ((ROOT / page).parent / link).exists(), link


@pytest.mark.parametrize("page", CHINESE)
def test_both_languages_have_the_same_sections_tables_and_figures(page: str) -> None:
    english, chinese = (read(name) for name in (page.replace(".zh-CN", ""), page))
    for pattern in (r"^#+ ", r"^\|", r"^```"):
        assert len(re.findall(pattern, english, re.M)) == len(re.findall(pattern, chinese, re.M)), pattern
    figures = [set(re.findall(r"\d+\.\d+", text)) for text in (english, chinese)]
    assert figures[0] == figures[1]


@pytest.mark.parametrize("page", [*TASK_GUIDES, *REFERENCE, "README.md", "README.zh-CN.md", "docs/architecture.md"])
def test_lines_are_short_enough_to_read(page: str) -> None:
    prose = re.sub(r"^(```.*?^```|\|.*?)$", "", read(page), flags=re.M | re.S)
    assert [line for line in prose.splitlines() if len(line) > WIDE] == []


# -- what is written by the program --------------------------------------------------------------------------


def test_the_reference_says_what_the_program_says(reference: ModuleType) -> None:
    stale = [path.relative_to(ROOT) for path, text in reference.pages().items() if read(str(path)) != text]
    assert stale == [], "run `make docs`"


def test_every_command_is_documented(reference: ModuleType) -> None:
    page = read("docs/reference/cli.md")
    for name, command in reference.commands().items():
        assert f"\n## memfold {name}\n" in page
        assert "Example" in command.help, f"memfold {name} --help shows no example"


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
    text = re.sub("<!-- parameters -->.*?<!-- /parameters -->", "", read(page), flags=re.S)
    for line in re.findall(r"memfold .*--set .*|`--set [^`]+`", text):
        assert set(re.findall(r"\b([a-z]\w*)=", line)) <= settable, line
    (advice,) = re.findall(r"^## (?:What to change first|先改什么)\n\n(\|.*?)\n\n", text, re.M | re.S)
    for row in advice.splitlines()[2:]:
        names = re.findall(r"`([^`]+)`", row.split("|")[1])
        assert names, row
        assert {name for name in names if not name.startswith("--")} <= parameters, row
