"""Going on from a model with new data, over a small model of every task."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sentencepiece import SentencePieceProcessor

import memfold
from command_line import run_here
from memfold import training
from memfold.data.row_keys import MOST, RowSet, file_keys
from memfold.runtime.writing.pieces import with_pieces
from memfold.runtime.writing.vocabulary import Subwords
from memfold.tasks import Task, TextClassifier
from memfold.tasks.registry import TASKS
from tasks.small import SMALL, Small

Done = subprocess.CompletedProcess[str]


def settings_of(small: Small) -> list[str]:
    """The parameters of a small model, as the command line takes them."""
    given = []
    for name, value in small.parameters.items():
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        given += ["--set", f"{name}={text.lower() if isinstance(value, bool) else text}"]
    return given


@pytest.fixture(scope="module", params=sorted(TASKS))
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Small:
    return SMALL[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def begun(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that the command line fitted."""
    out = tmp_path_factory.mktemp("begun") / "m"
    done = run_here("fit", small.name, *small.data, "--out", str(out), "--budget", "2ep", *settings_of(small))
    assert done.returncode == 0, done.stderr
    return out


def update(small: Small, begun: Path, out: Path, *more: str) -> Done:
    origin = ["--from", str(begun), "--out", str(out), "--budget", "1ep"]
    return run_here("fit", small.name, *small.data, *origin, *more)


@pytest.fixture(scope="module")
def updated(small: Small, begun: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """The same data given again, and what the command said."""
    out = tmp_path_factory.mktemp("updated") / "m2"
    return out, update(small, begun, out, "--json")


def test_an_update_scores_what_was_held_out_before_and_after(
    small: Small, begun: Path, updated: tuple[Path, Done]
) -> None:
    out, done = updated
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)["from"]
    assert scores["model"] == str(begun)
    part = scores["old"] or scores["new"]
    assert part is not None
    assert part["before"].keys() == part["after"].keys()
    assert memfold.load(out).get_params() == memfold.load(begun).get_params() or small.name == "faces"
    assert "  as it begins" in done.stderr


def test_what_was_held_out_stays_held_out(begun: Path, updated: tuple[Path, Done]) -> None:
    one, other = (json.loads((folder / "config.json").read_text())["data"] for folder in (begun, updated[0]))
    assert {part: one[part] for part in ("train", "valid", "test")} == {
        part: other[part] for part in ("train", "valid", "test")
    }


def test_update_in_python_goes_on_and_returns_itself(small: Small) -> None:
    model: Task = small.fitted()
    before = {name: value.shape for name, value in model.network_.state_dict().items()}
    assert model.update(small.X, small.y, budget="1ep", progress=False) is model
    after = model.network_.state_dict()
    assert after.keys() == before.keys()
    assert model.begun is None
    model.predict(small.X if small.name != "translate" else small.X[:2])


def test_a_setting_that_the_network_is_made_of_is_refused_by_name(small: Small, begun: Path, tmp_path: Path) -> None:
    done = update(small, begun, tmp_path / "m2", "--set", "hidden_size=32")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"memfold: --set hidden_size=32: {begun} has hidden_size={small.parameters['hidden_size']}, which an update "
        "keeps; leave it out, or fit anew without --from"
    ]


# -- of one task -------------------------------------------------------------------------------------------------

NAMES = {"good": ("good", "fine", "nice"), "bad": ("bad", "poor", "dull"), "odd": ("odd", "weird", "queer")}
TINY = ("members=1", "embedding_size=8", "hidden_size=8")


def texts(folder: Path, name: str, labels: tuple[str, ...], count: int = 30) -> str:
    rng = np.random.default_rng(len(name))
    rows = [(f"{rng.choice(NAMES[label])} film {number}", label) for label in labels for number in range(count)]
    pl.DataFrame(rows, schema=["text", "label"], orient="row").write_csv(folder / name)
    return str(folder / name)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small classifier, beside the file old.csv that it was fitted to, and new.csv of another class."""
    folder = tmp_path_factory.mktemp("classifier")
    old = texts(folder, "old.csv", ("good", "bad"))
    texts(folder, "new.csv", ("odd",))
    done = run_here("fit", "sentiment", old, "--out", str(folder / "m"), "--budget", "2ep", "--set", *TINY)
    assert done.returncode == 0, done.stderr
    return folder / "m"


def go_on(model: Path, out: Path, *more: str, data: str = "new.csv") -> Done:
    arguments = ["fit", "sentiment", str(model.parent / data), "--from", str(model), "--out", str(out)]
    return run_here(*arguments, "--budget", "2ep", *more)


def test_a_new_class_is_learned_beside_the_old_data_where_it_still_is(classifier: Path, tmp_path: Path) -> None:
    done = go_on(classifier, tmp_path / "m", "--json")
    assert done.returncode == 0, done.stderr
    assert "given again beside them: " in done.stderr
    scores = json.loads(done.stdout)["from"]
    assert scores["new"]["before"]["accuracy"] == 0.0
    assert scores["old"] is not None
    model: Any = memfold.load(tmp_path / "m")
    assert model.classes_ == ["bad", "good", "odd"]
    assert [len(group) for group in model.kept_.sources] == [1, 1]


def test_without_the_old_data_that_is_said_and_its_score_is_not_measured(classifier: Path, tmp_path: Path) -> None:
    done = go_on(classifier, tmp_path / "m", "--json", "--set", "old=none")
    assert done.returncode == 0, done.stderr
    assert "what was learned of it may be forgotten, and by how much is not measured" in done.stderr
    assert json.loads(done.stdout)["from"]["old"] is None
    model: Any = memfold.load(tmp_path / "m")
    assert len(model.network_.ngrams.bias) == 3  # carried, with a class that it never answers


def test_a_grown_file_keeps_each_old_row_in_its_part(classifier: Path, tmp_path: Path) -> None:
    old, new = (pl.read_csv(classifier.parent / name) for name in ("old.csv", "new.csv"))
    pl.concat([new, old.sample(fraction=1.0, shuffle=True, seed=1)]).write_csv(classifier.parent / "all.csv")
    done = go_on(classifier, tmp_path / "m", data="all.csv")
    assert done.returncode == 0, done.stderr
    before, after = (memfold.load(folder).kept_ for folder in (classifier, tmp_path / "m"))
    for part in ("train", "valid", "test"):
        rest = [other for other in ("train", "valid", "test") if other != part]
        assert np.isin(before.rows(part).hashes, after.rows(part).hashes).all()
        assert not any(np.isin(before.rows(part).hashes, after.rows(other).hashes).any() for other in rest)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plan", "{m}"], "--plan: with --from the plan is that of {m}; leave --plan out"),
        (["--members", "4"], "--set members=4: {m} has members=1, which an update keeps; leave it out, or fit anew"),
        (["--out", "{m}"], "--out {m}: is the model that the update goes on from; choose another folder"),
        (["--from", "nowhere"], "--from nowhere: no such model folder"),
        (["--set", "old=nowhere"], "--set old=nowhere: no such file or folder"),
        (["--set", "colour=1"], "--set colour=1: an update of a sentiment model has no parameter 'colour'; it has"),
    ],
)
def test_what_an_update_does_not_take_is_refused_in_one_line(
    classifier: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = go_on(classifier, tmp_path / "m", *(word.format(m=classifier) for word in arguments))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"memfold: {message.format(m=classifier)}")


def test_a_model_of_another_task_and_a_damaged_one_are_refused(classifier: Path, tmp_path: Path) -> None:
    data = str(classifier.parent / "new.csv")
    done = run_here("fit", "translate", data, "--from", str(classifier), "--out", str(tmp_path / "m"))
    assert done.stderr == f"memfold: --from {classifier}: is a model for sentiment, not for translate\n"
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in classifier.iterdir():
        (broken / file.name).write_bytes(file.read_bytes()[: 100 if file.name == "model.safetensors" else None])
    done = run_here("fit", "sentiment", data, "--from", str(broken), "--out", str(tmp_path / "m"))
    assert done.returncode == 2
    assert done.stderr.startswith(f"memfold: --from {broken / 'model.safetensors'}: 100 bytes, ")


def test_dry_run_writes_nothing(classifier: Path, tmp_path: Path) -> None:
    done = go_on(classifier, tmp_path / "m", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "an update would take" in done.stderr
    assert not (tmp_path / "m").exists()
    data = str(classifier.parent / "new.csv")
    assert run_here("fit", "sentiment", data, "--from", str(classifier), "--dry-run").returncode == 0


def test_an_interrupted_update_resumes_to_the_same_weights(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert go_on(classifier, tmp_path / "whole").returncode == 0
    taken, take = iter(range(1000)), training._Loop.take_step

    def interrupted(loop: Any, *arguments: Any) -> float:
        if next(taken) == 1:
            raise KeyboardInterrupt
        return take(loop, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training._Loop, "take_step", interrupted)
        assert go_on(classifier, tmp_path / "m").returncode == 130
    assert go_on(classifier, tmp_path / "m").returncode == 2
    done = go_on(classifier, tmp_path / "m", "--resume")
    assert done.returncode == 0, done.stderr
    one, other = (memfold.load(tmp_path / name).network_.state_dict() for name in ("whole", "m"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_failed_update_leaves_the_model_as_it_was(classifier: Path) -> None:
    model = memfold.load(classifier)
    before = model.predict(["a good film"])
    with pytest.raises(memfold.errors.InputError):
        model.update(pl.DataFrame({"text": [""], "label": ["good"]}), budget="1ep", progress=False)
    assert model.predict(["a good film"]).equals(before)


def test_old_weights_stay_where_words_and_classes_grow() -> None:
    table = pl.DataFrame({"text": ["a good day", "a bad day"] * 20, "label": ["good", "bad"] * 20})
    model = TextClassifier(embedding_size=8, hidden_size=4, members=1).fit(table, budget="1ep", progress=False)
    words, old = list(model.vocabulary_), model.network_.state_dict()["members.0.words.weight"].clone()
    more = pl.DataFrame({"text": ["an odd week", "odd weeks"] * 10, "label": ["odd"] * 20})
    model.set_params(lr=1e-12)
    model.update(pl.concat([table, more]), budget="1ep", progress=False)
    assert model.vocabulary_[: len(words)] == words
    assert len(model.vocabulary_) > len(words)
    new = model.network_.state_dict()["members.0.words.weight"]
    torch.testing.assert_close(new[: len(old)], old, atol=1e-6, rtol=0)


# -- what is kept of rows and of subwords ----------------------------------------------------------------------------


def test_a_set_of_rows_is_bounded_and_can_be_written() -> None:
    rows = RowSet.of([str(number) for number in range(MOST + 500)])
    assert len(rows) == MOST
    assert len(str(rows)) < 400_000
    again = RowSet.parse(str(rows))
    looked_up = again.looked_up(["1", "2", "3", "x"])
    assert (again.among(["1", "2", "3", "x"]) == looked_up & [True, True, True, False]).all()
    assert len(RowSet.of(["a"]).with_those_of(RowSet.of(["a", "b"]))) == 2


def test_files_are_known_by_content_wherever_they_lie(tmp_path: Path) -> None:
    for name, content in (("a", b"1" * 300_000), ("b", b"1" * 300_000), ("c", b"1" * 299_999 + b"2")):
        (tmp_path / name).write_bytes(content)
    a, b, c, other = file_keys([*(tmp_path / name for name in "abc"), np.zeros(2)], lambda place: f"at {place}")
    assert a == b != c
    assert other == "at 3"


def test_new_subwords_leave_what_was_known_as_it_was_cut() -> None:
    old, new = (Subwords.of(text * 30, 60) for text in ("the cat sat on the mat\n", "猫坐在垫子上 the ünder\n"))
    grown = Subwords(with_pieces(old.model, new.model))
    assert grown.encode("the cat sat").tolist() == old.encode("the cat sat").tolist()
    assert grown.decode(grown.encode("猫坐 the ünder")) == "猫坐 the ünder"
    processor = SentencePieceProcessor(model_proto=grown.model)
    assert [processor.id_to_piece(k) for k in range(old.size)] == [
        SentencePieceProcessor(model_proto=old.model).id_to_piece(k) for k in range(old.size)
    ]
