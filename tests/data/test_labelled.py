from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from memfold.data.labelled import LabelledTexts, held_out, joined, load_labelled, read_labelled
from memfold.data.seen import same_text
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
        ("a.csv", b"", "a.csv: the file is empty"),
        ("a.csv", "text,label\n", "a.csv: holds no rows"),
        ("a.csv", b"text,label\ngood,1\nb\x00d,\xff\xfe\n", "a.csv, line 3: byte 0xff is neither UTF-8 nor GB18030"),
        ("a.csv", "text,label\ngood,1\nbad,0,why\n", "a.csv: row 3: 3 fields, the header has 2"),
        ("a.csv", "text,label\n,1\nbad,\n", "a.csv: no row has both a text and a label"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label"\n', "a.jsonl, line 2: not readable as JSON"),
        ("a.jsonl", '{"text": "a", "label": 1}\n["b", 0]\n', "a.jsonl, line 2: expected an object"),
        ("a.jsonl", '{"text": "a", "label": Infinity}\n', "a.jsonl, line 1: not readable as JSON"),
        ("a.jsonl", '{"text": "x\\ud800y", "label": 1}\n', "a.jsonl, line 1: not readable as JSON"),
        ("a.jsonl", '{"text": ["a", "b"], "label": 1}\n', "a.jsonl: column 'text': List.*where texts are expected"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_labelled(write(tmp_path, name, content))


def test_an_encoding_is_found_and_said_or_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "a.csv", "评论,标签\n房间很烂，手机也吵。,差评\n服务很干净。,好评\n".encode("gb18030"))
    expected = LabelledTexts(str(path), ["房间很烂，手机也吵。", "服务很干净。"], ["差评", "好评"])
    assert read_labelled(path, encoding="gb18030") == expected
    assert capsys.readouterr().err == ""
    assert read_labelled(path) == expected
    assert capsys.readouterr().err == f"{path}: read as GB18030\n"
    assert read_labelled(path, labels=False).texts == expected.texts
    with pytest.raises(InputError, match="encoding 'klingon' is not known"):
        read_labelled(path, encoding="klingon")


def test_rows_without_text_or_label_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "a.csv", "text,label\ngood,1\n  ,1\nbad,0\nfair,\n")
    assert read_labelled(path).texts == ["good", "bad"]
    assert "a.csv: 2 rows without text or label left out, the first one being row 3" in capsys.readouterr().err
    assert read_labelled(path, labels=False).texts == ["good", "  ", "bad", "fair"]


def test_texts_to_be_labelled_come_from_lines_and_lists(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "one, two\n\nthree\n")
    assert read_labelled(path, labels=False).texts == ["one, two", "", "three"]
    assert read_labelled(["x", ""], labels=False).texts == ["x", ""]
    assert read_labelled(pd.Series(["x", None]), labels=False).texts == ["x", ""]
    assert read_labelled(np.array(["x", "y"]), labels=False).texts == ["x", "y"]
    for data, message in (
        (3, "got int, which is neither a path nor a data frame"),
        (["x", 3], "item 2 is a int; expected a text as a str"),
        (["x", "y\ud800"], "item 2 holds half a character"),
    ):
        with pytest.raises(InputError, match=message):
            read_labelled(data, labels=False)


def test_a_text_file_that_is_a_table_is_read_as_one(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "id\ttext\n1\tgood day\n2\tbad day\n")
    read = read_labelled(path, labels=False)
    assert read.texts == ["good day", "bad day"]
    assert read.given is not None
    assert read.given["id"].to_list() == ["1", "2"]


def test_a_first_row_that_is_an_example_is_none_of_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(("calm", "loud")[k % 2], f"this is day {k}, a long one") for k in range(20)]
    path = write(tmp_path, "a.csv", "".join(f'{label},"{text}"\n' for label, text in rows))
    read = read_labelled(path)
    assert list(zip(read.labels or (), read.texts, strict=True)) == rows
    assert "a.csv: the first row is taken for an example" in capsys.readouterr().err
    path = write(tmp_path, "b.csv", "".join(f'{k},"{text}"\n' for k, (_, text) in enumerate(rows)))
    assert read_labelled(path, labels=False).texts == [text for _, text in rows]


def test_columns_are_found_by_what_they_hold_where_no_name_says_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{k},this is day {k},{'calm' if k % 2 else 'loud'}\n" for k in range(20))
    path = write(tmp_path, "a.csv", "nr,Aussage,Urteil\n" + rows)
    read = read_labelled(path)
    assert read.texts[:2] == ["this is day 0", "this is day 1"]
    assert read.classes == ["calm", "loud"]
    said = "a.csv: texts in column 'Aussage', labels in column 'Urteil'; not read: 'nr'"
    assert said in capsys.readouterr().err


def test_columns_of_bytes_and_lists_are_no_texts(tmp_path: Path) -> None:
    odd = pl.DataFrame({"text": ["good day", "bad day"], "raw": [b"\xff", None], "list": [[1], [2]]})
    odd.write_parquet(tmp_path / "a.parquet")
    read = read_labelled(tmp_path / "a.parquet", labels=False)
    assert read.given is not None
    assert read.given.write_csv() == "text,raw,list\ngood day,b'\\xff',[1]\nbad day,,[2]\n"
    for name in ("raw", "list"):
        with pytest.raises(InputError, match=f"column '{name}': .* where texts are expected"):
            read_labelled(odd, text=name, labels=False)


def test_words_that_stand_for_nothing_elsewhere_are_texts_and_classes(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "text,label\nN/A,None\nnull and void,NA\n")
    assert read_labelled(path) == LabelledTexts(str(path), ["N/A", "null and void"], ["None", "NA"])


def test_quotes_between_tabs_are_kept_unless_they_hold_a_field_together(tmp_path: Path) -> None:
    said = write(tmp_path, "a.tsv", 'text\tlabel\n"Never again."\tbad\n"Nice" it was\tgood\n"Yes!"\tgood\nno\tbad\n')
    assert read_labelled(said).texts == ['"Never again."', '"Nice" it was', '"Yes!"', "no"]
    held = write(tmp_path, "b.tsv", 'text\tlabel\n"a\tb"\tbad\n"she said ""no"""\tgood\n')
    assert read_labelled(held).texts == ["a\tb", 'she said "no"']


@pytest.mark.parametrize(
    ("name", "content", "example"),
    [
        ("a.jsonl", '{"text": "a", "labels": ["neg", "hw"]}\n{"text": "b", "labels": ["pos"]}\n', r"\['neg', 'hw'\]"),
        ("a.csv", "text,label\na,\"['neg', 'hw']\"\nb,\"['pos', 'hw']\"\n", "\\['neg', 'hw'\\]"),
        ("a.csv", "text,label\na,neg;hw\nb,pos;hw\nc,neg;sw\nd,pos;sw\n", "'neg;hw'"),
        ("a.csv", "text,label\na,x|y\nb,y|z\nc,z|x\nd,x\n", r"'x\|y'"),
    ],
)
def test_rows_with_several_labels_are_refused(tmp_path: Path, name: str, content: str, example: str) -> None:
    with pytest.raises(InputError, match=rf"several labels, such as {example}; .*keep one label a row"):
        read_labelled(write(tmp_path, name, content))


@pytest.mark.parametrize("labels", [[b"\xff", b"x"], [{"x": 1}, {"x": 2}], [[[1]], [[2]]]])
def test_bytes_and_objects_are_no_labels(labels: list[object]) -> None:
    with pytest.raises(InputError, match=r"column 'label': .* where labels are expected; make a text of each"):
        read_labelled(pl.DataFrame({"text": ["a", "b"], "label": labels}))


def test_a_sign_in_a_label_does_not_make_it_several() -> None:
    labels = ["Sci/Tech", "World", "New York, NY", "Sci/Tech", "A+", "Sci/Tech"]
    assert read_labelled(pl.DataFrame({"text": list("abcdef"), "label": labels})).labels == labels
    alone = pl.DataFrame({"text": ["a", "b"], "label": [["x"], ["y"]]})
    assert read_labelled(alone).labels == ["x", "y"]


def test_measurements_are_no_classes_and_a_few_numbers_are() -> None:
    texts = [f"text {k}" for k in range(400)]
    for values in ([k / 7 for k in range(400)], [f"{k},5" for k in range(400)], [7 * k % 1009 for k in range(400)]):
        with pytest.raises(InputError, match=r"different numbers from .* which look like measurements; .* a few bins"):
            read_labelled(pl.DataFrame({"text": texts, "label": values}))
    for values in ([k % 5 + 1 for k in range(400)], [k % 10 / 2 for k in range(400)], [k % 77 for k in range(400)]):
        assert len(read_labelled(pl.DataFrame({"text": texts, "label": values})).classes) == len(set(values))


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


def test_equal_texts_are_in_one_part() -> None:
    texts = [f"Text {k // 3}" if k % 2 else f"text  {k // 3}" for k in range(90)]
    examples = LabelledTexts("x", texts, ["a" if k // 3 % 2 else "b" for k in range(90)])
    assert examples.repeated() == (60, 0)
    rest, test = held_out(examples, 0)
    assert len(rest.texts) + len(test.texts) == 90
    assert not {same_text(text) for text in rest.texts} & {same_text(text) for text in test.texts}
    assert rest.classes == test.classes == ["a", "b"]
    mixed = LabelledTexts("x", ["same", "Same", "other"], ["a", "b", "a"])
    assert mixed.repeated() == (1, 1)


def test_where_too_few_texts_differ_equal_ones_are_on_both_sides() -> None:
    rest, test = held_out(LabelledTexts("x", ["good", "bad"] * 20, ["a", "b"] * 20), 0)
    assert (len(rest.texts), len(test.texts)) == (36, 4)
    assert set(test.texts) == set(rest.texts)


def test_labels_that_differ_in_case_alone_become_those_of_most() -> None:
    labels = ["pos", "Pos", "pos", "NEG", "neg", "neg", "so so"]
    merged = LabelledTexts("x", list("abcdefg"), labels).merged()
    assert merged.labels == ["pos", "pos", "pos", "neg", "neg", "neg", "so so"]


def test_too_few_examples_of_a_class_are_refused() -> None:
    with pytest.raises(InputError, match="every row has the label '1'; two classes"):
        held_out(LabelledTexts("x", ["a", "b"], ["1", "1"]), 0)
    few = r"the classes have too few examples: '3' \(1 example\), '4' \(1 example\); 2 are needed"
    with pytest.raises(InputError, match=few):
        held_out(LabelledTexts("x", ["a", "b", "c", "d"], ["1", "1", "4", "3"]), 0)
    with pytest.raises(InputError, match=r"'POS' \(1 example\).*--set merge_labels=true"):
        held_out(LabelledTexts("x", ["a", "b", "c"], ["pos", "pos", "POS"]), 0)
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
