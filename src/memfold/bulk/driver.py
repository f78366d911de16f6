"""The course of a bulk run: files in, answers beside a manifest out."""

import os
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from memfold.bulk.executor import Executor, Lost
from memfold.bulk.inputs import expanded, is_pattern, units_of
from memfold.bulk.loading import fingerprint_of
from memfold.bulk.local import Local
from memfold.bulk.manifest import Manifest
from memfold.bulk.scoring import Scored, Scoring, SeriesNames, Unit, names_of
from memfold.display import Terminal, say
from memfold.errors import InputError
from memfold.files import sweep
from memfold.formats.directory import read_config
from memfold.system import locked
from memfold.tasks.parameters import keywords_of, parameters_of, parse_settings
from memfold.tasks.registry import task_class

__all__ = ["FAILED", "is_bulk", "predict_files"]

FAILED = 3  # exit code of a run with files that could not be answered to

Result = TypeVar("Result")


def is_bulk(inputs: Sequence[str], out: str | None, *, asked: bool) -> bool:
    """Whether ``memfold predict`` is to answer to each file by itself.

    Args:
        out: where to write to; a folder where it is one, ends in a slash, or has no ending beside a pattern.
        asked: whether an option says so.

    Raises:
        InputError: an option says so, but there is no folder for the answers.
    """
    if out is None:
        if asked:
            raise InputError("--jobs, --ray and --strict are for many files: give --out FOLDER, which ends in a slash")
        return False
    patterns = any(map(is_pattern, inputs)) and not Path(out).suffix
    return asked or out.endswith(("/", os.sep)) or Path(out).is_dir() or patterns


def predict_files(
    model: Path,
    inputs: Sequence[str],
    out: Path,
    *,
    jobs: int | None = None,
    ray: str | None = None,
    strict: bool = False,
    settings: Sequence[str] = (),
) -> int:
    """Write a model's answers to each of many files into a folder, and a line for each into its manifest.

    What the manifest has of the same file, model and settings is passed over where its answers are still there and
    whole, so that the same call mends whatever ended an earlier one.

    Args:
        inputs: paths and patterns.
        jobs: units at once.
        ray: address of a cluster of Ray; this machine when None.
        strict: end at the first file that cannot be answered to.
        settings: of the task's ``answers``, as ``NAME=VALUE``.

    Returns:
        The exit code: 0, or 3 where files could not be answered to, which are then named on standard error.

    Raises:
        InputError: no model, inputs or a folder that cannot be worked with, or a series that is in two files.
    """
    config = read_config(model)
    kind = task_class(config["task"])
    options = parse_settings(keywords_of(kind.answers), f"predict for {kind.name}", settings)
    files = expanded(inputs, out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made ({error.strerror}); choose another folder") from None
    with locked(out) as free:
        if not free:
            raise InputError(f"{out}: another run writes into this folder; wait for its end, or choose another one")
        with closing(Manifest(out)) as manifest, closing(_executor(jobs, ray)) as executor:
            units = units_of(files, manifest.lines)
            if any(p.name == "id" for p in parameters_of(kind)) and len(units) > 1:
                parameters = config.get("parameters", {})
                default = next(p.default for p in parameters_of(kind) if p.name == "id")
                names = SeriesNames(parameters.get("id", default), parameters.get("encoding"), parameters.get("sheet"))
                _refuse_split_series(executor, units, names)
            work = Scoring(str(model.absolute()), fingerprint_of(model), str(out.absolute()), options)
            return _score(executor, units, work, manifest, strict)


def _executor(jobs: int | None, ray: str | None) -> Executor:
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs must be at least 1, got {jobs}")
    if ray is None:
        return Local(jobs)
    from memfold.bulk.cluster import Cluster

    return Cluster(ray, jobs)


def _refuse_split_series(executor: Executor, units: Sequence[Unit], names: SeriesNames) -> None:
    """Refuse files of which two hold rows of one series: each would be answered to without the other's.

    Raises:
        InputError: naming the series and the files.
    """
    home: dict[str, str] = {}
    looking = executor.run(units, names)
    with closing(looking), _counted("looking for series in two files", len(units)) as counter:
        for unit, series in counter.passing(looking):
            if isinstance(series, Lost):
                continue
            for name in series:
                if (other := home.setdefault(name, unit.path)) != unit.path:
                    first, second = sorted((other, unit.path))
                    raise InputError(
                        f"series {name!r} is in {first} and in {second}: a file must hold whole series; join the two, "
                        "or leave one out"
                    )


def _score(executor: Executor, units: Sequence[Unit], work: Scoring, manifest: Manifest, strict: bool) -> int:
    failed: list[str] = []
    done = again = 0
    scoring = executor.run(units, work)
    with closing(scoring), _counted("answering", len(units)) as counter:
        for unit, scored in counter.passing(scoring):
            if isinstance(scored, Lost):
                error = f"{unit.path}: {scored.reason}"
                scored = Scored({"input": unit.path, "model": work.fingerprint, "error": error})
            if scored.again:
                again += 1
                continue
            manifest.add(scored.line)
            if "error" in scored.line:
                failed.append(str(scored.line["error"]))
                if strict:
                    break
            else:
                done += 1
    sweep(manifest.path.parent, set().union(*(names_of(unit.name) for unit in units)))  # of processes that were killed
    before = f", {again:,} were there already" if again else ""
    say(f"{done:,} of {len(units):,} files answered to{before}; {manifest.path} lists them")
    if failed:
        say(f"{len(failed):,} could not be answered to{'; --strict ended the run' if strict else ''}:")
        for error in failed:
            say(f"  {error}")
    return FAILED if failed else 0


class _Counter:
    """Counts what passes through it, on a bar where there is a terminal."""

    def __init__(self, bar: Progress | None, title: str, total: int) -> None:
        self.bar = bar
        self.task = bar.add_task(title, total=total) if bar is not None else None

    def passing(self, results: Generator[Result, None, None]) -> Iterator[Result]:
        for result in results:
            yield result
            if self.bar is not None and self.task is not None:
                self.bar.advance(self.task)


@contextmanager
def _counted(title: str, total: int) -> Iterator[_Counter]:
    console = Terminal(file=sys.stderr)
    if not console.is_terminal:
        yield _Counter(None, title, total)
        return
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, refresh_per_second=4) as bar:
        yield _Counter(bar, title, total)
