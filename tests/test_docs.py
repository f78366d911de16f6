import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GUIDE = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs" / "guide").glob("*.md"))
PAGES = ["README.md", "README.zh-CN.md", *(page for page in GUIDE if "learn" not in page)]
CHINESE = [page for page in ("README.zh-CN.md", *GUIDE) if page.endswith(".zh-CN.md")]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_code_in_the_docs_runs(page: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)
    assert blocks, page
    exec("\n".join(blocks), {})


@pytest.mark.parametrize("page", PAGES)
def test_links_inside_the_repository_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", text):
        link = target[0] or target[1]
        if not link.startswith("http"):
            assert ((ROOT / page).parent / link).exists(), link


@pytest.mark.parametrize("page", CHINESE)
def test_both_languages_have_the_same_sections_tables_and_figures(page: str) -> None:
    pages = (page.replace(".zh-CN", ""), page)
    english, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in pages)
    for pattern in (r"^#+ ", r"^\|", r"^```"):
        assert len(re.findall(pattern, english, re.M)) == len(re.findall(pattern, chinese, re.M)), pattern
    figures = [set(re.findall(r"\d+\.\d+", text)) for text in (english, chinese)]
    assert figures[0] == figures[1]
