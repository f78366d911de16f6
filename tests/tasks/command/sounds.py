"""Commands made of tones: one rises, one falls, one stays high; their pitch is the speaker's, their loudness any."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
COMMANDS = ("down", "flat", "up")


def spoken(command: str, pitch: float, rng: np.random.Generator, seconds: float = 0.35) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    slope = {"down": -1.0, "flat": 0.0, "up": 1.0}[command]
    octaves = 1.2 * slope * (time / seconds - 0.5) + (1.5 if command == "flat" else 0)
    phase = 2 * np.pi * np.cumsum(pitch * 2**octaves) / RATE
    tone = np.sin(phase) + 0.5 * np.sin(2 * phase)
    shaped = tone * np.hanning(len(time)) ** 0.3 * rng.uniform(0.05, 0.3)
    return (shaped + 1e-3 * rng.standard_normal(len(time))).astype(np.float32)


def write_commands(folder: Path, each: int = 12, seed: int = 0, speakers: int = 6) -> Path:
    """``each`` recordings of every command, of so many speakers in turn, in Speech Commands' layout."""
    rng = np.random.default_rng(seed)
    for command in COMMANDS:
        (folder / command).mkdir(parents=True, exist_ok=True)
        for k in range(each):
            pitch = 500 * 1.08 ** (k % speakers)
            samples = spoken(command, pitch, rng)
            soundfile.write(folder / command / f"s{k % speakers}_nohash_{k // speakers}.wav", samples, RATE)
    return folder


def write_noise(path: Path, seconds: float = 20, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE)).cumsum()
    noise -= np.convolve(noise, np.ones(201) / 201, "same")
    soundfile.write(path, 0.05 * noise / noise.std(), RATE)
    return path


def sentence(commands: list[str], seed: int = 0, gap: float = 0.8) -> np.ndarray:
    """Commands with quiet between them."""
    rng = np.random.default_rng(seed)
    quiet = 1e-3 * rng.standard_normal(round(gap * RATE)).astype(np.float32)
    parts = [quiet]
    for command in commands:
        parts += [spoken(command, 560, rng), quiet]
    return np.concatenate(parts).astype(np.float32)
