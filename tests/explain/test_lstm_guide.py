"""The guide "LSTM for everyone": what its code prints is what stands below it, and its picture is the one drawn."""

import contextlib
import io
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["lstm.md", "lstm.zh-CN.md"])
def test_the_code_prints_what_the_guide_says(page: str) -> None:
    text = (DOCS / "guide" / page).read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    pairs = re.findall(r"^```python\n(.*?)^```\n+^```text\n(.*?)^```", text, re.M | re.S)
    assert len(pairs) == text.count("```python") > 8
    for code, printed in pairs:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exec(compile(code, page, "exec"), names)
        assert said.getvalue() == printed


def test_the_claims_of_the_guide_hold() -> None:
    names: dict[str, Any] = {}
    text = (DOCS / "guide" / "lstm.md").read_text(encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()):
        for code in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S):
            exec(code, names)
    rnn, lstm = (row["lag 100"] for row in names["record"].rows)
    assert lstm / rnn > 1e4
    assert names["ledger"].total[0] == pytest.approx(names["trace"]["c"][-1, 0, 0], abs=1e-12)
    assert abs(names["total"] - 1).max() > 0.1  # an LSTM's two gates are not one
    assert abs(names["gradient"].x[0]).max() > 1e3  # it explodes


def test_the_picture_of_the_gradients_is_the_one_the_script_draws() -> None:
    drawing = runpy.run_path(str(DOCS / "gradient_flow.py"))["drawing"]
    assert (DOCS / "gradient_flow.svg").read_text(encoding="utf-8") == drawing()
