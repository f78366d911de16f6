"""A model on disk: a folder with ``config.json``, ``model.safetensors`` and a model card, checked before it is loaded.

``config.json`` holds the number of its format, the task, its parameters, what fitting found, and the size and SHA-256
of the weights and of the encoder's files. The model card is a person's to edit and is not checked.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from memfold.errors import InputError, shown
from memfold.files import CONFIG, FolderKind, check_folder, read_json, settle, sha256, write_folder

__all__ = [
    "FORMAT",
    "MODEL",
    "check_place",
    "exported_in",
    "fingerprint",
    "read_config",
    "read_description",
    "read_files",
    "write_model",
]

FORMAT = 2  # 1 was memfold 0.1.0's, which wrote it as a name and a version
EARLIER = "memfold-model"
MOST_BYTES = 100_000_000  # of config.json; those of the known sets' models have some thousands
WEIGHTS, CARD, CHECKPOINT = "model.safetensors", "README.md", "checkpoint.safetensors"
TRIALS = "trials.csv"  # of the search that the model is from
TOKENS, SOURCE, TARGET = "tokens.model", "source.model", "target.model"  # of sentencepiece
TEXTS = "texts.txt"  # that a model of characters counts, a line each
ENCODERS = (TOKENS, SOURCE, TARGET, TEXTS)
PARTS = (
    "model.onnx",
    "front.onnx",
    "step.onnx",
    "encoder.onnx",
    "decoder.onnx",
)  # by which a model answers where torch is not


def _is_ours(config: Mapping[str, Any]) -> bool:
    return config.get("format") == EARLIER or (type(config.get("format")) is int and "task" in config)


MODEL = FolderKind(
    "model", _is_ours, frozenset({CONFIG, WEIGHTS, CARD, CHECKPOINT, TRIALS, *ENCODERS, *PARTS}), unfinished=CHECKPOINT
)


def write_model(
    path: Path,
    config: Mapping[str, Any],
    write_weights: Callable[[Path], None],
    card: str,
    *,
    files: Mapping[str, bytes] | None = None,
    keep_checkpoint: bool = False,
) -> None:
    """Write a model folder; a model or checkpoint that stood there before is replaced once the new one is whole.

    Args:
        write_weights: writes the file of the weights.
        files: of the encoder, by a name in `ENCODERS`.
        keep_checkpoint: leave an unfinished training's checkpoint there, so that it can still be resumed.

    Raises:
        InputError: ``path`` holds something else, or cannot be written; it is untouched then.
    """

    def write(aside: Path) -> None:
        write_weights(aside / WEIGHTS)
        (aside / CARD).write_text(card, encoding="utf-8")
        for name, content in (files or {}).items():
            (aside / name).write_bytes(content)
        fingerprints = {name: fingerprint(aside / name) for name in (WEIGHTS, *(files or {}))}
        text = json.dumps({"format": FORMAT, **config, "files": fingerprints}, indent=2, ensure_ascii=False)
        (aside / CONFIG).write_text(text + "\n", encoding="utf-8")

    write_folder(path, MODEL, write, keep={CHECKPOINT} if keep_checkpoint else ())


def check_place(path: Path, *, resume: bool = False, overwrite: bool = False) -> None:
    """Make sure, before a training, that its model can be written at ``path``.

    Raises:
        InputError: it cannot, a finished model is there that is not to be overwritten, or an unfinished training that
            is not to be resumed.
    """
    check_folder(path, MODEL)
    unfinished = (path / CHECKPOINT).exists()
    if unfinished and not (resume or overwrite):
        raise InputError(
            f"{path}: holds an unfinished training; go on with --resume, start anew with --overwrite, or choose "
            "another folder"
        )
    if (path / CONFIG).exists() and not unfinished and not overwrite:
        what = "there is nothing to resume; " if resume else ""
        raise InputError(f"{path}: holds a finished model; {what}replace it with --overwrite, or choose another folder")


def read_config(path: Path) -> dict[str, Any]:
    """Read and check ``config.json``, and the size and hash of the weights and the encoder's files.

    Raises:
        InputError: the folder is no memfold model, or one of its files is missing, truncated or changed.
    """
    if not path.is_dir():
        raise InputError(f"{path}: no such model folder")
    settle(path)
    file = path / CONFIG
    try:
        config = read_description(path)
    except FileNotFoundError:
        hint = "an unfinished training: go on with --resume" if (path / CHECKPOINT).exists() else "not a memfold model"
        raise InputError(f"{path}: has no {CONFIG}; {hint}") from None
    version = config.get("format") if isinstance(config, dict) else None
    if version == EARLIER:
        raise InputError(f"{path}: was written by memfold 0.1.0, whose models this memfold does not read; fit it again")
    if type(version) is not int:
        raise InputError(f"{file}: not a memfold model (its 'format' is {shown(version)}, expected {FORMAT})")
    if version != FORMAT:
        raise InputError(f"{file}: format {version}, this memfold reads {FORMAT}; it takes a later memfold")
    noted = config.get("files")
    if not isinstance(noted, dict) or not {WEIGHTS} <= noted.keys() <= {WEIGHTS, *ENCODERS, *PARTS}:
        raise InputError(
            f"{file}: 'files' does not name {WEIGHTS} and, where there are some, the encoder's files alone"
        )
    _check_kinds(file, config)
    for name, expected in noted.items():
        if not isinstance(expected, dict):
            raise InputError(f"{file}: 'files' says {shown(expected)} of {name}, expected its bytes and sha256")
        _check(path / name, expected)
    return dict(config)


def read_description(path: Path) -> Any:
    """What a folder's ``config.json`` holds, as it is.

    Raises:
        FileNotFoundError: there is none.
        InputError: it is no file of JSON, or larger than any model's.
    """
    file = path / CONFIG
    if file.exists() and (not file.is_file() or file.stat().st_size > MOST_BYTES):
        raise InputError(f"{file}: not a memfold model's, which is a file of at most {MOST_BYTES:,} bytes")
    return read_json(file)


def _check_kinds(file: Path, config: Mapping[str, Any]) -> None:
    """Refuse entries of another kind than every reader takes them for; what is in them a task or a pipeline checks."""
    for names, kind, words in (
        (("task", "runtime"), str, "text"),
        (("parameters", "plan", "fitted"), dict, "an object"),
    ):
        for name in names:
            if (name in config or name == "task") and not isinstance(config.get(name), kind):
                raise InputError(f"{file}: {name!r} is {shown(config.get(name))}, expected {words}")


def _check(file: Path, expected: Mapping[str, Any]) -> None:
    if not file.is_file():
        raise InputError(f"{file}: missing")
    if (size := file.stat().st_size) != expected.get("bytes"):
        raise InputError(f"{file}: {size} bytes, {shown(expected.get('bytes'))} expected; truncated or replaced")
    if fingerprint(file) != expected:
        raise InputError(f"{file}: its SHA-256 differs from the one in {CONFIG}; it was changed")


def read_files(path: Path, config: Mapping[str, Any]) -> dict[str, bytes]:
    """The encoder's files that a checked ``config.json`` names."""
    return {name: (path / name).read_bytes() for name in ENCODERS if name in config["files"]}


def exported_in(config: Mapping[str, Any]) -> dict[str, str]:
    """The files of the parts that a checked ``config.json`` names, by the parts' names."""
    return {file.removesuffix(".onnx"): file for file in PARTS if file in config["files"]}


def fingerprint(file: Path) -> dict[str, Any]:
    """What ``config.json`` says of a file."""
    return {"bytes": file.stat().st_size, "sha256": sha256(file)}
