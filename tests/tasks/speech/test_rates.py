"""The rate that is taken from recordings."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from memfold.data.audio import Waveform
from memfold.tasks.speech.rates import usual_rate


def write(folder: Path, rates: list[int]) -> list[Path]:
    for number, rate in enumerate(rates):
        soundfile.write(folder / f"{number}.wav", np.zeros(rate // 10), rate)
    return sorted(folder.iterdir())


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([8000] * 12, 8000),
        ([44_100] * 12, 16_000),
        ([11_025] * 12, 11_025),
        ([4000] * 12, 8000),
        ([8000] + [16_000] * 11, 16_000),
        ([8000] * 3 + [16_000] * 9, 8000),
    ],
)
def test_nine_tenths_of_the_recordings_have_the_rate(tmp_path: Path, rates: list[int], expected: int) -> None:
    assert usual_rate(write(tmp_path, rates)) == expected


def test_what_cannot_be_read_has_no_say(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    assert usual_rate([tmp_path / "text.wav", Waveform.of(np.zeros(800), 8000, "samples")]) == 8000
    assert usual_rate([tmp_path / "text.wav", tmp_path / "gone.wav"]) == 16_000
