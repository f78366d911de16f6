"""The SpeechRecognizer: fit an acoustic model to recordings and their texts, write what is said, score by jiwer."""

import hashlib
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Self, TypeVar

import jiwer
import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import nn

from memfold.data.audio import SUFFIXES, listen, read_audio
from memfold.data.features import SHIFT, LogMel
from memfold.data.speech import Utterances, load_mboshi, read_manifests
from memfold.display import Terminal, say
from memfold.errors import InputError
from memfold.formats.directory import TEXTS
from memfold.tasks.base import Parts, Report, Task
from memfold.tasks.speech.live import stream_cost
from memfold.tasks.transcribe.batches import Recordings, SpeechProblem, least_steps, log_probabilities
from memfold.tasks.transcribe.network import AcousticNetwork, NetworkSize
from memfold.tasks.transcribe.report import mistake_tables
from memfold.tasks.transcribe.search import Alphabet, CharacterModel, Segment, Transcript, Weights, greedy
from memfold.training import Budget, Settings

__all__ = ["SpeechRecognizer"]

BEAM_TO_CHOOSE, MOST_TO_CHOOSE = 8, 100  # prefixes and recordings with which the search's weights are chosen
CHOICES = tuple(itertools.product((0.0, 0.3, 0.6, 0.9), (0.0, 0.5, 1.0, 1.5)))  # of language and bonus
T = TypeVar("T")
TO_JSON: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False).encode


class SpeechRecognizer(Task):
    """Writes what is said in recordings, in any language, by the character.

    Args:
        rate: samples a second at which recordings are heard.
        bins: mel bands.
        stacked: frames that make a step of the LSTMs; there are 100 a second.
        hidden_size: units of an LSTM layer, in each direction.
        num_layers: LSTM layers.
        causal: forward layers alone, so that text comes while somebody speaks (``memfold stream``).
        dropout: between layers and before the head.
        augment: alter the recordings a little each time: speed, masked bands and stretches (Park et al. 2019).
        lr: peak learning rate.
        batch_frames: frames in a step.
        patience: stop after so many of the 20 validations without a better one; None uses the whole budget.
        beam: texts that the search follows; 1 takes the likeliest labels and no language model.
        pause: seconds without a character that end a segment.
        seed: of the initial weights, the batches, dropout and what is altered.
    """

    name: ClassVar[str] = "transcribe"
    hears: ClassVar[bool] = True
    network_: AcousticNetwork

    def __init__(
        self,
        rate: int = 16000,
        bins: int = 80,
        stacked: int = 3,
        hidden_size: int = 256,
        num_layers: int = 3,
        causal: bool = False,
        dropout: float = 0.1,
        augment: bool = True,
        lr: float = 2e-3,
        batch_frames: int = 3000,
        patience: int | None = None,
        beam: int = 16,
        pause: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.rate = rate
        self.bins = bins
        self.stacked = stacked
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.causal = causal
        self.dropout = dropout
        self.augment = augment
        self.lr = lr
        self.batch_frames = batch_frames
        self.patience = patience
        self.beam = beam
        self.pause = pause
        self.seed = seed

    # -- reading ---------------------------------------------------------------------------------------------

    def parts(self, data: Sequence[str]) -> Parts:
        if self.known_set(data):
            return Parts(*load_mboshi())
        return Parts(*self.read_files(data).split())

    def read_files(self, paths: Sequence[str]) -> Utterances:
        return read_manifests(paths)

    def read(self, data: Any) -> Utterances:
        """Recordings and texts from a manifest's path, or several."""
        if isinstance(data, Utterances):
            return data
        return read_manifests([data] if isinstance(data, str | Path) else data)

    def frames(self, audio: Sequence[Path | str], show: bool = False) -> list[NDArray[np.float16]]:
        """Log-mel frames ``(T, M)`` of each file.

        Raises:
            InputError: naming a file that cannot be read, or is too short for a frame.
        """
        found = []
        for file in _followed(audio, "reading", show):
            found.append(self._mel().of(read_audio(file, self.rate)).astype(np.float16))
            if not len(found[-1]):
                raise InputError(f"{file}: lasts less than 25 ms")
        return found

    def _mel(self) -> LogMel:
        return LogMel(self.rate, self.bins)

    # -- fitting ---------------------------------------------------------------------------------------------

    def fit(
        self,
        data: Any,
        budget: str = "15m",
        valid: Any = None,
        *,
        out: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
    ) -> Self:
        """Fit the model to recordings and their texts.

        Args:
            data: what `read` takes.
            budget: minutes of training such as ``15m``, or epochs such as ``20ep``; the recordings are read before.
            valid: recordings to validate on; a twentieth of the data when None.
            out: folder in which to keep a checkpoint.
            resume: go on from the checkpoint there.
            progress: show it on standard error.

        Raises:
            InputError: data or parameters that cannot be worked with.
        """
        limit = Budget.parse(budget)
        self._check()
        train, held_out = self.read(data).split() if valid is None else (self.read(data), self.read(valid))
        self.alphabet_ = Alphabet.of(train.texts)
        self.texts_ = train.texts
        vars(self).pop("_characters", None)  # of an earlier fit
        torch.manual_seed(self.seed)
        network = AcousticNetwork(self._size())
        learnt = self._recordings(network, train, progress, "to learn from")
        kept = self._recordings(network, held_out, progress, "to validate on")
        network.front.normalise_by(learnt.frames)
        problem = SpeechProblem(network, learnt, kept, self.alphabet_, self.batch_frames, self.augment, self.seed)
        identity = {"budget": budget, "data": _hash(learnt, kept)}
        settings = Settings(limit, lr=self.lr, patience=self.patience)
        self._train(problem, settings, identity, None if out is None else Path(out), resume, progress)
        self._choose_weights(kept, progress)
        return self

    def _check(self) -> None:
        ones = ("rate", "stacked", "hidden_size", "num_layers", "batch_frames", "beam")
        self._check_least({**dict.fromkeys(ones, 1), "bins": 4})
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must be at least 0 and below 1, got {self.dropout}")
        if not self.pause > 0:
            raise InputError(f"pause must be above 0 seconds, got {self.pause}")

    def _size(self) -> NetworkSize:
        return NetworkSize(
            self.bins,
            self.stacked,
            self.hidden_size,
            self.num_layers,
            len(self.alphabet_.characters),
            self.dropout,
            self.causal,
        )

    def _recordings(self, network: AcousticNetwork, data: Utterances, show: bool, purpose: str) -> Recordings:
        """What can be learnt from: recordings that last as long as their texts need."""
        frames = self.frames(data.audio, show)
        labels = [self.alphabet_.encode(text) for text in data.texts]
        fit = [i for i, own in enumerate(labels) if own and network.steps(len(frames[i])) >= least_steps(own)]
        if not fit:
            raise InputError(f"{data.name}: every recording {purpose} is shorter than its text, or has no known letter")
        if show and len(fit) < len(labels):
            first = data.audio[next(i for i in range(len(labels)) if i not in set(fit))]
            count = len(labels) - len(fit)
            which = "1 recording" if count == 1 else f"{count} recordings"
            say(f"{which} left out, shorter than the text or without a known letter: {first} ...")
        return Recordings([frames[i] for i in fit], [labels[i] for i in fit])

    def _choose_weights(self, valid: Recordings, show: bool) -> None:
        """Those of the search, by the character error rate of what was validated on."""
        self.weights_ = Weights(beam=1, language=0.0, bonus=0.0)
        if self.beam == 1:
            return
        found = [own.numpy() for own in log_probabilities(self.network_, valid.frames[:MOST_TO_CHOOSE])]
        texts = [self.alphabet_.decode(own) for own in valid.labels[:MOST_TO_CHOOSE]]
        scores = {}
        for language, bonus in _followed(CHOICES, "weighing the language model", show):
            weights = Weights(BEAM_TO_CHOOSE, language, bonus)
            scores[language, bonus] = jiwer.cer(texts, [self._text(own, weights) for own in found])
        language, bonus = min(scores, key=lambda choice: scores[choice])
        self.weights_ = Weights(self.beam, language, bonus)
        if show:
            score = scores[language, bonus]
            say(f"search: language model {language:g}, bonus {bonus:g}: valid CER {score:.4f}")

    # -- transcribing ----------------------------------------------------------------------------------------

    def predict(self, data: Sequence[str | Path]) -> list[str]:
        """What is said in each of the audio files."""
        self._check_fitted()
        return [self._text(own) for own in self._heard(self.frames(data))]

    def _heard(self, frames: Sequence[NDArray[np.float16]]) -> list[NDArray[np.float32]]:
        self.network_.eval()
        return [own.numpy() for own in log_probabilities(self.network_, frames)]

    def _text(self, y: NDArray[np.float32], weights: Weights | None = None) -> str:
        return self._transcript(weights).whole(y)

    def _transcript(self, weights: Weights | None = None) -> Transcript:
        weights = weights or self.weights_
        model = self._language() if weights.language else None
        return Transcript(self.alphabet_, weights, model, max(1, round(self.pause / self.step_seconds)))

    def _language(self) -> CharacterModel:
        if not hasattr(self, "_characters"):
            texts = [self.alphabet_.encode(text) for text in self.texts_]
            self._characters = CharacterModel(texts, len(self.alphabet_.characters))
        return self._characters

    @property
    def step_seconds(self) -> float:
        """From one of the network's steps to the next."""
        return SHIFT * self.stacked

    def answers(self, inputs: Sequence[str]) -> pl.DataFrame:
        """A row a recording: its file and its text; of a known data set, of its test part."""
        self._check_fitted()
        if not inputs:
            raise InputError("name the audio files to transcribe, a manifest, or @NAME")
        if self.known_set(inputs):
            files: list[Path] = self.parts(inputs).test.audio
        elif all(Path(name).suffix.lower() in SUFFIXES for name in inputs):
            files = [Path(name) for name in inputs]
        else:
            files = read_manifests(inputs).audio
        return pl.DataFrame({"audio": [str(file) for file in files], "text": self.predict(files)})

    def listen(self, source: BinaryIO) -> Iterator[str]:
        """Text while somebody speaks, in lines of JSON.

        ``{"time": ..., "partial": ...}`` whenever the text so far changes, ``{"start": ..., "end": ..., "text": ...}``
        after a pause and at the end; seconds from the beginning.

        Raises:
            InputError: the model is not causal, or the sound cannot be read.
        """
        self._check_fitted()
        if not self.causal:
            raise InputError("this model reads recordings in both directions; fit one with --set causal=true to stream")
        listener, transcript, said = self.network_.listener(), self._transcript(), ""
        for frame in self._mel().follow(listen(source, self.rate)):
            y = listener.step(frame.astype(np.float16).astype(np.float32))  # as whole recordings are kept
            if y is None:
                continue
            if (segment := transcript.step(_log_softmax(y))) is not None:
                yield self._line(segment)
            if (now := transcript.partial()) != said and now:
                yield TO_JSON({"time": self._seconds(transcript.steps), "partial": now})
            said = now
        for y in listener.finish():
            if (segment := transcript.step(_log_softmax(y))) is not None:
                yield self._line(segment)
        if (segment := transcript.finish()) is not None:
            yield self._line(segment)

    def _line(self, segment: Segment) -> str:
        start, end = self._seconds(segment.first), self._seconds(segment.last + 1)
        return TO_JSON({"start": start, "end": end, "text": segment.text})

    def _seconds(self, steps: int) -> float:
        return round(steps * self.step_seconds, 2)

    def next_command(self, out: Path, data: Sequence[str]) -> str:
        if self.causal:
            return f"memfold stream {out} < recording.wav writes along"
        return f"memfold predict {out} recording.wav writes what is said"

    # -- scores ----------------------------------------------------------------------------------------------

    def evaluate(self, data: Any, name: str = "") -> Report:
        """Score the texts beside those without a language model and one text for all.

        Args:
            data: what `read` takes.
            name: what to call the data in the report.

        Returns:
            Character and word error rate, edits over the length of the true texts; and the real-time factor: seconds
            to hear and write a second of sound, reading the file included.
        """
        self._check_fitted()
        begun = time.monotonic()
        spoken = self.read(data)
        frames = self.frames(spoken.audio)
        heard = self._heard(frames)
        found = [self._text(own) for own in heard]
        taken = time.monotonic() - begun
        seconds = SHIFT * sum(map(len, frames))
        others = {"one text for all": [_typical(self.texts_)] * len(found)}
        if self.weights_.beam > 1:
            others["no language model"] = [self.alphabet_.decode(greedy(own)) for own in heard]
        metrics = {**_error_rates(spoken.texts, found), "real_time_factor": taken / seconds}
        baselines = {other: _error_rates(spoken.texts, texts) for other, texts in others.items()}
        shown: list[Any] = [*mistake_tables(spoken.texts, found, [str(file) for file in spoken.audio])]
        if self.causal:
            shown.append(
                f"network: {self._time_of_a_frame(frames[0]):.0f} µs of one core for each frame of 10 ms of a stream"
            )
        return Report(self.name, name, metrics, baselines, self.parameter_count, self.seed, taken, shown)

    def _time_of_a_frame(self, frames: NDArray[np.float16]) -> float:
        """Microseconds of one core that the network takes for a frame of a stream, frames and search apart."""
        listener = self.network_.listener()
        some = [frame for frame in frames.astype(np.float32) for _ in range(1 + 1000 // len(frames))]
        return stream_cost(lambda: [listener.step(frame) for frame in some], len(some))

    # -- models on disk --------------------------------------------------------------------------------------

    @classmethod
    def fitted_types(cls) -> dict[str, Any]:
        return {"characters": str, "weights": Weights}

    def fitted_state(self) -> dict[str, Any]:
        return {"characters": self.alphabet_.characters, "weights": asdict(self.weights_)}

    def restore_fitted(self, state: dict[str, Any]) -> nn.Module:
        self.alphabet_ = Alphabet(state["characters"])
        self.weights_ = Weights(**state["weights"])
        return AcousticNetwork(self._size())

    def fitted_files(self) -> dict[str, bytes]:
        return {TEXTS: "\n".join(self.texts_).encode()}

    def restore_files(self, files: dict[str, bytes]) -> None:
        self.texts_ = files[TEXTS].decode().split("\n")


def _error_rates(texts: list[str], found: list[str]) -> dict[str, float]:
    return {"cer": float(jiwer.cer(texts, found)), "wer": float(jiwer.wer(texts, found))}


def _typical(texts: Sequence[str]) -> str:
    """The one of some texts that is least wrong for a sample of the others."""
    some = [texts[i] for i in np.random.default_rng(0).permutation(len(texts))[:50]]
    return str(min(some, key=lambda text: float(jiwer.cer(some, [text] * len(some)))))


def _log_softmax(y: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = np.asarray(y - y.max(), np.float32)
    return np.asarray(shifted - np.log(np.exp(shifted).sum()), np.float32)


def _followed(items: Sequence[T], what: str, show: bool) -> Iterable[T]:
    """The same items, counted by a bar where somebody looks."""
    if not (show and sys.stderr.isatty()):
        return items
    return track(items, what, console=Terminal(file=sys.stderr))


def _hash(*parts: Recordings) -> str:
    digest = hashlib.sha256()
    for part in parts:
        for frames, labels in zip(part.frames, part.labels, strict=True):
            digest.update(frames.tobytes())
            digest.update(bytes(str(labels), "utf-8"))
    return digest.hexdigest()
