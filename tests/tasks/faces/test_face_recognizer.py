"""The recogniser of faces: people it learnt, people who join later, pairs, its baseline, its errors."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.base import is_classifier
from sklearn.neighbors import KNeighborsClassifier

import memfold
from memfold.cli import run
from memfold.data.images import read_classes
from memfold.errors import InputError
from memfold.tasks import FaceRecognizer
from memfold.tasks.faces.task import EIGENFACES
from tasks.faces.made import SIZE, write_people

SETTINGS = {
    "size": SIZE,
    "channels": 16,
    "blocks": 1,
    "hidden_size": 8,
    "stem_stride": 2,
    "embedding_size": 16,
    "batch_size": 20,
    "lr": 1e-2,
}


def small(**changes: object) -> FaceRecognizer:
    return FaceRecognizer(**{**SETTINGS, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people(tmp_path_factory.mktemp("people"), range(8), 5)


@pytest.fixture(scope="module")
def saved(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "m"
    small().fit(folder, budget="60ep", progress=False).save(path)
    return path


@pytest.fixture
def fitted(saved: Path) -> FaceRecognizer:
    """Of its own for every test, as a gallery may grow."""
    model = memfold.load(saved)
    assert isinstance(model, FaceRecognizer)
    return model


def test_it_knows_people_again(fitted: FaceRecognizer, tmp_path: Path) -> None:
    report = fitted.evaluate(read_classes(write_people(tmp_path, range(8), 4, seed=1), SIZE))
    assert set(report.metrics) == set(report.baselines[EIGENFACES]) == {"rank1", "eer", "unknown_accepted"}
    assert report.metrics["rank1"] > 85
    assert report.metrics["eer"] <= min(20, report.baselines[EIGENFACES]["eer"])
    text = " ".join(map(str, report.shown))
    assert "of 48 pairs of one person refused" in text
    assert "of 448 pairs of two accepted" in text
    assert "gallery: 40 pictures of 8 people" in text


def test_strangers_join_without_training(fitted: FaceRecognizer, tmp_path: Path) -> None:
    people, later = (write_people(tmp_path / name, range(20, 24), 3, seed) for name, seed in (("a", 0), ("b", 1)))
    before = {name: value.clone() for name, value in fitted.network_.named_parameters()}
    assert not set(fitted.identify([later])["person"]) & {f"p{k}" for k in range(20, 24)}
    for person in sorted(people.iterdir()):
        fitted.enrol(person.name, [person])
    assert all(value.equal(before[name]) for name, value in fitted.network_.named_parameters())
    found = fitted.identify([later])
    right = [Path(file).parent.name == person for file, person in found.select("file", "person").iter_rows()]
    assert np.mean(right) > 0.7
    report = fitted.evaluate(read_classes(later, SIZE))
    assert report.metrics["rank1"] == pytest.approx(100 * np.mean(right))
    assert report.baselines[EIGENFACES]["rank1"] > 0
    fitted.save(tmp_path / "m")
    again = memfold.load(tmp_path / "m")
    assert isinstance(again, FaceRecognizer)
    assert again.identify([later]).equals(found)
    assert again.evaluate(read_classes(later, SIZE)).baselines == report.baselines


def test_people_outside_the_gallery_count_for_verification_only(fitted: FaceRecognizer, tmp_path: Path) -> None:
    report = fitted.evaluate(read_classes(write_people(tmp_path, range(30, 33), 3), SIZE))
    assert report.as_json()["metrics"]["rank1"] is None
    assert 0 <= report.metrics["eer"] <= 100
    assert any("3 people are not in the gallery" in str(item) for item in report.shown)


def test_strangers_are_mostly_unknown_and_the_known_mostly_known(fitted: FaceRecognizer, tmp_path: Path) -> None:
    strangers = write_people(tmp_path / "strangers", range(50, 70), 3)
    accepted = fitted.identify([strangers])["known"].mean()
    assert isinstance(accepted, float)
    assert fitted.evaluate(strangers).metrics["unknown_accepted"] == pytest.approx(100 * accepted)
    later = fitted.identify([write_people(tmp_path / "known", range(8), 3, seed=2)])["known"].mean()
    assert isinstance(later, float)
    assert later > accepted + 0.2
    assert later > 0.7


def test_every_member_leaves_some_people_out_and_each_person_is_left_out_once(fitted: FaceRecognizer) -> None:
    network = fitted.network_
    seen = [set(network.seen_by(member).tolist()) for member in range(len(network.members))]
    assert len(seen) == 3
    assert all(sum(person not in people for people in seen) == 1 for person in range(8))
    means = [member.backbone.normaliser.mean for member in network.members]
    assert all(mean.equal(means[0]) and mean.item() > 50 for mean in means)


def test_two_people_have_one_network_that_knows_no_strangers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = small().fit(write_people(tmp_path, range(2), 4), budget="2ep", progress=False)
    assert len(model.network_.members) == 1
    assert "too few to hold some out" in capsys.readouterr().err


def test_a_picture_is_most_like_itself(fitted: FaceRecognizer, folder: Path) -> None:
    table = fitted.identify([folder / "p3"])
    assert table.columns == ["file", "person", "similarity", "known"]
    assert table["person"].to_list() == ["p3"] * 5
    np.testing.assert_allclose(table["similarity"], 1, atol=1e-5)
    assert table["known"].all()


def test_a_mirror_image_has_the_same_embedding(fitted: FaceRecognizer, folder: Path) -> None:
    pixels = read_classes(folder, SIZE).pixels[:6]
    np.testing.assert_allclose(fitted.embeddings(pixels), fitted.embeddings(pixels[..., ::-1].copy()), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(fitted.embeddings(pixels), axis=1), 1, atol=1e-5)


def test_verify_compares_two_pictures(fitted: FaceRecognizer, folder: Path) -> None:
    same = fitted.verify(folder / "p2" / "0.png", folder / "p2" / "1.png").row(0, named=True)
    other = fitted.verify(folder / "p2" / "0.png", folder / "p5" / "1.png").row(0, named=True)
    assert same["similarity"] > other["similarity"]
    assert same["same"] == (same["similarity"] >= fitted.threshold_)
    assert fitted.verify(folder / "p2" / "0.png", folder / "p2" / "0.png")["same"].item()


def test_eigenfaces_are_the_nearest_neighbour(fitted: FaceRecognizer, folder: Path, tmp_path: Path) -> None:
    learnt, later = (read_classes(own, SIZE) for own in (folder, write_people(tmp_path, range(8), 2, seed=3)))
    baseline = fitted.network_.baseline
    nearest = KNeighborsClassifier(1).fit(baseline.project(learnt.pixels), learnt.labels)
    expected = 100 * nearest.score(baseline.project(later.pixels), later.labels)
    assert fitted.evaluate(later).baselines[EIGENFACES]["rank1"] == pytest.approx(expected)


def test_people_with_one_picture_are_learnt_but_not_held_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_people(tmp_path, range(3), 4)
    write_people(tmp_path, range(3, 5), 1)
    model = small()
    parts = model.parts([str(tmp_path)])
    assert set(parts.test.labels) == {"p0", "p1", "p2"}
    assert "2 people have fewer than 3 pictures, of which none is held out" in capsys.readouterr().err
    model.fit(parts.train, budget="1ep", progress=False)
    assert set(model.enrolled_) == {f"p{k}" for k in range(5)}


def test_one_picture_of_everybody_cannot_be_learnt_from(tmp_path: Path) -> None:
    people = write_people(tmp_path / "a", range(3), 1)
    with pytest.raises(InputError, match=r"two people at least need 2 pictures each.* 3 of 3 have fewer"):
        small().fit(people, budget="1ep", progress=False)
    others = read_classes(write_people(tmp_path / "b", range(3), 2, seed=1), SIZE)
    assert small().fit(people, budget="1ep", valid=others, progress=False).people_ == ["p0", "p1", "p2"]


def test_the_folders_of_a_split_are_its_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part, people, count in (("Train", range(4), 4), ("Val", range(4), 2), ("Test", range(2, 6), 2)):
        write_people(tmp_path / part, people, count, seed=len(part))
    parts = small().parts([str(tmp_path)])
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [16, 8, 8]
    assert parts.train.classes == ["p0", "p1", "p2", "p3"]
    err = capsys.readouterr().err
    assert "a split: images to train on 16, to validate on 8, to score 8" in err
    assert "2 of 4 of the people to score are trained on; expect more errors among strangers" in err
    model = small().fit(tmp_path, budget="1ep", progress=False)
    assert model.people_ == parts.train.classes
    assert model.read(tmp_path).files == parts.test.files
    (tmp_path / "Test" / "p2" / "9.png").write_bytes((tmp_path / "Val" / "p2" / "0.png").read_bytes())
    small().parts([str(tmp_path)])
    assert "1 of 5 images to score are among those to train on too" in capsys.readouterr().err


def test_it_takes_images_themselves(fitted: FaceRecognizer, folder: Path) -> None:
    file = folder / "p3" / "1.png"
    pixels = np.asarray(Image.open(file))
    expected = fitted.predict(file)
    for given in (pixels, [pixels], pixels / 255, np.stack([pixels] * 3, 2), Image.open(file), str(file), [file]):
        assert fitted.predict(given).drop("file").equals(expected.drop("file"))


def test_one_person_alone_is_not_enough(folder: Path, tmp_path: Path) -> None:
    people = write_people(tmp_path, range(1), 4)
    with pytest.raises(InputError, match="'p0' is the only person; two at least are needed"):
        small().fit(people, budget="1ep", valid=people, progress=False)
    two = write_people(tmp_path, range(8, 9), 4)
    with pytest.raises(InputError, match=r"the people 'p1', .*'p7' were not trained on; the model knows p0, p8"):
        small().fit(two, budget="1ep", valid=folder, progress=False)


def test_scikit_learn_takes_it_for_a_classifier_of_people(fitted: FaceRecognizer, folder: Path) -> None:
    files = [str(folder / "p3" / "0.png"), str(folder / "p5" / "1.png")]
    assert is_classifier(fitted)
    assert fitted.array(files).tolist() == ["p3", "p5"]
    assert fitted.score(files, ["p3", "p4"]) == 50
    assert fitted.predict(files).equals(fitted.identify(files))
    estimator = fitted.as_sklearn()
    estimator.task = fitted
    with pytest.raises(AttributeError, match="a faces model gives no probabilities"):
        estimator.predict_proba(files)


def test_the_same_seed_gives_the_same_model(folder: Path) -> None:
    one, two = (small(seed=4).fit(folder, budget="1ep", progress=False).identify([folder]) for _ in range(2))
    assert one.equals(two)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedding_size": 0}, "embedding_size must be at least 1"),
        ({"scale": 0.0}, "scale must be above 0"),
        ({"margin": 2.0}, "margin must be below 1.5, got 2.0"),
        ({"stem_stride": 5}, "stem_stride must be 1, 2, 4 or 8"),
    ],
)
def test_parameters_out_of_range_are_named(folder: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small(**changes).fit(folder, budget="1ep", progress=False)


def test_what_cannot_be_done_is_named(fitted: FaceRecognizer, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_text("no image")
    with pytest.raises(InputError, match=r"broken\.png \(not an image\): cannot be read"):
        fitted.verify(tmp_path / "broken.png", folder / "p0" / "0.png")
    with pytest.raises(InputError, match=r"none\.png: no such file"):
        fitted.enrol("eve", [tmp_path / "none.png"])
    with pytest.raises(InputError, match="verify compares two pictures, got 1"):
        fitted.answers(["a.png"], verify=True)
    with pytest.raises(InputError, match="predict needs pictures"):
        fitted.answers([])
    with pytest.raises(InputError, match="not fitted yet"):
        small().verify("a.png", "b.png")


def test_the_command_line_from_end_to_end(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    model, guests = str(tmp_path / "m"), write_people(tmp_path / "guests", range(40, 42), 2)

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["memfold", *arguments])
        assert run() == 0
        return capsys.readouterr().out

    out = json.loads(call("fit", "faces", str(folder), "--out", model, "--budget", "3ep", "--json", *sets))
    assert out["baseline"]["name"] == EIGENFACES
    assert json.loads(call("evaluate", model, str(folder), "--json"))["metrics"]["rank1"] > 50
    guest = str(guests / "p40" / "0.png")
    assert call("predict", model, guest).splitlines()[0] == "file,person,similarity,known"
    assert call("predict", model, guest, "--set", f"gallery={guests}").splitlines()[1].split(",")[1] == "p40"
    pair = call("predict", model, guest, str(guests / "p40" / "1.png"), "--set", "verify=true")
    assert pair.splitlines()[0] == "file,other,similarity,same"
