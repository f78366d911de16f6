import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from memfold.data.parallel import ParallelText, pairs_of_table, read_parallel
from memfold.errors import InputError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_two_files_are_read_line_by_line_packed_or_not(tmp_path: Path) -> None:
    english = write(tmp_path / "a.en", "one\ntwo\n")
    german = tmp_path / "a.de.gz"
    german.write_bytes(gzip.compress(b"eins\r\nzwei"))
    assert read_parallel([english, german]) == ParallelText(["one", "two"], ["eins", "zwei"])


ENGLISH = [f"the cat, the dog and {k} birds" for k in range(12)]
GERMAN = [f"die Katze, der Hund und {k} Vögel" for k in range(12)]
EXPECTED = ParallelText(ENGLISH, GERMAN)


def rows(*columns: list[str], separator: str = "\t") -> str:
    return "".join(f"{separator.join(row)}\n" for row in zip(*columns, strict=True))


def test_the_columns_of_sentences_are_found_in_every_form(tmp_path: Path) -> None:
    number, other = [str(k) for k in range(12)], [str(k + 12) for k in range(12)]
    licence = ["CC-BY 2.0 (France) #" + k for k in number]
    level = ["simple words", "harder words"] * 6
    quoted = [[f'"{side}"' for side in column] for column in (ENGLISH, GERMAN)]
    objects = [{"translation": {"en": e, "de": d}} for e, d in zip(ENGLISH, GERMAN, strict=True)]
    tables = {
        "plain.tsv": rows(ENGLISH, GERMAN),
        "numbered.tsv": rows(number, ENGLISH, other, GERMAN),
        "licence.tsv": rows(ENGLISH, GERMAN, licence),
        "named.tsv": "id\tEN\tde\n" + rows(number, ENGLISH, GERMAN),
        "words.tsv": "Satz\tgerman_side\n" + rows(ENGLISH, GERMAN),
        "level.tsv": "level\tenglish\tgerman\n" + rows(level, ENGLISH, GERMAN),
        "quoted.csv": "en,de\n" + rows(*quoted, separator=","),
        "semicolon.csv": "en;de\n" + rows(ENGLISH, GERMAN, separator=";"),
        "nested.jsonl": "".join(json.dumps(row) + "\n" for row in objects),
        "list.json": json.dumps(objects),
    }
    for name, content in tables.items():
        read = read_parallel([write(tmp_path / name, content)])
        assert (read.source, read.target) == (ENGLISH, GERMAN), name
    assert pairs_of_table(pd.DataFrame({"nr": range(12), "a": ENGLISH, "b": GERMAN})) == EXPECTED
    several = read_parallel([tmp_path / "plain.tsv", tmp_path / "nested.jsonl"])
    assert len(several) == 2 * len(EXPECTED)


def test_columns_may_be_named(tmp_path: Path) -> None:
    named = write(tmp_path / "named.tsv", "id\tde\ten\n1\teins\tone\n2\tzwei\ttwo\n")
    assert read_parallel([named], "en", "de") == ParallelText(["one", "two"], ["eins", "zwei"])
    by_name = write(tmp_path / "pairs.tsv", "target\tsource\nein Hund\ta dog\n")
    assert read_parallel([by_name]) == ParallelText(["a dog"], ["ein Hund"])


def test_what_is_not_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.tsv", rows(ENGLISH, GERMAN, ["CC-BY 4.0"] * 12))
    read_parallel([path])
    assert capsys.readouterr().err == f"{path}: translates 'column 1' into 'column 2'; not read: 'column 3'\n"
    marked = write(tmp_path / "b.tsv", rows([f"&quot;{side}&quot;" for side in ENGLISH], GERMAN))
    read_parallel([marked])
    assert "b.tsv: 12 of 12 pairs hold HTML such as '&quot;'" in capsys.readouterr().err
    broken = write(tmp_path / "c.csv", "en,de\n1,2\n")
    assert read_parallel([path, broken]) == EXPECTED
    assert "1 of 2 files cannot be read and are left out:" in capsys.readouterr().err


def test_columns_that_are_not_certain_are_refused(tmp_path: Path) -> None:
    french = [f"le chat, le chien et {k} oiseaux" for k in range(12)]
    three = write(tmp_path / "three.tsv", rows(ENGLISH, GERMAN, french))
    hint = "--set source=COLUMN --set target=COLUMN"
    for path, message in (
        (three, f"columns of sentences are 'column 1', 'column 2', 'column 3'; .*{hint}"),
        (
            write(tmp_path / "one.tsv", rows([str(k) for k in range(12)], ENGLISH)),
            f"sentences are 'column 2'; .*{hint}",
        ),
        (write(tmp_path / "none.csv", "a,b\n1,2\n3,4\n"), f"none holds sentences; .*{hint}"),
    ):
        with pytest.raises(InputError, match=message):
            read_parallel([path])
    assert read_parallel([three], "column 3", "column 1") == ParallelText(french, ENGLISH)


def test_pairs_with_an_empty_side_are_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    english = write(tmp_path / "a.en", "one\n\n three \nfour\n")
    german = write(tmp_path / "a.de", "eins\nzwei\ndrei\n  \n")
    assert read_parallel([english, german]) == ParallelText(["one", "three"], ["eins", "drei"], skipped=2)
    assert read_parallel([write(tmp_path / "t.tsv", "one\teins\n\ntwo\t\n")]).skipped == 1
    assert "t.tsv: 1 empty row left out" in capsys.readouterr().err


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    two, three = write(tmp_path / "two", "a\nb\n"), write(tmp_path / "three", "a\nb\nc\n")
    with pytest.raises(InputError, match=r"unequal numbers of lines: .*two has 2, .*three has 3"):
        read_parallel([two, three])
    with pytest.raises(InputError, match="3 files given"):
        read_parallel([two, two, three])
    with pytest.raises(InputError, match=r"t\.tsv: no column 'fr'; it has 'en', 'de'"):
        read_parallel([write(tmp_path / "t.tsv", "en\tde\none\teins\n")], "en", "fr")
    with pytest.raises(InputError, match="give both"):
        read_parallel([write(tmp_path / "t.tsv", "en\tde\none\teins\n")], "en")
    with pytest.raises(InputError, match="no pair of sentences"):
        read_parallel([write(tmp_path / "t.tsv", "one\t\n\teins\n")])
    (tmp_path / "broken").write_bytes(b"T\x00r\nS\xff\n")
    with pytest.raises(InputError, match="broken, line 2: byte 0xff is neither UTF-8 nor GB18030 nor Latin-1"):
        read_parallel([two, tmp_path / "broken"])


def test_an_encoding_is_found_or_named(tmp_path: Path) -> None:
    (tmp_path / "a.de").write_bytes("".join(f"{side}\n" for side in GERMAN).encode("latin-1"))
    (tmp_path / "a.en").write_text("".join(f"{side}\n" for side in ENGLISH))
    assert read_parallel([tmp_path / "a.en", tmp_path / "a.de"]) == EXPECTED
    assert read_parallel([tmp_path / "a.en", tmp_path / "a.de"], encoding="latin-1") == EXPECTED


def test_all_translations_of_a_sentence_are_its_references() -> None:
    text = ParallelText.of([("a", "x"), ("b", "y"), ("a", "z")])
    assert text.references() == (["a", "b"], [["x", "z"], ["y"]])


def test_a_split_holds_a_tenth_of_the_sentences_out_with_all_their_translations() -> None:
    text = ParallelText.of((f"s{i % 50}", f"t{i}") for i in range(200))
    rest, held = text.split()
    assert len(set(held.source)) == 5
    assert not set(rest.source) & set(held.source)
    assert sorted(rest.target + held.target) == sorted(text.target)
    assert text.split() == (rest, held)
    with pytest.raises(InputError, match="too few"):
        ParallelText.of([("a", "x"), ("a", "y")]).split()
