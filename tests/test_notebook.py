"""The notebook of the examples runs, and what it shows is there."""

from html import unescape
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "reports.ipynb"


@pytest.mark.release
def test_a_report_and_an_explanation_show_themselves_in_a_notebook(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # it is kept without them
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [
        output["data"]["text/html"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "text/html" in output.get("data", {})
    ]
    assert len(shown) == 2
    report, explanation = (unescape(html.split('srcdoc="')[1].split('"')[0]) for html in shown)
    assert '<html lang="zh-CN">' in report
    assert "three later texts" in report
    assert "逻辑回归" in report
    assert '<html lang="en">' in explanation
    assert "Every gate at every step" in explanation
