import gzip
from pathlib import Path

import pytest

from memfold.data.texts import read_lines, read_text, texts_of
from memfold.errors import InputError


def test_a_text_is_read_plain_packed_and_in_other_encodings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "春眠不覺曉，\n處處聞啼鳥。\n"
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    (tmp_path / "a.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "a.gbk").write_bytes(text.encode("gb18030"))
    (tmp_path / "a.utf16").write_bytes(text.encode("utf-16"))
    assert read_text(tmp_path / "a.txt") == read_text(tmp_path / "a.gz") == text
    assert read_text(tmp_path / "a.gbk", "gb18030") == text
    assert capsys.readouterr().err == ""
    assert read_text(tmp_path / "a.gbk") == read_text(tmp_path / "a.utf16") == text
    said = f"{tmp_path / 'a.gbk'}: read as GB18030\n{tmp_path / 'a.utf16'}: read as UTF-16\n"
    assert capsys.readouterr().err == said
    assert read_lines(tmp_path / "a.txt") == ["春眠不覺曉，", "處處聞啼鳥。"]


def test_only_a_line_end_ends_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\x85still one\n\nthree\u2028still three", encoding="utf-8")
    assert read_lines(tmp_path / "a.txt") == ["one\x85still one", "", "three\u2028still three"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.txt", None, "none.txt: no such file"),
        ("a.txt", b" \n\n", "a.txt: is empty"),
        ("a.txt", b"fine\n\x00caf\xe9\n", "a.txt, line 2: byte 0xe9 is neither UTF-8 nor GB18030 nor Latin-1"),
        ("a.bin", bytes(range(256)) + b"P\x00A\x00R\x001\x00" * 100, "a.bin, line 2: byte 0x80 is neither UTF-8 nor"),
        ("a.gz", gzip.compress(b"damaged", mtime=0)[:12] + b"\xff" * 20, "a.gz: cannot be read"),
        ("a.gz", gzip.compress(b"cut off", mtime=0)[:-9], "a.gz: cannot be read"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_text(tmp_path / name)


def test_an_unknown_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(InputError, match="encoding 'klingon' is not known"):
        read_text(tmp_path / "a.txt", "klingon")


def test_a_folder_gives_its_text_files_and_what_cannot_be_read_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "b.txt").write_text("second")
    (tmp_path / "a.md").write_text("first")
    (tmp_path / "below" / "c.txt").write_text("third\r\nand last\r\n", newline="")
    (tmp_path / "d.txt").write_bytes(b"no text \x00 at all \xff")
    (tmp_path / "e.png").write_bytes(b"no text")
    assert texts_of(tmp_path) == ["first", "second", "third\nand last\n"]
    assert "1 of 4 files cannot be read and are left out:" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"d\.txt, line 1"):
        texts_of(tmp_path / "d.txt")
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="none: holds no texts"):
        texts_of(tmp_path / "none")
