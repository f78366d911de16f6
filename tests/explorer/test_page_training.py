"""What a visitor trains in the page: that it learns, opens as other models do, and is saved with the page."""

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memfold.explorer import LESSON, explore

CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")]

TEXT = 'The old man said "no" and went. The young man said "yes" and stayed.\n' * 30


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return explore(tmp_path_factory.mktemp("page") / "lesson.html")


@pytest.fixture
def page(browser: Any, path: Path) -> Iterator[Any]:
    context = browser.new_context(offline=True, viewport={"width": 390, "height": 844})
    opened = context.new_page()
    opened.wrong = []
    opened.on("pageerror", lambda error: opened.wrong.append(str(error)))
    opened.goto(path.as_uri() + "#k=0")  # all tools
    yield opened
    assert opened.wrong == []
    context.close()


def trained(page: Any, corpus: str, kind: str, updates: int) -> None:
    """Let the page learn what stands in its field, until it has made so many updates, and open what it learned."""
    page.fill("#corpus", corpus)
    page.select_option("[id='train kind']", kind)
    page.select_option("[id='train units']", "16")
    page.locator("[id='train go']").click()
    while page.evaluate("memfold.training().losses.length") < updates:
        page.wait_for_timeout(50)
    page.locator("[id='train go']").click()
    page.locator("[id='train open']").click()


def test_a_text_is_learned_and_opens_in_the_reader_and_is_saved_with_the_page(
    page: Any, browser: Any, tmp_path: Path
) -> None:
    trained(page, TEXT, "coupled", 60)
    first, last = page.evaluate("[memfold.training().losses[0], memfold.training().losses.at(-1)]")
    assert last < 0.8 * first
    score = page.evaluate("memfold.training().scores.at(-1).value")
    assert score < first
    # The reader of what was packed, with 8 bits a weight, says what the learner says.
    assert page.evaluate("memfold.training().score(memfold.reader()).value") == pytest.approx(score, abs=0.02)
    assert page.evaluate("memfold.now.model") == len(LESSON)
    assert "Trained in this page" in page.inner_text("#about")
    (tmp_path / "saved.html").write_text(page.evaluate("memfold.savedPage()"), encoding="utf-8")
    again = browser.new_context(offline=True).new_page()
    again.add_init_script("delete window.WebAssembly;")
    again.goto((tmp_path / "saved.html").as_uri())
    assert again.evaluate("memfold.data.models.map((model) => model.name)") == ["mine 1", *LESSON]
    kept = "memfold.reading().steps.map((step) => [...step.next])"
    assert again.evaluate(kept) == page.evaluate(kept)
    assert again.evaluate("memfold.savedPage()") == again.evaluate("memfold.savedPage()")
    again.context.close()


@pytest.mark.release
@pytest.mark.parametrize("kind", ["lstm", "peephole", "gru", "rnn"])
def test_a_column_of_numbers_is_learned_with_every_cell(kind: str, page: Any) -> None:
    rows = [f"2020-01-{k % 28 + 1:02d},{100 + 40 * math.sin(k / 3) + 10 * math.sin(k / 7):.2f}" for k in range(400)]
    trained(page, "\n".join(["day,value", *rows]), kind, 150)
    assert "400 numbers read, 1 lines left out" in page.inner_text("[id='train said']")
    value, naive = page.evaluate("[memfold.training().scores.at(-1).value, memfold.training().scores.at(-1).naive]")
    assert value < naive  # than to say the number before
    assert page.evaluate("memfold.reader().numeric")
    assert "on average" in page.inner_text("#counts")
    for zoom in (1, 2, 3, 4):
        page.evaluate("(zoom) => memfold.set({zoom})", zoom)
        assert "undefined" not in page.inner_text("#inside")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_too_little_to_learn_from_is_said(page: Any) -> None:
    page.fill("#corpus", "short")
    page.locator("[id='train go']").click()
    assert "That is 5 characters or numbers; 200 are the least." in page.inner_text("[id='train said']")
    assert not page.is_visible("[id='train open']")


def test_the_gradient_that_is_drawn_is_that_of_the_cells(page: Any) -> None:
    """The learner's, in float32, beside the reader's, in float64, which is held equal to memfold's."""
    largest = page.evaluate(
        """() => {
          let largest = 0;
          for (const cell of Object.keys(memfold.CELLS)) {
            const its = new memfold.Learner({cell, hidden: 8, inputs: 3, outputs: 8, steps: 9, rows: 1, seed: 1});
            const chance = memfold.random(2), x = Float32Array.from({length: 27}, chance);
            const dy = Array.from({length: 8}, chance);
            its.forward(x, false);
            its.y.fill(0);
            its.y.set(dy, 8 * 8);
            its.backward(x, false);
            const layer = new memfold.Layer({cell, hidden: 8, inputs: 3, ...its.layer()});
            const steps = layer.forward(Array.from({length: 9}, (_, t) => [...x.subarray(3 * t, 3 * t + 3)]));
            const {weight} = its.linear();
            const last = Array.from({length: 8}, (_, k) => dy.reduce((sum, d, j) => sum + d * weight[j * 8 + k], 0));
            const none = new Array(8).fill(0);
            const {dh} = layer.backward(steps, steps.map((_, t) => (t === 8 ? last : none)));
            dh.forEach((row, t) => row.forEach((value, u) => {
              largest = Math.max(largest, Math.abs(value - its.dh[8 * t + u]));
            }));
          }
          return largest;
        }"""
    )
    assert largest < 1e-5


def test_the_flow_of_a_plain_rnn_fades_before_that_of_gates_and_a_bias_keeps_more(page: Any) -> None:
    flow: Any = lambda cell, bias: page.evaluate("([cell, bias]) => memfold.flowOf(cell, bias, 1)[50]", [cell, bias])  # noqa: E731
    assert flow("rnn_tanh", 1) < 1e-9 < flow("lstm", 1) < flow("lstm", 3)
    assert flow("gru", 0) < flow("gru", 3)
    page.evaluate("document.getElementById('flow bias').value = 4")
    page.locator("[id='flow bias']").dispatch_event("input")
    assert "4.0" in page.inner_text("[id='flow bias value']")


@pytest.mark.release
def test_a_race_runs_and_stops_and_says_what_became_of_each(page: Any) -> None:
    page.select_option("[id='race lag']", "20")
    page.locator("[id='race go']").click()
    while not page.evaluate("memfold.race().racers.every((racer) => racer.errors.length)"):
        page.wait_for_timeout(50)
    page.locator("[id='race go']").click()
    said = page.inner_text("[id='race said']")
    assert said.count("sequences") == 3
    assert "LSTM:" in said


@pytest.mark.release
def test_gates_learn_to_add_over_fifty_steps_and_a_plain_rnn_does_not(page: Any) -> None:
    """Twenty seeds; the page gives up after 128,000 sequences."""
    outcomes = {"rnn": 0, "lstm": 0, "gru": 0}
    for seed in range(20):
        for name in outcomes:
            solved = page.evaluate(
                """([name, seed]) => {
                  const [, cell] = memfold.RACERS.find(([racer]) => racer === name);
                  const racer = new memfold.Racer(name, cell, 50, seed + 1);
                  while (!racer.over) racer.update();
                  return racer.solved;
                }""",
                [name, seed],
            )
            outcomes[name] += solved is not None
    print(outcomes)
    assert outcomes["rnn"] <= 2
    assert outcomes["gru"] >= 18
    assert outcomes["lstm"] >= 18


def test_every_kind_of_cell_reads_the_same_text_and_their_scores_stand_side_by_side(page: Any) -> None:
    page.fill("#corpus", TEXT)
    page.evaluate("memfold.goTour(11)")
    page.locator("[id='variants go']").click()
    page.locator("#variants b").wait_for(timeout=60_000)
    kinds = page.evaluate("memfold.comparison().trainings.map(({kind}) => kind)")
    assert kinds == ["lstm", "coupled", "peephole", "gru", "rnn"]
    assert page.evaluate("memfold.comparison().trainings.map(({losses}) => losses.length)") == [300] * 5
    scores = page.evaluate("memfold.comparison().trainings.map(({scores}) => scores.at(-1).value)")
    rows = page.locator("#variants tbody tr")
    assert [float(row.locator("td").nth(2).inner_text()) for row in rows.all()] == pytest.approx(scores, abs=5e-4)
    assert float(page.inner_text("#variants b")) == pytest.approx(min(scores), abs=5e-4)
    assert max(scores) < 1.5  # the text says the same two lines again and again
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("[id='variants go']").click()
    page.locator("[id='variants go']").click()
    # It stops after the step at hand.
    page.locator("#variants [role=status]", has_text="nothing is compared").wait_for(timeout=60_000)


@pytest.mark.release
def test_kinds_of_cells_are_compared_on_a_column_of_numbers_too_and_on_too_little_not_at_all(page: Any) -> None:
    page.fill("#corpus", "\n".join(str(round(100 + 40 * math.sin(k / 3))) for k in range(300)))
    page.evaluate("memfold.goTour(11)")
    page.locator("[id='variants go']").click()
    page.locator("#variants b").wait_for(timeout=60_000)
    assert "Who always says the number before has" in page.inner_text("#variants [role=status]")
    page.evaluate("memfold.goTour(0)")
    page.fill("#corpus", "short")
    page.evaluate("memfold.goTour(11)")
    page.locator("[id='variants go']").click()
    assert "200 are the least" in page.inner_text("#variants [role=status]")
