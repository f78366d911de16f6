"""Sound: whatever file it comes in, and as it comes."""

import io
import wave

import numpy as np
import pytest
import soundfile

from memfold.data.audio import listen, read_audio
from memfold.data.features import LogMel
from memfold.errors import InputError

RATE = 16000


@pytest.fixture(scope="module")
def tone():
    time = np.arange(RATE) / RATE
    return (0.4 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def wav(samples, rate=RATE, channels=1, width=2):
    file = io.BytesIO()
    with wave.open(file, "wb") as opened:
        opened.setnchannels(channels)
        opened.setsampwidth(width)
        opened.setframerate(rate)
        scaled = samples * (2 ** (8 * width - 1) - 1) + (128 if width == 1 else 0)
        opened.writeframes(scaled.astype({1: "u1", 2: "<i2", 4: "<i4"}[width]).tobytes())
    return file.getvalue()


@pytest.mark.parametrize(("name", "tolerance"), [("a.wav", 1e-4), ("a.flac", 1e-4), ("a.ogg", 0.02), ("a.mp3", 0.1)])
def test_a_file_gives_its_samples(tmp_path, tone, name, tolerance):
    soundfile.write(tmp_path / name, tone, RATE)
    found = read_audio(tmp_path / name, RATE)
    assert found.dtype == np.float32
    assert np.abs(found[2000:-2000] - tone[2000 : len(found) - 2000]).max() < tolerance


def test_channels_are_averaged_and_another_rate_is_resampled(tmp_path, tone):
    soundfile.write(tmp_path / "stereo.wav", np.stack([tone, np.zeros_like(tone)], 1), RATE)
    found = read_audio(tmp_path / "stereo.wav", RATE // 2)
    assert len(found) == len(tone) // 2
    assert np.abs(found[500:-500] - tone[::2][500:-500] / 2).max() < 1e-3


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"not audio at all, truly", "not readable as audio"), (wav(np.zeros(0)), "no samples")],
)
def test_a_bad_file_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "bad.wav").write_bytes(content)
    with pytest.raises(InputError, match=rf"bad\.wav: .*{message}"):
        read_audio(tmp_path / "bad.wav", RATE)


def test_samples_that_are_not_finite_are_refused(tmp_path, tone):
    soundfile.write(tmp_path / "nan.wav", np.where(np.arange(RATE) == 9, np.nan, tone), RATE, subtype="FLOAT")
    with pytest.raises(InputError, match="not finite"):
        read_audio(tmp_path / "nan.wav", RATE)


class Trickle(io.BytesIO):
    """An input that gives a few bytes at a time, as a pipe may."""

    def read1(self, size=-1):
        return super().read1(min(size, 333) if size > 0 else 333)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_wav_file_is_heard_as_it_grows(tone, width):
    heard = np.concatenate(list(listen(Trickle(wav(tone, width=width)), RATE)))
    assert len(heard) == len(tone)
    assert np.abs(heard - tone).max() < 2 ** (2 - 8 * width) + 1e-6


def test_a_recorder_that_does_not_know_its_end_is_heard(tone):
    content = bytearray(wav(tone))
    content[4:8], content[40:44] = b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80"  # as arecord begins a file
    assert np.abs(np.concatenate(list(listen(Trickle(bytes(content)), RATE))) - tone).max() < 1e-4


def test_raw_samples_are_taken_at_the_rate_of_the_model(tone):
    raw = (tone * 32767).astype("<i2").tobytes()
    heard = list(listen(Trickle(raw + b"\0"), RATE))  # half a sample at the end
    assert max(map(len, heard)) <= RATE // 10
    assert np.abs(np.concatenate(heard) - tone).max() < 1e-4


def test_a_running_input_is_resampled_as_a_file_is(tmp_path, tone):
    (tmp_path / "a.wav").write_bytes(wav(tone))
    heard = np.concatenate(list(listen(Trickle(wav(tone)), 8000)))
    whole = read_audio(tmp_path / "a.wav", 8000)
    assert len(heard) == len(whole)
    assert np.abs(heard - whole).max() < 1e-5


def test_another_audio_file_is_heard_at_its_end(tone):
    file = io.BytesIO()
    soundfile.write(file, tone, RATE, format="FLAC")
    assert np.abs(np.concatenate(list(listen(Trickle(file.getvalue()), RATE))) - tone).max() < 1e-4


@pytest.mark.parametrize("content", [b"", wav(np.zeros(0)), b"RIFF\0\0\0\0WAVEnothing else"])
def test_an_input_without_sound_is_an_error(content):
    with pytest.raises(InputError, match="standard input"):
        list(listen(io.BytesIO(content), RATE))


def test_frames_are_the_same_whole_and_as_they_come(tone):
    mel = LogMel(RATE, 40)
    whole = mel.of(tone)
    assert whole.shape == (mel.count(len(tone)), 40)
    for cuts in ([1], [399, 400, 401], [5000, 5160, 12345]):
        assert np.array_equal(np.stack(list(mel.follow(np.split(tone, cuts)))), whole)


def test_a_recording_shorter_than_a_frame_has_none():
    assert LogMel(RATE, 40).of(np.zeros(399, np.float32)).shape == (0, 40)
