"""The CommandRecognizer: fit an LSTM to recordings of commands, tell them in files and in a running input."""

import hashlib
import json
import time as clock
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import nn

from memfold.data.audio import listen, read_audio
from memfold.data.commands import OTHER, Recordings, audio_files, joined, load_fsdd, read_commands
from memfold.data.features import SHIFT, LogMel
from memfold.errors import InputError
from memfold.tasks.base import Parts, Report, Task
from memfold.tasks.command.baselines import MFCC, CepstralRegression
from memfold.tasks.command.hearing import Heard, Samples, floored, hear, hear_background, made_noise
from memfold.tasks.command.inference import between_quiet, logits_of, probabilities_of, smoothed_of
from memfold.tasks.command.network import CommandNetwork, CommandProblem, NetworkSize
from memfold.tasks.command.report import confusion_table
from memfold.tasks.command.spotting import LEAST, Event, Spotter, Spotting, spotted, threshold_for
from memfold.tasks.speech.live import stream_cost
from memfold.training import Budget, Settings

__all__ = ["CommandRecognizer"]

HOUR = 3600 / SHIFT  # in frames
COST_SECONDS = 10  # of sound, to time the stream with


class CommandRecognizer(Task):
    """Tells which command a recording holds, and when commands are said in a running input.

    Convolutions and LSTM layers that only look back give probabilities at every step; a recording's are pooled. In a
    stream, how much likelier a command is than none is averaged and compared with a threshold, set for so many false
    alarms an hour.

    Args:
        pattern: how a file's name is made up, such as ``{label}_{speaker}_{index}``; None takes a folder a command.
        background: folder or file with sound in which no command is spoken, learnt as "other".
        holdout: speaker to train without and to test on; None holds out a tenth of speakers or recordings.
        fold: which tenth of an own data set is held out.
        rate: samples a second that recordings are brought to.
        bins: mel bands.
        channels: of the convolutions.
        convolutions: each halves the rate of steps.
        hidden_size: units of an LSTM layer.
        layers: LSTM layers.
        dropout: before and after the LSTM, and between its layers.
        window: seconds over which a stream's log ratios are averaged.
        refractory: seconds from one event to the next, at least.
        false_alarms: an hour, for which the threshold is set.
        lr: peak learning rate.
        batch_size: recordings in a step.
        patience: stop after so many of the 20 validations without a better one; None uses the whole budget.
        seed: of the initial weights, the order and changes of the recordings, and dropout.
    """

    name: ClassVar[str] = "command"
    hears: ClassVar[bool] = True
    network_: CommandNetwork

    def __init__(
        self,
        pattern: str | None = None,
        background: str | None = None,
        holdout: str | None = None,
        fold: int = 0,
        rate: int = 16000,
        bins: int = 40,
        channels: int = 64,
        convolutions: int = 2,
        hidden_size: int = 128,
        layers: int = 1,
        dropout: float = 0.2,
        window: float = 0.2,
        refractory: float = 0.6,
        false_alarms: float = 1.0,
        lr: float = 3e-3,
        batch_size: int = 64,
        patience: int | None = None,
        seed: int = 0,
    ) -> None:
        self.pattern = pattern
        self.background = background
        self.holdout = holdout
        self.fold = fold
        self.rate = rate
        self.bins = bins
        self.channels = channels
        self.convolutions = convolutions
        self.hidden_size = hidden_size
        self.layers = layers
        self.dropout = dropout
        self.window = window
        self.refractory = refractory
        self.false_alarms = false_alarms
        self.lr = lr
        self.batch_size = batch_size
        self.patience = patience
        self.seed = seed

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: Any) -> Recordings:
        """The recordings in a folder, and the background that the model is told of.

        Raises:
            InputError: naming the folder or file that does not fit.
        """
        return data if isinstance(data, Recordings) else self._with_background([data])

    def _with_background(self, paths: Sequence[str | Path]) -> Recordings:
        first, *others = paths
        own = read_commands(first, self.pattern, self.background)
        return joined([own, *(read_commands(path, self.pattern) for path in others)])

    def read_files(self, paths: Sequence[str]) -> Recordings:
        return joined([read_commands(path, self.pattern) for path in paths])

    def parts(self, data: Sequence[str]) -> Parts:
        if self.known_set(data):
            return Parts(*load_fsdd(self.holdout, self.background))
        recordings = self._with_background(data)
        if self.holdout is not None:
            return Parts(*recordings.hold_out(self.holdout))
        return Parts(*recordings.split_by_speaker(self.fold))

    @property
    def features(self) -> LogMel:
        """The frames that the network takes."""
        return LogMel(self.rate, self.bins)

    @property
    def classes_(self) -> list[str]:
        """What a recording can be told to be: the commands and, where background was learnt, "other"."""
        return [*self.commands_, OTHER] if self.other_ else self.commands_

    # -- fitting ---------------------------------------------------------------------------------------------

    def fit(
        self,
        data: Any,
        budget: str = "3m",
        valid: Any = None,
        *,
        out: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
    ) -> Self:
        """Fit the model to recordings, and set its threshold.

        To validate on, every speaker gives a share: holding out whole ones would cost more to learn from than it tells.

        Args:
            data: a folder, or what `read_files` gave.
            budget: minutes of training such as ``3m``, or epochs such as ``20ep``.
            valid: recordings to validate on; a tenth of the data when None.
            out: folder in which to keep a checkpoint.
            resume: go on from the checkpoint there.
            progress: show it on standard error.

        Raises:
            InputError: data or parameters that cannot be worked with.
        """
        limit = Budget.parse(budget)
        self._check()
        recordings = self.read(data)
        recordings.require()
        train, tuning = recordings.split() if valid is None else (recordings, self.read(valid))
        self.commands_ = recordings.classes
        self.speakers_ = sorted({speaker for part in (train, tuning) for speaker in part.speakers} - {""})
        learnt, validated = hear(train.paths, self.features), hear(tuning.paths, self.features)
        background, kept = (hear_background(part.background, self.features) for part in (train, tuning))
        self.other_ = len(background) > 0
        numbers, truth = self._numbers(train), self._numbers(tuning)
        self.size_ = NetworkSize(
            self.bins,
            self.channels,
            self.convolutions,
            self.hidden_size,
            self.layers,
            len(self.commands_),
            self.dropout,
        )
        torch.manual_seed(self.seed)
        network = CommandNetwork(self.size_)
        network.front.normalise_by(learnt.frames)
        bank = [*made_noise(self.features), *([background] if self.other_ else [])]
        problem = CommandProblem(
            network,
            (learnt.frames, numbers),
            (validated.frames, truth),
            bank,
            background,
            _steps(self.window, network),
            self.batch_size,
            self.seed,
        )
        settings = Settings(limit, lr=self.lr, patience=self.patience, average=0.995)
        identity = {"budget": budget, "data": _hash(learnt, numbers, validated, truth, background)}
        self._train(problem, settings, identity, None if out is None else Path(out), resume, progress)
        statistics = np.concatenate([learnt.statistics, validated.statistics])
        network.baseline = CepstralRegression.fit(statistics, np.concatenate([numbers, truth]), len(self.commands_))
        self._set_threshold(validated, kept)
        return self

    def _check(self) -> None:
        ones = ("channels", "convolutions", "hidden_size", "layers", "batch_size")
        self._check_least({**dict.fromkeys(ones, 1), "bins": 2, "rate": 4000, "fold": 0})
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must be from 0 to below 1, got {self.dropout}")
        if not 0 < self.window <= self.refractory:
            raise InputError(
                f"window must be above 0 and at most refractory, got {self.window} and {self.refractory} seconds"
            )
        if self.false_alarms < 0:
            raise InputError(f"false_alarms must be at least 0, got {self.false_alarms}")

    def _numbers(self, recordings: Recordings) -> NDArray[np.int64]:
        """The commands by number.

        Raises:
            InputError: one that the model does not know.
        """
        places = {label: place for place, label in enumerate(self.commands_)}
        for label in recordings.classes:
            if label not in places:
                known = ", ".join(self.commands_)
                raise InputError(f"{recordings.name}: the command {label!r} was not learnt; the model knows {known}")
        return np.array([places[label] for label in recordings.labels])

    def _set_threshold(self, heard: Heard, background: NDArray[np.float16]) -> None:
        """Allow so many false alarms in held-out background or, without any, in noise and around the commands."""
        if len(background):
            rows = [(own, 0) for own in self._smoothed([background])]
            frames = len(background)
        else:
            noise = made_noise(self.features, seed=1, levels=(4.0, 10.0, 16.0))
            rows = [(own, 0) for own in self._smoothed(noise)]
            rows += [(own, 1) for own in self._smoothed(between_quiet(heard.frames))]
            frames = sum(len(own) for own in (*noise, *heard.frames))
        self.threshold_ = threshold_for(rows, self.false_alarms * frames / HOUR, self._spotting(LEAST))

    # -- telling ---------------------------------------------------------------------------------------------

    def _spotting(self, threshold: float) -> Spotting:
        return Spotting(_steps(self.window, self.network_), _steps(self.refractory, self.network_), threshold)

    def _smoothed(self, rows: Sequence[NDArray[np.float16]]) -> list[NDArray[np.float32]]:
        return smoothed_of(self.network_, rows, _steps(self.window, self.network_))

    def predict(self, data: Sequence[str | Path]) -> pl.DataFrame:
        """Tell the commands of recordings.

        Args:
            data: files, or folders of which every audio file is taken.

        Returns:
            Columns ``file``, ``label`` and, for every class, ``p_`` and its name: the probability.

        Raises:
            InputError: naming a file that cannot be read.
        """
        self._check_fitted()
        paths = [path for own in data for path in audio_files(Path(own))]
        heard = hear(paths, self.features)
        found = probabilities_of(self.network_, heard.frames, self.other_)
        labels = [self.classes_[place] for place in found.argmax(1)]
        columns = {f"p_{label}": found[:, place] for place, label in enumerate(self.classes_)}
        return pl.DataFrame({"file": [str(path) for path in paths], "label": labels, **columns})

    def answers(self, inputs: Sequence[str]) -> pl.DataFrame:
        if not inputs:
            raise InputError("predict needs recordings: memfold predict MODEL file.wav")
        if self.known_set(inputs):
            return self.predict(self.parts(inputs).test.paths)
        return self.predict(inputs)

    # -- in a stream -----------------------------------------------------------------------------------------

    def detect(self, samples: Samples) -> list[Event]:
        """The events in a whole recording ``(N,)``: those that `listen` finds in it, at the same steps."""
        self._check_fitted()
        (logits,) = logits_of(self.network_, [floored(self.features.of(samples))])
        return list(Spotter(self._spotting(self.threshold_), len(self.commands_)).follow(logits))

    def hear_out(self, blocks: Iterator[Samples]) -> Iterator[Event]:
        """The events in sound that still comes in, each as soon as it is certain; no torch in the steps."""
        self._check_fitted()
        listener = self.network_.listener()
        spotter = Spotter(self._spotting(self.threshold_), len(self.commands_))
        for frame in self.features.follow(blocks):
            logits = listener.step(floored(frame))
            if logits is not None and (event := spotter.step(logits)):
                yield event
        yield from spotter.follow(listener.finish())

    def listen(self, source: BinaryIO) -> Iterator[str]:
        for event in self.hear_out(listen(source, self.rate)):
            seconds = event.step * self.network_.stride * SHIFT
            told = {"time": round(seconds, 3), "command": self.commands_[event.command]}
            yield json.dumps({**told, "probability": round(event.probability, 4)}, ensure_ascii=False)

    def next_command(self, out: Path, data: Sequence[str]) -> str:
        return f"arecord -f S16_LE -r {self.rate} | memfold stream {out} tells what it hears"

    # -- scores ----------------------------------------------------------------------------------------------

    def evaluate(self, data: Any, name: str = "") -> Report:
        """Score the model beside the baseline.

        Args:
            data: recordings that it was not fitted to.
            name: what to call them in the report.
        """
        begun = clock.monotonic()
        self._check_fitted()
        recordings = data if isinstance(data, Recordings) else self.read_files([data])
        truth = self._numbers(recordings)
        heard = hear(recordings.paths, self.features)
        answers = probabilities_of(self.network_, heard.frames, self.other_).argmax(1)
        strangers = not set(recordings.speakers) & {*self.speakers_, ""}
        metrics = _accuracy(truth, answers, strangers)
        baselines = {MFCC: _accuracy(truth, self.network_.baseline.answers(heard.statistics), strangers)}
        spotting = self._spotting(self.threshold_)
        rows = self._smoothed(between_quiet(heard.frames))
        told = [{event.command for event in spotted(row, spotting)} for row in rows]
        shown: list[Any] = [confusion_table(truth, answers, self.commands_, self.classes_)]
        background = hear_background(recordings.background, self.features)
        if len(background):
            alarms, hours = len(spotted(self._smoothed([background])[0], spotting)), len(background) / HOUR
            metrics["false_alarms_per_hour"] = alarms / hours
            shown.append(f"false alarms: {alarms} in {hours:.2f} hours of background, threshold {self.threshold_:.2f}")
        missed = sum(number not in own for number, own in zip(truth.tolist(), told, strict=True))
        metrics["miss_rate"] = 100 * missed / len(truth)
        shown.append(f"stream: {self.frame_cost(recordings.paths):.0f} µs of one core for each frame of 10 ms")
        report = Report(self.name, name, metrics, baselines, self.parameter_count, self.seed, shown=shown)
        report.seconds = clock.monotonic() - begun
        return report

    def frame_cost(self, paths: Sequence[Path]) -> float:
        """Microseconds of one core that the stream takes for a frame, measured on some of these recordings."""
        blocks: list[Samples] = []
        for path in paths:
            blocks.append(read_audio(path, self.rate))
            if sum(map(len, blocks)) >= COST_SECONDS * self.rate:
                break
        return stream_cost(lambda: list(self.hear_out(iter(blocks))), self.features.count(sum(map(len, blocks))))

    # -- models on disk --------------------------------------------------------------------------------------

    @classmethod
    def fitted_types(cls) -> dict[str, Any]:
        return {
            "commands": list[str],
            "other": bool,
            "speakers": list[str],
            "threshold": float,
            "size": NetworkSize,
            "statistics": int,
        }

    def fitted_state(self) -> dict[str, Any]:
        return {
            "commands": self.commands_,
            "other": self.other_,
            "speakers": self.speakers_,
            "threshold": self.threshold_,
            "size": self.size_.as_json(),
            "statistics": len(self.network_.baseline.mean),
        }

    def restore_fitted(self, state: dict[str, Any]) -> nn.Module:
        self.commands_, self.other_, self.speakers_ = state["commands"], state["other"], state["speakers"]
        self.threshold_, self.size_ = state["threshold"], NetworkSize(**state["size"])
        self._check_agree(("commands", len(self.commands_), self.size_.commands), ("bins", self.bins, self.size_.bins))
        network = CommandNetwork(self.size_)
        network.baseline = CepstralRegression(state["statistics"], len(self.commands_))
        return network


def _steps(seconds: float, network: CommandNetwork) -> int:
    return max(1, round(seconds / (SHIFT * network.stride)))


def _accuracy(truth: NDArray[np.int64], answers: NDArray[np.int64], strangers: bool) -> dict[str, float]:
    """In per cent; of speakers never learnt from, under that name as well."""
    accuracy = 100 * float((truth == answers).mean())
    return {"accuracy": accuracy} | ({"accuracy_heldout_speaker": accuracy} if strangers else {})


def _hash(*parts: Heard | NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        for array in part.frames if isinstance(part, Heard) else [part]:
            digest.update(array.tobytes())
    return digest.hexdigest()
