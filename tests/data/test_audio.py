"""Sound: whatever file it comes in, and as it comes."""

import io
import shutil
import struct
import subprocess
import wave

import numpy as np
import pytest
import soundfile

from memfold.data import ffmpeg
from memfold.data.audio import Waveform, listen, read_audio, read_sound
from memfold.data.features import LogMel
from memfold.data.sound_notes import SoundNotes, noting
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
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b"not audio at all, truly", "not readable as audio .a text: 'not audio at all, truly'."),
        (wav(np.zeros(0)), "no samples"),
        (bytes(range(256)) * 9, "not readable as audio"),
    ],
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


def headed(data, tag=1, channels=1, rate=RATE, bits=16, size=None):
    """A WAV file whose header says anything."""
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * frame & 0xFFFFFFFF, frame, bits)
    size = len(data) if size is None else size
    return b"RIFF\xff\xff\0\0WAVEfmt \x10\0\0\0" + form + b"data" + struct.pack("<I", size) + data


BAD_HEADERS = [
    (headed(bytes(2000), rate=0), "its header says a rate of 0 samples a second; expected 2,000 to 768,000"),
    (headed(bytes(2000), rate=1), "a rate of 1 samples a second"),
    (headed(bytes(2000), rate=3), "a rate of 3 samples a second"),
    (headed(bytes(2000), rate=2**32 - 1), "a rate of 4,294,967,295 samples a second"),
    (headed(bytes(2000), bits=0), "its header says 0 bits a sample; integers of 8, 16, 24, 32 bits can be read"),
    (headed(bytes(2000), bits=64), "its header says 64 bits a sample"),
    (headed(bytes(2000), tag=3, bits=16), "16 bits a sample; floats of 32, 64 bits can be read"),
    (headed(bytes(2000), channels=0), "its header says 0 channels; expected 1 to 64"),
    (
        headed(np.array([1e38, 3e38], "<f4").tobytes(), tag=3, bits=32),
        "samples of up to 3e.38; expected floats between",
    ),
    (headed(np.array([0, np.nan], "<f4").tobytes(), tag=3, bits=32), "holds samples that are not finite"),
    (b"RIFF\0\0\0\0WAVE", "no samples follow its header"),
    (b"RIFF\0\0\0\0WAVEdata\x10\0\0\0" + bytes(16), "does not say what the samples are"),
    (b"RIFF\0\0\0\0WAVEnothing else", "no samples follow its header"),
]


@pytest.mark.parametrize(("content", "message"), BAD_HEADERS)
def test_a_header_that_cannot_be_is_named(tmp_path, content, message):
    (tmp_path / "bad.wav").write_bytes(content)
    with pytest.raises(InputError, match=rf"bad\.wav: .*{message}"):
        read_audio(tmp_path / "bad.wav", RATE)
    with pytest.raises(InputError, match=f"standard input: .*{message}"):
        list(listen(io.BytesIO(content), RATE))


@pytest.mark.parametrize("size", [2 * RATE + 100, 0xFFFFFFF0])
def test_what_is_left_of_a_file_that_was_cut_off_is_read_and_it_is_said(tmp_path, tone, capsys, size):
    data = (tone * 32767).astype("<i2").tobytes()
    (tmp_path / "cut.wav").write_bytes(headed(data, size=size))
    sound = read_sound(tmp_path / "cut.wav", RATE)
    assert len(sound.samples) == len(tone)
    assert sound.cut
    assert np.array_equal(
        np.concatenate(list(noting(listen, io.BytesIO(headed(data, size=len(data) + 9)), RATE))), sound.samples
    )
    assert "standard input: cut off, shorter than the header says" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["FLAC", "MP3"])
def test_other_files_that_were_cut_off_are_read_as_far_as_they_go(tmp_path, tone, kind):
    long = np.tile(tone, 8)
    soundfile.write(tmp_path / "whole", long, RATE, format=kind)
    content = (tmp_path / "whole").read_bytes()
    assert not read_sound(tmp_path / "whole", RATE).cut
    (tmp_path / "half").write_bytes(content[: len(content) // 2])
    sound = read_sound(tmp_path / "half", RATE)
    assert sound.cut
    assert len(long) / 5 < len(sound.samples) < len(long)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x80000000])
def test_a_recorder_that_does_not_know_its_end_cuts_nothing_off(tmp_path, tone, size):
    (tmp_path / "a.wav").write_bytes(headed((tone * 32767).astype("<i2").tobytes(), size=size))
    assert not read_sound(tmp_path / "a.wav", RATE).cut


@pytest.mark.parametrize(
    ("tag", "bits", "dtype", "scale"), [(1, 24, "<i4", 2**23), (3, 32, "<f4", 1), (3, 64, "<f8", 1)]
)
def test_wide_samples_are_heard_as_they_come_and_from_a_file(tmp_path, tone, tag, bits, dtype, scale):
    data = (tone * scale).astype(dtype)
    raw = data.view(np.uint8).reshape(-1, 4)[:, :3].tobytes() if bits == 24 else data.tobytes()
    (tmp_path / "a.wav").write_bytes(headed(raw, tag, 1, RATE, bits))
    heard = np.concatenate(list(listen(Trickle(headed(raw, tag, 1, RATE, bits)), RATE)))
    assert np.abs(heard - tone).max() < 1e-6
    assert np.array_equal(heard, read_audio(tmp_path / "a.wav", RATE))


def test_packed_samples_are_heard_when_they_have_ended(tone):
    file = io.BytesIO()
    soundfile.write(file, tone, RATE, format="WAV", subtype="ULAW")
    heard = np.concatenate(list(listen(Trickle(file.getvalue()), RATE)))
    assert np.abs(heard - tone).max() < 0.02


def test_a_recording_of_many_hours_is_refused_before_it_is_read(tmp_path):
    """A header of FLAC says how long the recording is; the file itself is of 42 bytes."""
    rate, samples = 8000, 8000 * 3600 * 30
    packed = rate << 44 | 0 << 41 | 15 << 36 | samples
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    (tmp_path / "long.flac").write_bytes(b"fLaC\x80\0\0\x22" + info)
    with pytest.raises(
        InputError, match=r"long.flac: lasts 1800 minutes; 180 at most .*ffmpeg -i .* -segment_time 600"
    ):
        read_audio(tmp_path / "long.flac", RATE)


def test_a_file_is_known_by_its_content_and_not_by_its_name(tmp_path, tone, monkeypatch):
    (tmp_path / "lost.caf").write_bytes(b"caff\0\1\0\0" + bytes(100))
    with pytest.raises(InputError, match=r"lost.caf: not readable as audio .*; if others play it: ffmpeg -i "):
        read_audio(tmp_path / "lost.caf", RATE)
    soundfile.write(tmp_path / "a.flac", tone, RATE)
    (tmp_path / "a.flac").rename(tmp_path / "flac.wav")
    assert np.abs(read_audio(tmp_path / "flac.wav", RATE) - tone).max() < 1e-4
    monkeypatch.setattr(ffmpeg, "ffmpeg", lambda: None)
    (tmp_path / "voice memo.wav").write_bytes(b"\0\0\0\x1cftypM4A \0\0\2\0" + bytes(100))
    with pytest.raises(
        InputError,
        match=r"memo.wav: a file of MPEG-4 .*which is not read without ffmpeg, .*; convert it: ffmpeg -i '.*memo.wav' ",
    ):
        read_audio(tmp_path / "voice memo.wav", RATE)
    (tmp_path / "a.raw").write_bytes((tone * 32767).astype("<i2").tobytes())
    with pytest.raises(InputError, match=r"a.raw: samples without a header.*ffmpeg -f s16le -ar 16000 -ac 1 -i"):
        read_audio(tmp_path / "a.raw", RATE)


# -- what ffmpeg reads -----------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize(
    ("name", "codec"), [("a.m4a", "aac"), ("a.mp4", "aac"), ("a.webm", "libopus"), ("a.mkv", "flac")]
)
def test_ffmpeg_reads_what_libsndfile_does_not(tmp_path, tone, name, codec):
    soundfile.write(tmp_path / "a.wav", np.stack([tone, tone], 1), RATE)
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", "-c:a", codec, tmp_path / name]
    subprocess.run(command, check=True)
    (tmp_path / name).rename(tmp_path / "- voice; memo 早.wav")  # which its content tells
    sound = read_sound(tmp_path / "- voice; memo 早.wav", RATE)
    assert sound.channels == 2
    assert not sound.cut
    assert abs(len(sound.samples) - len(tone)) < 2500  # a coder's own frames
    middle = sound.samples[2000:10_000]
    assert np.abs(np.fft.rfft(middle)).argmax() * RATE / len(middle) == pytest.approx(440, abs=2)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_what_ffmpeg_cannot_read_is_one_line_and_no_playlist_is_followed(tmp_path, tone, monkeypatch):
    soundfile.write(tmp_path / "a.wav", tone, RATE)
    picture = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=c=blue:s=32x32:d=0.2", tmp_path / "seen.mp4"]
    subprocess.run(picture, check=True)
    head = b"\0\0\0\x1cftypM4A \0\0\2\0"
    (tmp_path / "damaged.m4a").write_bytes(head + bytes(100))
    playlist = b"#EXTM3U\n#EXTINF:1,\nfile://" + str(tmp_path / "a.wav").encode() + b"\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.m4a").write_bytes(playlist)
    (tmp_path / "hidden.m4a").write_bytes(head + playlist)
    (tmp_path / "concat.mkv").write_bytes(b"\x1a\x45\xdf\xa3ffconcat version 1.0\nfile a.wav\n")
    for name, message in (
        ("seen.mp4", "seen.mp4: holds no sound$"),
        ("damaged.m4a", r"damaged.m4a: not readable as audio \(ffmpeg: "),
        ("list.m4a", r"list.m4a: not readable as audio \(a text: '#EXTM3U'\)"),
        ("hidden.m4a", r"hidden.m4a: not readable as audio \(ffmpeg: "),
        ("concat.mkv", r"concat.mkv: not readable as audio \(ffmpeg: "),
    ):
        with pytest.raises(InputError, match=message) as error:
            read_sound(tmp_path / name, RATE)
        assert "\n" not in str(error.value)
    monkeypatch.setattr(ffmpeg, "MOST_WAIT", 0)
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", tmp_path / "b.m4a"], check=True)
    with pytest.raises(InputError, match="ffmpeg took longer"):
        read_sound(tmp_path / "b.m4a", RATE)


def test_one_channel_can_be_taken(tone):
    call = Waveform.of(np.stack([tone, 0.1 * tone[::-1]], 1), RATE, "call")
    for channel, expected in (("left", tone), ("0", tone), ("right", 0.1 * tone[::-1]), ("1", 0.1 * tone[::-1])):
        sound = read_sound(call, RATE, channel=channel)
        np.testing.assert_array_equal(sound.samples, expected.astype(np.float32))
        assert sound.channels == 1
    with pytest.raises(InputError, match="call: has 2 channels; channel 2 was asked for, the first being 0"):
        read_sound(call, RATE, channel="2")
    with pytest.raises(InputError, match="one: has 1 channel; channel 1 was asked for"):
        read_sound(Waveform.of(tone, RATE, "one"), RATE, channel="right")
    with pytest.raises(InputError, match="channel must be mean, left, right or a number from 0, got 'both'"):
        read_sound(call, RATE, channel="both")


# -- what is said of recordings --------------------------------------------------------------------------------


def lines_of(rate, *waveforms, fitting=False):
    notes = SoundNotes(rate, fitting)
    for name, samples, its_rate in waveforms:
        notes.add(name, read_sound(Waveform.of(samples, its_rate, name), rate))
    return notes.lines()


def test_a_rate_below_the_models_is_said_once_with_both_rates_and_a_count(tone):
    (line,) = lines_of(16000, *((f"{k}.wav", tone, 8000) for k in range(5)), ("x.wav", tone, 16000))
    assert line.startswith("warning: 5 of 6 recordings (0.wav, 1.wav, 2.wav, ...): 8,000 samples a second")
    assert "the model takes 16,000. Above 4,000 Hz" in line
    assert "--set rate=8000" in line
    assert lines_of(16000, ("a.wav", tone, 15000), ("b.wav", tone, 48000)) == []  # hardly lower, and higher


def test_different_rates_to_train_on_are_said(tone):
    first, *_ = lines_of(16000, ("a", tone, 44100), ("b", tone, 16000), ("c", tone, 16000), fitting=True)
    assert "16,000 (2), 44,100 (1); all become 16,000" in first


def test_channels_and_silence_are_said(tone):
    quiet = 0.003 * tone
    silence = np.zeros(RATE, np.float32)
    recordings = {
        "both": np.stack([tone, tone], 1),
        "left": np.stack([tone, silence], 1),
        "opposite": np.stack([tone, -tone], 1),
        "silence": silence,
        "quiet": quiet,
        "tone": tone,
    }
    lines = lines_of(RATE, *((name, samples, RATE) for name, samples in recordings.items()))
    several, apart, cancelled, silent = lines
    assert several == "2 of 6 recordings (both, opposite): several channels, which are averaged"
    assert apart.startswith("1 of 6 recordings (left): channels that differ much")
    assert apart.endswith("take one: --set channel=left or right")
    assert cancelled.startswith("1 of 6 recordings (opposite): channels that cancel each other out; keep one: --set")
    assert silent == "1 of 6 recordings (silence): silence only"
    assert lines_of(RATE, ("silence", silence, RATE)) == ["silence: silence only"]


@pytest.mark.parametrize(("dtype", "tolerance"), [("int16", 1e-4), ("int32", 1e-6), ("float64", 1e-6), ("uint8", 0.02)])
def test_an_array_gives_its_samples_whatever_its_type(tone, dtype, tolerance):
    scale, middle = {"int16": (32767, 0), "int32": (2**31 - 1, 0), "float64": (1, 0), "uint8": (127, 128)}[dtype]
    array = (tone.astype(np.float64) * scale + middle).astype(dtype)
    assert np.abs(read_audio(Waveform.of(array, RATE, "a"), RATE) - tone).max() < tolerance
    assert len(read_audio(Waveform.of(array, RATE, "a"), RATE // 2)) == RATE // 2


def test_numbers_of_16_bits_given_as_floats_are_refused(tone):
    with pytest.raises(InputError, match=r"a: holds samples of up to 1.31e\+04; expected floats between -1 and 1"):
        read_audio(Waveform.of(tone * 32767, RATE, "a"), RATE)


# -- a running input that is no sound --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ds,y\n2024-01-01,5\n", "a text .'ds,y'.; expected sound: a WAV file, or raw samples of 16 bits"),
        ("今天天气很好\n".encode("gb18030"), "a text"),
        (b"\0\0\0\x1cftypM4A \0\0\2\0" + bytes(100), "MPEG-4 .*ffmpeg -i FILE -f wav - . memfold stream"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a picture .PNG., which is not read; expected sound"),
    ],
)
def test_what_is_no_sound_is_not_listened_to(content, message):
    with pytest.raises(InputError, match=f"standard input: .*{message}"):
        list(listen(Trickle(content), RATE))


def test_a_stream_says_once_that_its_rate_is_lower_and_that_channels_are_averaged(tone, capsys):
    stereo = np.stack([tone, tone], 1).reshape(-1)
    list(noting(listen, Trickle(wav(stereo, 8000, 2)), 16000))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "8,000 samples a second, and the model takes 16,000" in said[0]
    assert said[1] == "standard input: several channels, which are averaged"
    list(noting(listen, Trickle(bytes(3200)), 16000))
    assert capsys.readouterr().err == "standard input: silence only\n"


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
