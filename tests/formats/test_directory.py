import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from memfold.errors import InputError
from memfold.formats.directory import check_place, read_config, read_files
from memfold.formats.directory import write_model as write_model_by
from memfold.formats.weights import checked_weights, write_weights
from memfold.runtime.weights import Weights

WEIGHTS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4)}


def write_model(
    path: Path, config: dict[str, object], weights: dict[str, torch.Tensor], card: str, **more: object
) -> None:
    write_model_by(path, config, lambda file: write_weights(file, weights), card, **more)  # type: ignore[arg-type]


def read_weights(path: Path, expected: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    weights = Weights.read(path / "model.safetensors")
    return checked_weights(weights.arrays, weights.where, expected)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_model(tmp_path / "model", {"task": "none"}, WEIGHTS, "a card\n")
    return tmp_path / "model"


def test_what_is_written_is_read_back(model: Path) -> None:
    assert read_config(model)["task"] == "none"
    weights = read_weights(model, WEIGHTS)
    assert all(torch.equal(weights[name], value) for name, value in WEIGHTS.items())
    assert (model / "README.md").read_text() == "a card\n"


def test_a_model_card_may_be_edited(model: Path) -> None:
    (model / "README.md").write_text("my own words")
    read_config(model)


def test_a_truncated_model_is_refused(model: Path) -> None:
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"model\.safetensors: \d+ bytes, \d+ expected"):
        read_config(model)


def test_an_altered_model_is_refused(model: Path) -> None:
    file = model / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(InputError, match="SHA-256 differs"):
        read_config(model)


def test_the_encoders_files_are_read_back_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write_model(path, {"task": "none"}, WEIGHTS, "", files={"tokens.model": b"pieces"})
    assert read_files(path, read_config(path)) == {"tokens.model": b"pieces"}
    write_model(path, {"task": "none"}, WEIGHTS, "", files={"tokens.model": b"pieces"})  # over itself
    (path / "tokens.model").write_bytes(b"Pieces")
    with pytest.raises(InputError, match=r"tokens\.model: its SHA-256 differs"):
        read_config(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable as JSON"),
        ("[]", "not a memfold model"),
        ('{"model_type": "bert"}', "not a memfold model"),
        (
            '{"format": "memfold-model", "format_version": 1}',
            "written by memfold 0.1.0, whose models this memfold does",
        ),
        ('{"format": 99}', "format 99, this memfold reads 2; it takes a later memfold"),
        ('{"format": true}', "not a memfold model"),
        ('{"format": 2, "files": {}}', "'files' does not name model.safetensors"),
    ],
)
def test_a_foreign_configuration_is_refused(model: Path, text: str, message: str) -> None:
    (model / "config.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_config(model)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no config\.json; not a memfold model"):
        read_config(tmp_path)
    with pytest.raises(InputError, match="no such model folder"):
        read_config(tmp_path / "none")
    (tmp_path / "checkpoint.safetensors").touch()
    with pytest.raises(InputError, match="an unfinished training: go on with --resume"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"a": WEIGHTS["a"]}, "tensor 'b' is unexpected"),
        ({**WEIGHTS, "c": torch.ones(1)}, "tensor 'c' is missing"),
        ({**WEIGHTS, "b": torch.ones(5)}, r"tensor 'b' has shape \(4,\), the model \(5,\)"),
        ({**WEIGHTS, "b": torch.ones(4).double()}, "tensor 'b' is torch.float32, the model torch.float64"),
    ],
)
def test_weights_of_another_model_are_refused(model: Path, expected: dict[str, torch.Tensor], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_weights(model, expected)


def test_a_huge_promised_tensor_is_refused_without_allocating(model: Path) -> None:
    expected = {"a": torch.empty(10**12, 3, device="meta"), "b": WEIGHTS["b"]}
    with pytest.raises(InputError, match="tensor 'a' has shape"):
        read_weights(model, expected)


def test_a_foreign_folder_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds 'thesis\.tex'"):
        write_model(tmp_path, {}, WEIGHTS, "")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        write_model(tmp_path / "file", {}, WEIGHTS, "")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_full_disk_leaves_the_old_model_whole(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tensors: object, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("memfold.formats.weights.save_file", full)
    with pytest.raises(InputError, match=r"No space left on device.*untouched"):
        write_model(model, {"task": "new"}, WEIGHTS, "")
    assert read_config(model)["task"] == "none"
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_a_model_replaces_a_model_and_can_keep_the_checkpoint(model: Path) -> None:
    save_file({"x": torch.ones(1)}, model / "checkpoint.safetensors")
    write_model(model, {"task": "second"}, WEIGHTS, "", keep_checkpoint=True)
    assert json.loads((model / "config.json").read_text())["task"] == "second"
    assert (model / "checkpoint.safetensors").exists()
    write_model(model, {"task": "third"}, WEIGHTS, "")
    assert not (model / "checkpoint.safetensors").exists()


def test_a_finished_model_and_an_unfinished_training_are_kept_unless_said_otherwise(model: Path) -> None:
    for resume in (False, True):
        with pytest.raises(InputError, match=r"holds a finished model; .*replace it with --overwrite"):
            check_place(model, resume=resume)
    check_place(model, overwrite=True)
    (model / "checkpoint.safetensors").touch()
    with pytest.raises(InputError, match="holds an unfinished training; go on with --resume"):
        check_place(model)
    check_place(model, resume=True)
    check_place(model, overwrite=True)
