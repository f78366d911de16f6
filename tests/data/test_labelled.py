from collections import Counter
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from memfold.data.labelled import LabelledTexts, held_out, joined, load_labelled, read_labelled
from memfold.errors import InputError

GOOD, BAD = "好酒店, very good", 'she said "no"'


def write(folder: Path, name: str, text: str | bytes) -> Path:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


def test_the_same_rows_come_from_every_format(tmp_path: Path) -> None:
    rows = [{"stars": 5, "review": GOOD}, {"stars": 1, "review": BAD}]
    sources = [
        write(tmp_path, "a.csv", f'stars,review\n5,"{GOOD}"\n1,"she said ""no"""\n'),
        write(tmp_path, "b.csv", f'stars;review\r\n5;{GOOD}\r\n1;"she said ""no"""\r\n'),
        write(tmp_path, "a.tsv", f"stars\treview\n5\t{GOOD}\n1\t{BAD}\n"),
        write(
            tmp_path,
            "a.jsonl",
            f'{{"review": "{GOOD}", "stars": 5}}\n\n{{"stars": "1", "review": "she said \\"no\\""}}\n',
        ),
        pl.DataFrame(rows),
        pd.DataFrame(rows),
    ]
    for source in sources:
        read = read_labelled(source)
        assert (read.texts, read.labels) == ([GOOD, BAD], ["5", "1"]), source


def test_columns_are_found_by_common_names_or_named(tmp_path: Path) -> None:
    frame = pl.DataFrame({"Title": ["t"], "Text": ["a b"], "other": ["x"], "Label": ["y"]})
    assert read_labelled(frame) == LabelledTexts("data frame", ["a b"], ["y"])
    assert read_labelled(frame, text="Title", label="other") == LabelledTexts("data frame", ["t"], ["x"])
    for arguments, message in (
        ({"text": "body"}, r"no column 'body'; it has 'Title', 'Text', 'other', 'Label' \(.*--set text=COLUMN"),
        ({"label": "mood"}, r"no column 'mood'; it has .*--set label=COLUMN"),
    ):
        with pytest.raises(InputError, match=message):
            read_labelled(frame, **arguments)
    with pytest.raises(InputError, match="no column for the label; it has 'text'"):
        read_labelled(frame.select(text="Text"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "a.csv: is empty"),
        ("a.csv", "text,label\n", "a.csv: holds no rows"),
        ("a.csv", "text,label\ngood,1\ncaf\xe9,1\n".encode("latin-1"), "a.csv, line 3: byte 0xe9 is not utf-8"),
        ("a.csv", "text,label\ngood,1\nbad,0,why\n", "a.csv, line 3: not readable as CSV"),
        ("a.csv", "text,label\n,1\nbad,\n", "a.csv: no row has both a text and a label"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label"\n', "a.jsonl, line 2: not readable as JSON"),
        ("a.jsonl", '{"text": "a", "label": 1}\n["b", 0]\n', "a.jsonl, line 2: expected an object"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_labelled(write(tmp_path, name, content))


def test_another_encoding_is_read_when_it_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", f"label,text\n1,{GOOD[:3]}\n".encode("gb18030"))
    assert read_labelled(path, encoding="gb18030").texts == [GOOD[:3]]


def test_rows_without_text_or_label_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "a.csv", "text,label\ngood,1\n  ,1\nbad,0\nfair,\n")
    assert read_labelled(path).texts == ["good", "bad"]
    assert "a.csv: 2 rows without text or label left out, the first one being row 2" in capsys.readouterr().err
    assert read_labelled(path, labels=False).texts == ["good", "  ", "bad", "fair"]


def test_texts_to_be_labelled_come_from_lines_and_lists(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "one, two\n\nthree\n")
    assert read_labelled(path, labels=False).texts == ["one, two", "", "three"]
    assert read_labelled(["x", ""], labels=False).texts == ["x", ""]
    with pytest.raises(InputError, match="a int is neither a path"):
        read_labelled(3)


def test_folds_part_the_rows_and_every_class_has_its_share() -> None:
    labels = ["a"] * 70 + ["b"] * 30
    examples = LabelledTexts("x", [str(i) for i in range(100)], labels)
    folds = examples.folds()
    assert sorted(text for fold in folds for text in fold.texts) == sorted(examples.texts)
    assert all(Counter(fold.labels) == {"a": 7, "b": 3} for fold in folds)
    assert all(
        labels[int(t)] == label for fold in folds for t, label in zip(fold.texts, fold.labels or (), strict=True)
    )
    train, test = held_out(examples, 3)
    assert test == folds[3]
    assert not set(train.texts) & set(test.texts)
    assert len(joined([train, test]).texts) == 100


def test_classes_are_in_order_of_value() -> None:
    assert LabelledTexts("x", ["t"] * 4, ["10", "9", "b", "a"]).classes == ["9", "10", "a", "b"]


def test_too_few_examples_of_a_class_are_refused() -> None:
    with pytest.raises(InputError, match="every row has the label '1'; two classes"):
        held_out(LabelledTexts("x", ["a", "b"], ["1", "1"]), 0)
    with pytest.raises(InputError, match="the class '3' has 1 example; 2 are needed"):
        held_out(LabelledTexts("x", ["a", "b", "c"], ["1", "1", "3"]), 0)
    with pytest.raises(InputError, match="fold must be from 0 to 9, got 10"):
        held_out(LabelledTexts("x", ["a", "b"], ["1", "2"]), 10)


def test_the_known_sets_are_read_from_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMFOLD_DATA", str(tmp_path))
    for name in ("sst2", "mr", "chnsenticorp"):
        (tmp_path / name).mkdir()
    for part in ("train", "dev", "test"):
        write(tmp_path, f"sst2/stsa.binary.{part}", f"1 fine {part}\n0 no {part}\n")
    write(tmp_path, "mr/rt-polarity.all", "".join(f"{i % 2} caf\xe9 {i} \n" for i in range(40)).encode("latin-1"))
    reviews = "".join(f'{i % 2},"好, {i}"\n' for i in range(40))
    write(tmp_path, "chnsenticorp/ChnSentiCorp_htl_all.csv", f"label,review\n{reviews}0,\n")
    train, test, valid = load_labelled("sst2", 0)
    assert valid is not None
    assert [part.texts[0] for part in (train, valid, test)] == ["fine train", "fine dev", "fine test"]
    assert train.labels == ["positive", "negative"]
    tests = [load_labelled("mr", fold)[1] for fold in range(10)]
    assert sorted(text for part in tests for text in part.texts) == sorted(f"caf\xe9 {i}" for i in range(40))
    for fold in range(10):
        train, test, valid = load_labelled("chnsenticorp", fold)
        assert valid is not None
        assert (len(train.texts), len(valid.texts), len(test.texts)) == (32, 4, 4)
        assert len({*train.texts, *valid.texts, *test.texts}) == 40
