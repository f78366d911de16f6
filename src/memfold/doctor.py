"""What is installed here, what the machine offers and which tasks can run; imports neither torch nor the tasks."""

import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from memfold import engine
from memfold.extras import EXTRAS, TASKS_OF, install, is_installed

__all__ = ["Examination", "Readiness", "examine"]

PRECISIONS = {  # that the engine computes in, on every instruction set
    "float32": "",
    "float64": "",
    "bfloat16": " (products, with sums in float32)",
}

# What a fitted model answers by, which is less than what it is fitted and scored by.
_TABLES = ("polars", "narwhals")
ANSWER_BY: dict[str, tuple[str, ...]] = {
    "anomaly": _TABLES,
    "forecast": (*_TABLES, "utilsforecast"),
    "generate": (*_TABLES, "sentencepiece"),
    "sentiment": (*_TABLES, "sentencepiece"),
    "translate": (*_TABLES, "torch", "sentencepiece", "scikit-learn"),
    "command": (*_TABLES, "soundfile", "soxr"),
    "transcribe": (*_TABLES, "soundfile", "soxr", "jiwer"),
    "classify": (*_TABLES, "torch", "pillow", "scikit-learn", "scipy"),
    "detect": (*_TABLES, "torch", "pillow", "pyyaml"),
    "faces": (*_TABLES, "torch", "pillow", "scikit-learn", "scipy"),
}


@dataclass(frozen=True)
class Readiness:
    """Whether something can run.

    Attributes:
        ready: it can.
        missing: the packages that it lacks.
        install: the command that installs them, none where nothing is missing.
    """

    ready: bool
    missing: list[str]
    install: str | None


@dataclass(frozen=True)
class Examination:
    """What `examine` found.

    Attributes:
        memfold, python, system: versions, and the system with its processor.
        packages: the version of every package that memfold can do with, None where it is not installed.
        isa: the instruction set in use.
        precisions: that the engine computes in.
        threads, threads_reason: how many threads a layer takes, and why.
        data_folder: what ``MEMFOLD_DATA`` names, from which known sets are read first.
        cache: where they are downloaded to, None where what downloads them is not installed.
        tasks: of each task whether it can ``fit`` and ``answer``.
    """

    memfold: str
    python: str
    system: str
    packages: dict[str, str | None]
    isa: str
    precisions: list[str]
    threads: int
    threads_reason: str
    data_folder: str | None
    cache: str | None
    tasks: dict[str, dict[str, Readiness]]

    def as_json(self) -> dict[str, object]:
        """The same as an object of JSON."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """The same for a person."""
        yield f"memfold {self.memfold}, Python {self.python}, {self.system}"
        precisions = ", ".join(f"{name}{PRECISIONS[name]}" for name in self.precisions)
        yield f"engine: instruction set {self.isa}; {precisions}"
        yield f"threads: {self.threads}, {self.threads_reason}"
        first = f"from {self.data_folder}/NAME, by MEMFOLD_DATA, and else " if self.data_folder else ""
        where = (
            f"downloaded into {self.cache}" if self.cache else f"not downloaded without pooch: {install(['series'])}"
        )
        yield f"known sets (@NAME): {first}{where}"
        yield ""
        width = max(map(len, self.packages))
        for name, installed in self.packages.items():
            extras = ", ".join(extra for extra, brought in EXTRAS.items() if name in brought) or "always there"
            yield f"{name:<{width}}  {installed or 'not installed':<13}  {extras}"
        yield ""
        width = max(map(len, self.tasks))
        for name, does in self.tasks.items():
            able = [what for what, state in does.items() if state.ready]
            lacking = [f"to {what}: {state.install}" for what, state in does.items() if state.install]
            can = f"can {' and '.join(able)}" if able else "cannot run"
            yield f"{name:<{width}}  {'; '.join([can, *lacking])}"


def examine() -> Examination:
    """Look at what is installed and at the machine; nothing is imported for it but the engine."""
    threads, reason = engine.threads_and_reason()
    packages = ["numpy", "safetensors", *dict.fromkeys(name for brought in EXTRAS.values() for name in brought)]
    tasks = {}
    for extra, names in TASKS_OF.items():
        for task in names:
            fit = _readiness((*EXTRAS["cli"], *EXTRAS["train"], *EXTRAS[extra]), ["train", extra])
            by = ANSWER_BY[task]
            tasks[task] = {"fit": fit, "answer": _readiness((*EXTRAS["cli"], *by), ["train", extra])}
    return Examination(
        memfold=version("memfold"),
        python=platform.python_version(),
        system=f"{platform.system()} on {platform.machine()}",
        packages={name: _version(name) for name in packages},
        isa=engine.isa(),
        precisions=list(PRECISIONS),
        threads=threads,
        threads_reason=reason,
        data_folder=os.environ.get("MEMFOLD_DATA") or None,
        cache=_cache(),
        tasks=dict(sorted(tasks.items())),
    )


def _readiness(packages: tuple[str, ...], extras: list[str]) -> Readiness:
    missing = [name for name in packages if not is_installed(name)]
    needed = [extra for extra in extras if set(missing) & {*EXTRAS[extra]}] or ["cli"]  # which the others bring too
    return Readiness(not missing, missing, install(needed) if missing else None)


def _version(package: str) -> str | None:
    """What is installed of a package, "unknown" where it does not say its version."""
    if not is_installed(package):
        return None
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _cache() -> str | None:
    """Where known sets are downloaded to."""
    if not is_installed("pooch"):
        return None
    from platformdirs import user_cache_dir  # which pooch takes for it

    return str(Path(user_cache_dir("memfold")))
