"""Reports of small fitted models, opened in a browser without a network."""

import importlib
import inspect
import json
import re
import shutil
from collections.abc import Callable
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from explain.makers import MAKERS, PICTURED, Made, object_detector
from memfold.drawing import Heat, Picture
from memfold.errors import InputError
from memfold.explain import LayerTrace, Trace, account, explained, half_life, write_explanation
from memfold.explain.attribution import inputs_of, integrated_gradients, substituted
from memfold.explain.explanation import Explanation, shares_of_inputs
from memfold.tasks.model import Task
from memfold.tasks.registry import TASKS, load, task_class
from memfold.words import NAMES, TABLE, Words, demo, evaluation, explanation, instant, lab

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """A small model of a task, fitted once, saved and loaded."""
    kept: dict[str, Made] = {}

    def of(task: str) -> Made:
        if task not in kept:
            folder = tmp_path_factory.mktemp(task)
            model, source = MAKERS[task](folder)
            model.save(folder / "model")
            kept[task] = load(folder / "model"), source
        return kept[task]

    return of


# -- words ---------------------------------------------------------------------------------------------------


def test_both_languages_have_every_entry_and_the_same_blanks() -> None:
    for key, texts in TABLE.items():
        assert set(texts) == {"en", "zh"}, key
        assert all(texts.values()), key
        blanks = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in texts.values()]
        assert blanks[0] == blanks[1], key
        only_blanks = not re.search("[a-z]{3}", re.sub("{.*?}", "", texts["en"]))
        assert only_blanks or re.search("[\u4e00-\u9fff]", texts["zh"]), key
    parts = [explanation.TABLE, evaluation.TABLE, lab.TABLE, demo.TABLE, instant.TABLE]
    assert len(TABLE) == sum(map(len, parts))  # no key twice
    for name, chinese in NAMES.items():
        assert re.search("[\u4e00-\u9fff]", chinese), name


def test_every_word_of_the_viewer_is_in_the_table() -> None:
    folder = Path(__import__("memfold.explain").explain.__file__).parent
    asked = re.findall(r"\{\{(.+?)\}\}", (folder / "viewer.html").read_text(encoding="utf-8"))
    script = (folder / "viewer.js").read_text(encoding="utf-8")
    asked += re.findall(r'words\["([^"]+)"\]|words\.(\w+)|filled\("([^"]+)"', script)
    asked = ["".join(found) for found in asked]
    assert len(asked) > 10
    assert set(asked) <= set(explanation.TABLE)
    for task in TASKS:
        assert f"task {task}" in TABLE


def test_another_language_is_refused() -> None:
    with pytest.raises(InputError, match="--lang fr: there is en and zh"):
        Words("fr")


# -- explanations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", MAKERS)
def test_a_model_is_explained(task: str, made: Callable[[str], Made]) -> None:
    model, source = made(task)
    found = explained(model, source)
    assert found.task == task
    assert found.answer
    assert found.first in found.trace.layers
    assert len(found.pictures) == (2 if task in (*PICTURED, "transcribe") else 1)
    for name, layer in found.trace.layers.items():
        assert len(layer.labels) == len(layer.values["h"]), name
        ledger = account(layer, len(layer.labels) // 2)
        np.testing.assert_allclose(ledger.total, layer.values[ledger.state][len(layer.labels) // 2], atol=1e-5)
    assert set(found.flow) == set(found.trace.layers)
    assert all((norms >= 0).all() and norms.max() > 0 for norms in found.flow.values())
    if task in PICTURED:
        assert found.shares is None
        return
    assert found.shares is not None
    for shares in found.shares.methods.values():
        assert shares.shape == (len(found.shares.labels),)
        assert np.isfinite(shares).all()


def test_every_task_has_a_view_in_its_folder() -> None:
    assert set(TASKS) == set(MAKERS)
    for task in TASKS:
        package = task_class(task).__module__.rpartition(".")[0]
        assert list(inspect.signature(importlib.import_module(f"{package}.view").view).parameters)[1:] == [
            "source",
            "words",
        ]


def test_a_class_derived_from_a_tasks_is_explained_as_that_task(made: Callable[[str], Made]) -> None:
    model, source = made("translate")

    class Own(type(model)):  # type: ignore[misc]
        pass

    own = Own(**model.get_params())
    vars(own).update(vars(model))
    assert own.explain(source).answer == model.explain(source).answer


def test_a_task_without_a_view_and_one_that_is_not_fitted_are_refused() -> None:
    class Own(Task):
        name = "tuned"
        network_ = torch.nn.Identity()

    Own.__abstractmethods__ = frozenset()
    with pytest.raises(InputError, match="a tuned model cannot be explained: there is no module view beside Own"):
        Own().explain("anything")  # type: ignore[abstract]
    with pytest.raises(InputError, match="is not fitted yet"):
        explained(task_class("generate")(), "a text")


def test_the_shares_of_a_class_add_up_to_what_its_words_change(made: Callable[[str], Made]) -> None:
    model, _ = made("sentiment")
    batch = model.encoder_.encode(["a bad good day"]).batch([0])  # type: ignore[attr-defined]
    layers = [member.lstm for member in model.network_.networks]  # type: ignore[union-attr]

    def run() -> torch.Tensor:
        log_p: torch.Tensor = model.network_(batch)
        return log_p[0, 0]

    x = inputs_of(layers, run)
    with torch.no_grad():
        whole = run().item()
        with substituted(layers, x.mean(0, keepdim=True).expand_as(x)):
            without = run().item()
    assert abs(whole - without) > 1e-4
    shares = shares_of_inputs(layers, run)["integrated gradients"]
    assert shares.sum() == pytest.approx(whole - without, rel=0.05)  # the maximum over time has kinks ...

    def score(read: torch.Tensor) -> torch.Tensor:
        with substituted(layers, read):
            return run()

    fine = integrated_gradients(score, x, x.mean(0, keepdim=True).expand_as(x), points=640)
    assert fine.sum().item() == pytest.approx(whole - without, rel=0.005)  # ... and a finer rule comes as near as asked


def test_the_attention_of_a_translation_is_drawn(made: Callable[[str], Made]) -> None:
    model, source = made("translate")
    found = explained(model, source)
    heat = found.pictures[0].drawing
    assert isinstance(heat, Heat)
    np.testing.assert_allclose(heat.values.sum(1), 1, atol=1e-5)
    assert found.trace.layers["encoder.l0"].labels[0].strip()


def test_covers_find_the_square_that_tells_a_class(made: Callable[[str], Made]) -> None:
    model, source = made("classify")
    found = explained(model, source)
    assert found.answer.startswith("square")
    drawn = found.pictures[1].drawing
    assert isinstance(drawn, Picture)
    left, top, width, height, _ = max(drawn.over, key=lambda cover: cover[4])
    assert abs(top + height / 2 - 10) <= 2
    assert abs(left + width / 2 - 5) <= 2
    across, down = (found.trace.layers[found.first.replace("rows", name)].labels for name in ("rows", "columns"))
    assert across == ["x 2", "x 6", "x 10", "x 14", "x 18", "x 22"]
    assert down[-1] == "y 22"


def test_who_is_shown_is_who_is_identified(made: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch) -> None:
    model, source = made("faces")
    identified = model.identify([source]).row(0, named=True)  # type: ignore[attr-defined]
    similarity = f"{identified['similarity']:.3f}"
    for threshold, answer in (
        (-1.0, f"{identified['person']}, similarity {similarity}"),
        (1.1, "nobody of the gallery"),
    ):
        monkeypatch.setattr(model, "known_threshold_", threshold)
        assert explained(model, source).answer.startswith(answer)


def test_every_predicted_box_is_drawn(made: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch) -> None:
    model, source = made("detect")
    monkeypatch.setattr(model, "thresholds_", np.zeros(2))
    predicted = model.predict([source])  # type: ignore[attr-defined]
    found = explained(model, source)
    assert found.answer.count(",") == predicted.height - 1 > 0
    scale = 80 / 72  # pixels of the file for one of the model
    picture = found.pictures[0].drawing
    assert isinstance(picture, Picture)
    ((_, _, boxes, _),) = picture.boxes
    drawn = [(box.left, box.top + box.height) for box in boxes]
    corners = [(x / scale, (y + h) / scale) for x, y, h in predicted[["x", "y", "height"]].rows()]
    np.testing.assert_allclose(drawn, corners, atol=1e-4)


def test_a_detector_that_writes_sequences_is_explained(tmp_path: Path) -> None:
    model, source = object_detector(tmp_path, "sequence")
    best = model.predict([source], threshold=0.0).row(0, named=True)  # type: ignore[attr-defined]
    found = explained(model, source)
    x, y = (int((best[k] + best[side] / 2) * 72 / 80) for k, side in (("x", "width"), ("y", "height")))
    label, place = re.findall(r"of the class (\w+), its middle at (x \d+, y \d+)", found.pictures[1].text)[0]
    assert (label, place) == (best["label"], f"x {x}, y {y}")
    assert found.trace.layers["decoder.lstm.l0"].labels == ["box 1", "box 2", "box 3"]
    assert set(found.flow) == set(found.trace.layers)
    assert all(norms.max() > 0 for norms in found.flow.values())
    assert "第 1 个框" in explained(model, source, "zh").trace.layers["decoder.lstm.l0"].labels


def test_what_cannot_be_read_is_named(made: Callable[[str], Made], tmp_path: Path) -> None:
    model, _ = made("generate")
    with pytest.raises(InputError, match=r"none\.txt: no such file"):
        explained(model, "none.txt")
    with pytest.raises(InputError, match="a whole data set is not one input"):
        explained(model, "@tinyshakespeare")
    with pytest.raises(InputError, match="no text to explain"):
        explained(model, "  ")
    with pytest.raises(InputError, match="two characters"):
        explained(model, "a")
    for task in PICTURED:
        model, source = made(task)
        with pytest.raises(InputError, match="@mnist: no such file"):
            explained(model, "@mnist")
        with pytest.raises(InputError, match="is a folder; give one picture"):
            explained(model, str(Path(source).parent))


# -- pages ---------------------------------------------------------------------------------------------------


def test_a_page_holds_the_trace_and_no_address(made: Callable[[str], Made], tmp_path: Path) -> None:
    model, source = made("sentiment")
    path = write_explanation(tmp_path / "r.html", explained(model, source, "zh"), "zh")
    page = path.read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in page
    assert "<script src=" not in page
    assert "<link" not in page.split("</style>")[0]
    assert "{{" not in page.split('<section id="viewer">')[1].split("<script")[0]
    assert "遗忘门" in page
    assert page.count("</script>") == page.count("<script")  # the text's own end of a script is not one


def scored(task: str, source: str) -> Any:
    """Examples on which a model of `MAKERS` can be evaluated, beside the input that it explains."""
    folder = Path(source).parent
    match task:
        case "sentiment":
            texts = ["a good day", "a bad day", "</script> good"]
            return pl.DataFrame({"text": texts, "label": ["good", "bad", "good"]})
        case "translate":
            return [("one cat", "cat one"), ("ten fox", "fox ten")]
        case "generate":
            return Path(source)
        case "transcribe":
            return str(next(folder.glob("*.csv"), None) or next(folder.glob("*.json*")))
        case "command" | "faces" | "classify" | "detect":
            return str(folder.parent)
    return source


@pytest.mark.parametrize("task", MAKERS)
def test_an_evaluation_of_every_task_writes_a_page(task: str, made: Callable[[str], Made], tmp_path: Path) -> None:
    model, source = made(task)
    report = model.evaluate(scored(task, source), "some <b>data</b>", report=tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert len(page) < 1_000_000
    assert "<b>data" not in page
    assert page.count("</script>") == page.count("<script") == 1
    for name in report.baselines:
        assert f'<th scope="row">{escape(name)}</th>' in page
    for value in report.metrics.values():
        assert f"<td>{value:.3f}</td>" in page
    # The model was loaded: its folder keeps the curve.
    assert "<h2>Learning curve</h2>" in page
    contest = vars(model)["contest_"]
    for baseline in contest.on_curve if contest is not None else ():
        assert f'data-name="{escape(baseline)}"' in page or len(contest.on_curve) > 1
    if contest is not None:
        verdict = "won" if contest.winner == "memfold" else "lost"
        verdict = "drawn" if contest.scores["memfold"] == contest.scores[contest.rival] else verdict
        ours, theirs = f"{contest.scores['memfold']:.4g}", f"{contest.scores[contest.rival]:.4g}"
        said_there = {
            "won": f"the whole model won, with {contest.metric} {ours} against {theirs}",
            "drawn": f"were equal, with {contest.metric} {ours} and {theirs}",
        }
        assert escape(said_there.get(verdict, f"won, with {contest.metric} {theirs} against {ours}")) in page
    if task == "transcribe":
        assert "<h2>The words and when they were said</h2>" in page
    drawn = {"transcribe": 'table class="plain"', "faces": "<figcaption", "generate": 'class="pieces"'}
    heat = dict.fromkeys(("sentiment", "translate", "command", "classify"), 'class="heat')
    assert (drawn | heat).get(task, "<figure") in page


class Visible(HTMLParser):
    """The pieces of text that a page shows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.hidden, self.texts = 0, list[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.hidden += tag in ("script", "style")
        self.texts += [value for name, value in attributes if name in ("aria-label", "data-name") and value]

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.texts.append(data)


# What a Chinese page may say in English: Python, names of data and of measures, and what was read.
ENGLISH = re.compile(r"^\w+\(|^nrefs:|^(the|a|an|not) |^He said|\b(cat|dog|fox)\b")


@pytest.mark.parametrize("task", MAKERS)
def test_an_evaluation_in_chinese_has_no_sentence_in_english(
    task: str, made: Callable[[str], Made], tmp_path: Path
) -> None:
    model, source = made(task)
    report = model.evaluate(scored(task, source), report=tmp_path / "a.html", lang="zh")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.startswith('<!doctype html><html lang="zh-CN">')
    written = model.predict([source for source, _ in scored(task, source)]) if task == "translate" else []
    for text in Visible(page).texts:
        for part in re.split("[：:；]", text):
            if part.strip() not in written and not ENGLISH.search(part.strip()):
                assert not re.search(r"[a-z]{2,} [a-z]{2,}", part), part
    assert "lang=&quot;zh-CN&quot;" in report._repr_html_()


def test_an_evaluation_refuses_another_language(made: Callable[[str], Made], tmp_path: Path) -> None:
    model, source = made("sentiment")
    with pytest.raises(InputError, match="--lang fr: there is en and zh"):
        model.evaluate(scored("sentiment", source), report=tmp_path / "a.html", lang="fr")
    assert not (tmp_path / "a.html").exists()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize(
    ("task", "language", "width"),
    [
        ("forecast", "en", 1280),
        ("sentiment", "zh", 390),
        ("generate", "en", 390),
        ("translate", "zh", 1280),
        ("classify", "en", 390),
        ("detect", "zh", 1280),
    ],
)
def test_a_unit_is_chosen_and_time_is_scrubbed(
    task: str, language: str, width: int, made: Callable[[str], Made], browser: Any, tmp_path: Path
) -> None:
    model, source = made(task)
    found = explained(model, source, language)
    path = write_explanation(tmp_path / "r.html", found, language)
    errors: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 844}, offline=True)
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("request", lambda asked: errors.append(asked.url) if asked.url.startswith("http") else None)
    page.goto(path.as_uri())
    layer = found.trace.layers[found.first]
    assert page.evaluate("memfold.now.step") == len(layer.labels) - 1
    for name, values in layer.values.items():
        asked = "(name) => [...Array(8).keys()].map((unit) => memfold.at(name, memfold.now.step, unit))"
        assert page.evaluate(asked, name) == pytest.approx(values[-1, :8].tolist(), abs=2e-4), name
    page.select_option("#unit", "3")
    page.select_option("#value", "c")
    page.evaluate("document.getElementById('step').value = 1")
    page.dispatch_event("#step", "input")
    assert page.evaluate("[memfold.now.unit, memfold.now.step, memfold.now.value]") == [3, 1, "c"]
    readout = page.inner_text("#readout")
    said = re.search(r"c = ([-−\d.e]+)", readout)
    assert said
    assert float(said[1].replace("−", "-")) == pytest.approx(float(layer.values["c"][1, 3]), abs=2e-4)
    ledger = page.evaluate("memfold.account(3, 1)")
    expected = account(layer, 1)
    assert ledger["total"] == pytest.approx(float(expected.total[3]), abs=5e-4)
    assert ledger["parts"] == pytest.approx(expected.steps[:, 3].tolist(), abs=5e-4)
    assert page.locator("#ledger rect.plus, #ledger rect.minus").count() == len(layer.labels)
    assert page.locator("#ledger .axis").count() == 1
    page.click("#map", position={"x": 1, "y": 1})
    longest = int(np.argmax(np.nan_to_num(half_life(layer), posinf=1e9)))
    assert page.evaluate("[memfold.now.unit, memfold.now.step]") == [longest, 0]
    page.locator("#strip span").nth(1).click()
    assert page.evaluate("memfold.now.step") == 1
    last = list(found.trace.layers)[-1]
    page.select_option("#layer", last)
    assert page.evaluate("memfold.now.layer") == last
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
    assert errors == []


def test_the_command_writes_a_page_and_a_trace(
    made: Callable[[str], Made], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from memfold.cli import run

    model, source = made("translate")
    model.save(tmp_path / "model")

    def output(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["memfold", "explain", str(tmp_path / "model"), source, *arguments])
        code = run()
        said = capsys.readouterr().err
        assert code == (0 if "shows" in said else 2)
        return said

    assert "shows what the model made of ten fox" in output("--out", str(tmp_path / "a.html"), "--lang", "zh")
    assert "解码器的注意力" in (tmp_path / "a.html").read_text(encoding="utf-8")
    output("--out", str(tmp_path / "a.npz"))
    assert "encoder.l0_reverse" in Trace.load(tmp_path / "a.npz").layers
    assert "expected a name that ends in .html, .npz or .json" in output("--out", str(tmp_path / "a.pdf"))
    assert "there is no folder" in output("--out", str(tmp_path / "none" / "a.html"))
    assert "there is en and zh" in output("--lang", "fr")


def test_a_layer_that_has_no_room_keeps_the_units_that_vary_most_and_says_so(tmp_path: Path) -> None:
    steps, width = 300, 512
    rng = np.random.default_rng(0)
    f = rng.uniform(0.1, 0.9, (steps, width)).astype(np.float32)
    h = rng.normal(size=(steps, width)).astype(np.float32) * np.linspace(0.01, 1, width, dtype=np.float32)
    values = {"i": 1 - f, "f": f, "g": h, "o": f, "c": h, "h": h}
    start = {name: np.zeros(width, np.float32) for name in ("c", "h")}
    layer = LayerTrace("lstm", False, values, start, [str(step) for step in range(steps)])
    found = Explanation("forecast", "a", "b", Trace({"l0": layer}), "l0", None, [])
    page = write_explanation(tmp_path / "r.html", found).read_text(encoding="utf-8")
    assert len(page) < 1_000_000
    kept = json.loads(page.split('id="data">')[1].split("</script>")[0])["layers"]["l0"]
    assert "i" not in kept["values"]
    assert kept["coupled"]
    assert 8 <= len(kept["units"]) == width - kept["leftOut"] < width
    expected = np.argsort(-h.std(0))[: len(kept["units"])]
    assert kept["units"] == sorted(expected.tolist())


@pytest.mark.release
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("task", MAKERS)
def test_axe_finds_nothing_wrong_in_the_pages_of_a_task(
    task: str, scheme: str, made: Callable[[str], Made], browser: Any, tmp_path: Path
) -> None:
    axe = pytest.importorskip("axe_core_python")
    script = (Path(axe.__file__).parent / "axe.min.js").read_text("utf-8")
    model, source = made(task)
    for language in ("en", "zh"):
        model.evaluate(scored(task, source), report=tmp_path / f"evaluation-{language}.html", lang=language)
        write_explanation(tmp_path / f"{language}.html", explained(model, source, language), language)
    for path in sorted(tmp_path.glob("*.html")):
        for width in (390, 1280):
            context = browser.new_context(
                viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True, bypass_csp=True
            )
            page = context.new_page()
            asked: list[str] = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.goto(path.as_uri())
            page.evaluate(script)
            broken = page.evaluate("axe.run().then(({violations}) => violations.map(({id}) => id))")
            wider = page.evaluate("document.documentElement.scrollWidth") > width
            assert (broken, wider) == ([], False), (path.name, width)
            assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
            context.close()


# -- notebooks -----------------------------------------------------------------------------------------------


@pytest.mark.release
def test_an_explanation_and_a_report_show_themselves_in_a_notebook(made: Callable[[str], Made]) -> None:
    model, source = made("sentiment")
    shown = [
        explained(model, source, "zh")._repr_html_(),
        model.evaluate(scored("sentiment", source), "a < b")._repr_html_(),
    ]
    for frame, word in zip(shown, ("遗忘门", "TF-IDF"), strict=True):
        srcdoc = re.fullmatch(r'<iframe srcdoc="([^"]*)" sandbox="allow-scripts" [^<>]*></iframe>', frame)
        assert srcdoc is not None
        assert unescape(srcdoc[1]).startswith("<!doctype html>")
        assert word in srcdoc[1]
