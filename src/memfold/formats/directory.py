"""A model on disk: a folder with ``config.json``, ``model.safetensors`` and a model card, checked before it is loaded.

``config.json`` holds the task, its parameters, what fitting found, and the size and SHA-256 of the weights and of the
encoder's files. The model card is a person's to edit and is not checked.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from memfold.errors import InputError, shown
from memfold.files import CONFIG, FolderKind, check_folder, read_json, settle, sha256, write_folder

__all__ = ["MODEL", "check_place", "count_weights", "read_config", "read_files", "read_weights", "write_model"]

FORMAT = "memfold-model"
VERSION = 1
WEIGHTS, CARD, CHECKPOINT = "model.safetensors", "README.md", "checkpoint.safetensors"
TOKENS, SOURCE, TARGET = "tokens.model", "source.model", "target.model"  # of sentencepiece
TEXTS = "texts.txt"  # that a model of characters counts, a line each
ENCODERS = (TOKENS, SOURCE, TARGET, TEXTS)
MODEL = FolderKind("model", FORMAT, frozenset({CONFIG, WEIGHTS, CARD, CHECKPOINT, *ENCODERS}), unfinished=CHECKPOINT)


def write_model(
    path: Path,
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    card: str,
    *,
    files: Mapping[str, bytes] | None = None,
    keep_checkpoint: bool = False,
) -> None:
    """Write a model folder; a model or checkpoint that stood there before is replaced once the new one is whole.

    Args:
        files: of the encoder, by a name in `ENCODERS`.
        keep_checkpoint: leave an unfinished training's checkpoint there, so that it can still be resumed.

    Raises:
        InputError: ``path`` holds something else, or cannot be written; it is untouched then.
    """

    def write(aside: Path) -> None:
        save_file({name: value.contiguous() for name, value in weights.items()}, aside / WEIGHTS)
        (aside / CARD).write_text(card, encoding="utf-8")
        for name, content in (files or {}).items():
            (aside / name).write_bytes(content)
        head = {"format": FORMAT, "format_version": VERSION}
        fingerprints = {name: _fingerprint(aside / name) for name in (WEIGHTS, *(files or {}))}
        text = json.dumps({**head, **config, "files": fingerprints}, indent=2, ensure_ascii=False)
        (aside / CONFIG).write_text(text + "\n", encoding="utf-8")

    write_folder(path, MODEL, write, keep={CHECKPOINT} if keep_checkpoint else ())


def check_place(path: Path, *, resume: bool = False) -> None:
    """Make sure, before a training, that its model can be written at ``path``.

    Raises:
        InputError: it cannot, or an unfinished training is there that is not to be resumed.
    """
    check_folder(path, MODEL)
    if (path / CHECKPOINT).exists() and not resume:
        raise InputError(f"{path}: holds an unfinished training; go on with --resume, or choose another folder")


def read_config(path: Path) -> dict[str, Any]:
    """Read and check ``config.json``, and the size and hash of the weights and the encoder's files.

    Raises:
        InputError: the folder is no memfold model, or one of its files is missing, truncated or altered.
    """
    if not path.is_dir():
        raise InputError(f"{path}: no such model folder")
    settle(path)
    file = path / CONFIG
    try:
        config = read_json(file)
    except FileNotFoundError:
        hint = "an unfinished training: go on with --resume" if (path / CHECKPOINT).exists() else "not a memfold model"
        raise InputError(f"{path}: has no {CONFIG}; {hint}") from None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise InputError(f"{file}: not a memfold model (its 'format' is not {FORMAT!r})")
    if config.get("format_version") != VERSION:
        raise InputError(f"{file}: format version {shown(config.get('format_version'))}, this memfold reads {VERSION}")
    noted = config.get("files")
    if not isinstance(noted, dict) or not {WEIGHTS} <= noted.keys() <= {WEIGHTS, *ENCODERS}:
        raise InputError(
            f"{file}: 'files' does not name {WEIGHTS} and, where there are some, the encoder's files alone"
        )
    for name, expected in noted.items():
        if not isinstance(expected, dict):
            raise InputError(f"{file}: 'files' says {shown(expected)} of {name}, expected its bytes and sha256")
        _check(path / name, expected)
    return config


def _check(file: Path, expected: Mapping[str, Any]) -> None:
    if not file.is_file():
        raise InputError(f"{file}: missing")
    if (size := file.stat().st_size) != expected.get("bytes"):
        raise InputError(f"{file}: {size} bytes, {shown(expected.get('bytes'))} expected; truncated or replaced")
    if _fingerprint(file) != expected:
        raise InputError(f"{file}: its SHA-256 differs from the one in {CONFIG}; altered")


def read_files(path: Path, config: Mapping[str, Any]) -> dict[str, bytes]:
    """The encoder's files that a checked ``config.json`` names."""
    return {name: (path / name).read_bytes() for name in ENCODERS if name in config["files"]}


def count_weights(path: Path) -> int:
    """How many tensors ``model.safetensors`` holds.

    Raises:
        InputError: the file cannot be read.
    """
    file = path / WEIGHTS
    try:
        with safe_open(file, framework="pt") as stored:
            return len(stored.keys())
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file}: not readable as safetensors ({error})") from None


def read_weights(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read ``model.safetensors`` after holding every name, shape and dtype against ``expected`` (meta tensors serve).

    Raises:
        InputError: a tensor is missing, unexpected, or of another shape or dtype.
    """
    file = path / WEIGHTS
    try:
        with safe_open(file, framework="pt") as stored:
            names = set(stored.keys())
            for name in sorted(names ^ set(expected)):
                raise InputError(f"{file}: tensor {name!r} is {'unexpected' if name in names else 'missing'}")
            for name, tensor in expected.items():
                part = stored.get_slice(name)
                if (shape := tuple(part.get_shape())) != tuple(tensor.shape):
                    raise InputError(f"{file}: tensor {name!r} has shape {shape}, the model {tuple(tensor.shape)}")
                if (dtype := part.get_dtype()) != _DTYPES[tensor.dtype]:
                    raise InputError(f"{file}: tensor {name!r} is {dtype}, the model {_DTYPES[tensor.dtype]}")
            return {name: stored.get_tensor(name) for name in expected}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file}: not readable as safetensors ({error})") from None


_DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64", torch.uint8: "U8", torch.bool: "BOOL"}


def _fingerprint(file: Path) -> dict[str, Any]:
    return {"bytes": file.stat().st_size, "sha256": sha256(file)}
