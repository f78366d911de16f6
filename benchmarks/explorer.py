"""What the explorer's page costs in Chromium, and how its race ends.

Printed are the updates a second of the training in the page, 512 characters each, at 32, 64 and 128 units, by its
WebAssembly kernel and by plain JavaScript; the milliseconds from opening the lesson until it is drawn with the first
network's answers, and until a further letter is answered; with ``--seeds`` what becomes of a plain RNN, an LSTM and a
GRU that learn to add over 50 steps, from so many first weights. A seed takes about a minute of one core.

    python benchmarks/explorer.py
    python benchmarks/explorer.py --seeds 20
"""

import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from playwright.sync_api import Browser, sync_playwright

from memfold.explorer import explore

UNITS = (32, 64, 128)
SECONDS = 5  # of each training
OPENED = 9  # times
LAG = 50
CELLS = ("rnn", "lstm", "gru")


def speed(page: Any, units: int, wasm: bool) -> float:
    """Updates a second of an LSTM that learns the lesson's text, by the time that it was busy."""
    answer: float = page.evaluate(
        """([units, seconds, wasm]) => {
          const text = memfold.data.models[0].corpus ?? memfold.data.models[0].probe;
          const training = new memfold.Training(text, {kind: "lstm", hidden: units, wasm});
          training.slice(500); // until it is compiled
          const [updates, busy] = [training.losses.length, training.busy];
          training.slice(1000 * seconds);
          return 1000 * (training.losses.length - updates) / (training.busy - busy);
        }""",
        [units, SECONDS, wasm],
    )
    return answer


def opening(browser: Browser, path: Path) -> tuple[float, float, float]:
    """Milliseconds from opening until all is computed and drawn, until it is seen, and of a further letter."""
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_timeout(300)
    ready, seen = page.evaluate(
        """() => [performance.getEntriesByType("navigation")[0].domInteractive,
          performance.getEntriesByName("first-contentful-paint")[0].startTime]"""
    )
    letter = page.evaluate(
        """() => {
          memfold.set({tour: 0});
          const begun = performance.now();
          memfold.set({text: memfold.now.text + "a", step: memfold.now.text.length});
          return performance.now() - begun;
        }"""
    )
    page.close()
    return ready, seen, letter


def raced(page: Any, cell: str, seed: int) -> int | None:
    """The sequences after which a cell has learned to add, None if it has not when the page gives up."""
    answer: int | None = page.evaluate(
        """([name, lag, seed]) => {
          const [, cell] = memfold.RACERS.find(([racer]) => racer === name);
          const racer = new memfold.Racer(name, cell, lag, seed);
          while (!racer.over) racer.update();
          return racer.solved;
        }""",
        [cell, LAG, seed],
    )
    return answer


def race(page: Any, seeds: int) -> None:
    """Print what becomes of every cell with every seed, and the sum."""
    found: dict[str, list[int | None]] = {cell: [] for cell in CELLS}
    for seed in range(1, seeds + 1):
        for cell in CELLS:
            found[cell].append(raced(page, cell, seed))
        said = ", ".join(f"{cell} {found[cell][-1] or 'not'}" for cell in CELLS)
        print(f"seed {seed}: sequences until it adds over {LAG} steps: {said}", flush=True)
    for cell, outcomes in found.items():
        solved = [outcome for outcome in outcomes if outcome is not None]
        spread = f", {min(solved):,} to {max(solved):,}, median {statistics.median(solved):,.0f}" if solved else ""
        print(f"{cell}: {len(solved)} of {seeds} learned it{spread}")


def main(
    seeds: Annotated[int, typer.Option(help="First weights that the race is run from; 0 for no race.")] = 0,
) -> None:
    """Measure the lesson in Chromium."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = explore(Path(folder) / "lesson.html")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        print(f"Chromium {browser.version}; the lesson has {path.stat().st_size / 1000:.0f} kB")
        opened = [
            statistics.median(times) for times in zip(*(opening(browser, path) for _ in range(OPENED)), strict=True)
        ]
        print("drawn after {:.0f} ms, seen after {:.0f}, a further letter {:.1f}".format(*opened), flush=True)
        page = browser.new_page()
        page.goto(path.as_uri())
        for wasm in (True, False):
            by_units = [f"H{units} {speed(page, units, wasm):.0f}" for units in UNITS]
            print(f"updates a second, {'WebAssembly' if wasm else 'JavaScript'}: {', '.join(by_units)}", flush=True)
        if seeds:
            race(page, seeds)
        browser.close()


if __name__ == "__main__":
    typer.run(main)
