"""Names and texts from anywhere are shown as they are, and command no terminal."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.control import strip_control_codes
from rich.table import Table

from command_line import run_here
from memfold.display import Terminal, answer, plain, point_table, say, score_table

HOSTILE = ["[/x]", "[red]", "[bold]", ":smile:", "a\x1b[31mb", "\x9b2J", "\x07", "\rmemfold: done", "‮txt.exe", "\udcff"]


def shown(item: object) -> str:
    """What a colour terminal gets, without the colours."""
    file = io.StringIO()
    Terminal(file=file, force_terminal=True, no_color=True, width=200).print(item)
    text = file.getvalue()
    for style in ("\x1b[1m", "\x1b[3m", "\x1b[0m", "\x1b[1;3m"):
        text = text.replace(style, "")
    return text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_letter_by_letter_in_every_part_of_a_table(name: str) -> None:
    raw = Table(name, title=name)
    raw.add_row(name)
    for item in (name, raw, score_table({name: {"f1": 1.0}}, name), point_table([{name: name}], name)):
        text = shown(item)
        assert plain(strip_control_codes(name)) in text  # rich leaves out a bell and a return
        assert plain(text) == text


def test_the_best_score_is_bold() -> None:
    file = io.StringIO()
    scores = {"a": {"f1": 1.0}, "b": {"f1": 0.5}}
    Terminal(file=file, force_terminal=True, color_system="standard").print(score_table(scores, "", {"f1": "higher"}))
    assert "\x1b[1m1.000\x1b[0m" in file.getvalue()
    assert "\x1b[1m0.500" not in file.getvalue()


@given(st.text(st.characters(codec=None)))
def test_a_plain_text_has_no_control_character_but_lines_and_tabs(text: str) -> None:
    escaped = plain(text)
    assert all(letter in "\n\t" or (ord(letter) >= 32 and not 127 <= ord(letter) < 160) for letter in escaped)
    assert plain(escaped) == escaped
    escaped.encode()


@pytest.mark.parametrize("text", ["大家好", "a\tb\nc", "👩‍💻", "שלום\u200f", "naïve [1]"])
def test_a_text_without_control_characters_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


def test_what_is_said_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("no file 'a\nb\x1b[2J'")
    assert capsys.readouterr().err == "no file 'a\\nb\\x1b[2J'\n"


def test_an_answer_to_a_file_is_not_changed(capsys: pytest.CaptureFixture[str]) -> None:
    answer("a\x1b[31m", end="\n")
    assert capsys.readouterr().out == "a\x1b[31m\n"


def test_an_answer_to_a_terminal_commands_nothing() -> None:
    master, slave = pty.openpty()
    code = "from memfold.display import answer; answer('a\\x1b[31m', end='!')"
    subprocess.run([sys.executable, "-c", code], stdout=slave, check=True)
    assert os.read(master, 100) == b"a\\x1b[31m!"
    os.close(slave)
    os.close(master)


def test_an_environment_commands_no_terminal() -> None:
    """What doctor says of it, in a terminal."""
    master, slave = pty.openpty()
    environment = {**os.environ, "MEMFOLD_DATA": "/a\x1b]0;owned\x07\x1b[2J"}
    program = subprocess.Popen([sys.executable, "-m", "memfold", "doctor"], stdout=slave, env=environment)
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 1 << 16):
            shown += piece
    except OSError:  # as Linux says that nobody writes any more
        pass
    os.close(master)
    assert program.wait() == 0
    assert rb"/a\x1b]0;owned\x07\x1b[2J" in shown
    assert b"\x1b" not in shown


def test_a_file_with_a_hostile_name_is_refused_in_one_harmless_line(tmp_path: Path) -> None:
    name = "none\x1b]0;owned\x07\n[/x].csv"
    done = run_here("fit", "forecast", name, "--out", str(tmp_path / "m"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "memfold: none\\x1b]0;owned\\x07\\n[/x].csv: no such file\n"
