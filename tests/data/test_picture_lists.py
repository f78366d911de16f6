"""Tables of pictures and their classes: every usual header, splits, and what is left out or refused."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from memfold.data.images import read_classes
from memfold.data.picture_lists import pictures_listed
from memfold.errors import InputError

CLASSES = {"a_0": "cat", "a_1": "cat", "b_0": "dog", "b_1": "dog"}


def draw(folder: Path, suffix: str = ".png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(CLASSES):
        Image.new("RGB", (9, 9), (60 * number, 0, 0)).save(folder / f"{name}{suffix}")
    return folder


def listed(path: Path) -> dict[str, str]:
    (every,) = pictures_listed(path).values()
    return {file.stem: label for file, label in zip(every.files, every.labels, strict=True)}


@pytest.mark.parametrize(
    ("header", "row", "suffix"),
    [
        ("file,label", "{name}.png,{label}", ".png"),
        ("id,breed", "{name},{label}", ".JPG"),
        ("\ufeffImage ID;Class", "images/{name}.png;{label}", ".png"),
        ("label\tpath\tage", "{label}\tC:\\\\photos\\\\{name}.png\t3", ".png"),
        ("filename,animal", "{name}.png,{label}", ".png"),
        ("", "{name}.png,{label}", ".png"),
        ("image,cat,dog", "{name}.png,{cat},{dog}", ".png"),
    ],
)
def test_every_usual_header_is_read(tmp_path: Path, header: str, row: str, suffix: str) -> None:
    draw(tmp_path / "images", suffix)
    lines = [header] if header else []
    for name, label in CLASSES.items():
        lines.append(row.format(name=name, label=label, cat=int(label == "cat"), dog=int(label == "dog")))
    (tmp_path / "labels.csv").write_text("\r\n".join(lines), encoding="utf-8", newline="")
    assert listed(tmp_path) == listed(tmp_path / "labels.csv") == CLASSES
    assert read_classes(tmp_path, 9).labels == list(CLASSES.values())


@given(labels=st.lists(st.sampled_from(["cat", "dog", "no", "Katze, klein", "猫", 'a "b"']), min_size=4, max_size=4))
@settings(max_examples=20, deadline=None)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, labels: list[str]) -> None:
    folder = draw(tmp_path_factory.mktemp("made"))
    rows = [f'{name}.png,"{label.replace(chr(34), chr(34) * 2)}"' for name, label in zip(CLASSES, labels, strict=True)]
    (folder / "labels.csv").write_text("\n".join(["file,label", *rows]), encoding="utf-8")
    assert listed(folder) == dict(zip(CLASSES, labels, strict=True))


def test_a_column_or_a_table_each_names_the_parts(tmp_path: Path) -> None:
    draw(tmp_path / "one")
    parts = ["train", "train", "Validation", "test"]
    rows = [f"{name},{label},{part}" for (name, label), part in zip(CLASSES.items(), parts, strict=True)]
    (tmp_path / "one" / "meta.csv").write_text("\n".join(["image,label,split", *rows]))
    assert {part: len(its.files) for part, its in pictures_listed(tmp_path / "one").items()} == {
        "train": 2,
        "valid": 1,
        "test": 1,
    }
    draw(tmp_path / "two" / "images")
    for part, names in (("train", ["a_0", "a_1", "b_0"]), ("test", ["b_1"])):
        text = "".join(f"{name}.png,{CLASSES[name]}\n" for name in names)
        (tmp_path / "two" / f"{part}.csv").write_text("file,label\n" + text)
    assert {part: len(its.files) for part, its in pictures_listed(tmp_path / "two").items()} == {"train": 3, "test": 1}


def test_folders_of_classes_win_over_a_table(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        draw(tmp_path / label)
    (tmp_path / "labels.csv").write_text("file,label\ncat/a_0.png,x\n")
    assert pictures_listed(tmp_path) == {}


def test_what_is_left_out_is_named_with_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(tmp_path)
    (tmp_path / "labels.csv").write_text("file,label\na_0.png,cat\nb_0.png,dog\nnone.png,dog\na_1.png,\n")
    assert read_classes(tmp_path, 9).labels == ["cat", "dog"]
    err = capsys.readouterr().err
    for words in (
        "files are in column 'file', classes in 'label'",
        "1 of its pictures are not there and are left out: none.png (row 4)",
        "rows without a file or a class are left out, 1 of them: 5",
        "pictures beside these that are not in it are left out, 2 of them: a_1.png, b_1.png",
    ):
        assert words in err, words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na_0.png,cat\na_0.png,dog\n", "rows 2 and 3 say 'cat' and 'dog' of a_0.png; keep one"),
        ("file,label\nx.png,cat\n", r"none of its 1 pictures is there, such as x\.png \(row 2\)"),
        ("file,wide,high\na_0.png,3,4\n", "has no column of classes, such as 'label'; it has 'file', 'wide', 'high'"),
        ("size,label\n3,cat\n", "has no column of files, such as 'file'; it has 'size', 'label'"),
        ("file,cat,dog\na_0.png,1,1\n", "row 2: is of several classes, cat, dog; each has one class here"),
        (
            "file,label\na_0.png,cat|red\na_1.png,cat|blue\nb_0.png,dog|red\nb_1.png,dog|blue\n",
            "4 rows with several labels, such as 'cat|red'",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    draw(tmp_path)
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=message.replace("|", r"\|")):
        read_classes(tmp_path / "t.csv", 9)
