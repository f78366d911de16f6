"""Names say what a thing is, in the field's words: own and found do not, and stay rare in the program."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
EMPTY_NAMES = {"own", "found"}
MOST = 20  # bindings of these names
OTHER_WORDS = re.compile(r"told|foretell|spoil|crew|learnt from|what came", re.IGNORECASE)


def bound_names(tree: ast.AST) -> Iterator[str]:
    """Every name that code binds: variables, parameters, attributes, functions, classes and imports."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.alias(asname=str(name)):
                yield name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name


def test_every_kind_of_binding_is_counted() -> None:
    code = """
import a as own
class C:
    own: int
    def own(self, own, *, found=None):
        self.found, own = 1, [found for found in found]
        with a as own: pass
        if (found := own): pass
        for own in found: lambda own: own
try: pass
except E as own: print(f"{own}")
match a:
    case [own, *found]: pass
"""
    names = [name for name in bound_names(ast.parse(code)) if name in EMPTY_NAMES]
    assert (names.count("own"), names.count("found")) == (10, 5)


def test_few_names_are_empty() -> None:
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "docs").rglob("*.py")]
    counts = {}
    for file in files:
        if count := sum(name in EMPTY_NAMES for name in bound_names(ast.parse(file.read_text(encoding="utf-8")))):
            counts[str(file.relative_to(ROOT))] = count
    assert len(files) > 100
    assert sum(counts.values()) <= MOST, counts


def test_the_program_uses_the_words_of_the_field() -> None:
    """Predict, train, actual and thread pool, rather than words that a reader must translate."""
    files = [file for file in (ROOT / "src").rglob("*") if file.suffix in {".py", ".pyi", ".js", ".html", ".txt"}]
    assert len(files) > 200
    lines = []
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if OTHER_WORDS.search(line):
                lines.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not lines
