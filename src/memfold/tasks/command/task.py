"""The CommandRecognizer: fit an LSTM to recordings of commands, predict them in files and in a running input."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.budget import Budget
from memfold.data.audio import Source, channel_of, listen, read_audio
from memfold.data.command_lists import parts_by_lists
from memfold.data.commands import (
    BACKGROUND,
    OTHER,
    Recordings,
    background_of,
    joined,
    parts_with_background,
    read_commands,
    split_at,
)
from memfold.data.features import SHIFT, LogMel
from memfold.data.folders import KEPT_APART, PARTS, is_folder, say_parts
from memfold.data.frames import like
from memfold.data.labels import counted, numbers_of
from memfold.data.recording_copies import KEY, content_keys, say_copies, say_trained_on
from memfold.data.sound_notes import noting
from memfold.display import say
from memfold.errors import InputError
from memfold.runtime.hearing.blending import Blend, blended
from memfold.runtime.hearing.cepstra import STATISTICS
from memfold.runtime.hearing.commands import Commands
from memfold.runtime.hearing.inference import CommandModel, between_quiet
from memfold.runtime.hearing.level import floored
from memfold.runtime.hearing.live import STRIDE, stream_cost
from memfold.runtime.hearing.spotting import Event, Spotter, Spotting, spotted, threshold_for
from memfold.runtime.pipeline import TO_JSON
from memfold.runtime.recipe import Run
from memfold.runtime.weights import Weights
from memfold.tasks.calibration import expected_calibration_error
from memfold.tasks.classes import class_columns, numbers_in
from memfold.tasks.command.exported import Stepped, probabilities
from memfold.tasks.command.hearing import Heard, hear, hear_background, hear_elsewhere
from memfold.tasks.command.notes import HOUR, refuse_lost, say_background, say_speakers
from memfold.tasks.command.report import Answers, Streamed, confusion_table
from memfold.tasks.confusion import mistake_table
from memfold.tasks.contest import ALONE, ANSWER, Contest, cross_entropy
from memfold.tasks.model import FitData, Task
from memfold.tasks.parameters import Search, fitted, learning_rate, parameter, planned
from memfold.tasks.planning import Plan
from memfold.tasks.report import Metric, Parts
from memfold.tasks.speech.noise import made_noise
from memfold.tasks.speech.rates import MOST, RateOfRecordings
from memfold.tasks.speech.recordings import (
    Samples,
    check_features,
    inputs_of,
    labelled_files,
    read_sounds,
    readable_rows,
    short_name,
    with_given,
)
from memfold.tasks.speech.speakers import named
from memfold.words import said

if TYPE_CHECKING:
    from memfold.tasks.command.network import CommandNetwork, CommandProblem

__all__ = ["CommandRecognizer"]

MFCC = "MFCC statistics + logistic regression"

MOST_TO_BLEND = 2000  # recordings, on which the blend is chosen
COST_SECONDS = 10  # of sound, to time the stream with


class CommandRecognizer(RateOfRecordings, Task):
    """Predicts which command a recording holds, and when commands are said in a running input.

    Convolutions and LSTM layers that only look back give probabilities at every step; a recording's are pooled. In a
    stream, how much likelier a command is than none is averaged and compared with a threshold, set for so many false
    alarms an hour.
    """

    name: ClassVar[str] = "command"
    metrics = (
        Metric("accuracy", "higher"),
        Metric("accuracy_heldout_speaker", "higher"),
        Metric("ece", "lower"),
        Metric("false_alarms_per_hour", "lower"),
        Metric("miss_rate", "lower"),
    )
    loop: ClassVar[Mapping[str, float]] = {"average": 0.995}
    halves = True
    kind, column = "classifier", "label"
    needs = ("recordings", "file.wav")
    hears = True
    runtime = "spotter"

    pattern: str | None = parameter(
        None, "how a file's name is made up, such as ``{label}_{speaker}_{index}``; none takes a folder a command"
    )
    background: str | None = parameter(
        None, 'folder or file with sound without commands, which becomes the class "other"'
    )
    holdout: str | None = parameter(
        None, "speaker to train without and to test on; none holds out a tenth of speakers or recordings"
    )
    fold: int = parameter(0, "which tenth of your own data is held out", least=0, most=10**6)
    rate: int | None = planned("samples a second that recordings are resampled to", least=4000, most=768_000)
    channel: str = parameter(
        "mean", "of recordings with several channels: their ``mean``, ``left``, ``right``, or a number from 0"
    )
    bins: int = parameter(40, "mel bands", least=3, most=1000, search=(20, 40, 80))
    channels: int = parameter(64, "channels of the convolutions", least=1, search=Search(16, 128, log=True))
    convolutions: int = parameter(
        2, "convolutions, each of which halves the rate of steps", least=1, most=1000, search=(1, 2, 3)
    )
    hidden_size: int = parameter(128, "units of an LSTM layer", least=1, search=Search(32, 256, log=True))
    layers: int = parameter(1, "LSTM layers", least=1, most=1000, search=(1, 2))
    dropout: float = parameter(
        0.2, "before and after the LSTM, and between its layers", least=0, below=1, search=Search(0, 0.5)
    )
    window: float = parameter(0.2, "seconds over which a stream's log ratios are averaged", above=0, most=100_000)
    refractory: float = parameter(0.6, "seconds from one event to the next, at least", above=0, most=100_000)
    false_alarms: float = parameter(1.0, "false alarms an hour that the threshold is set for", least=0)
    lr: float = learning_rate(3e-3)
    batch_size: int = parameter(64, "recordings in a step", least=1)

    commands_: list[str] = fitted()
    other_: bool = fitted()  # whether background is a class
    speakers_: list[str] = fitted()
    heard_: str = fitted()  # the keys of the recordings that were trained on, one after another
    threshold_: float = fitted()
    blend_: Blend = fitted()  # of the network's answers and the baseline's
    network_: "CommandNetwork" = fitted(stored=False)

    def check(self) -> None:
        super().check()
        if self.window > self.refractory:
            raise InputError(f"window must be at most refractory, got {self.window} and {self.refractory} seconds")
        check_features(LogMel(self.rate or MOST, self.bins))
        channel_of(self.channel)

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: Any) -> Heard:
        """The recordings in a folder, or in several; to train on, with the background.

        Of a folder that holds the parts of a split, a fitted model reads what is to be scored; to fit, the others are
        read, and that to validate on is kept in mind.

        Files that cannot be read are left out, and named on standard error.

        Raises:
            InputError: naming the folder or file that does not fit, or a command of which no recording can be read.
        """
        if isinstance(data, Heard):
            self.found_rate = data.rate
            return data
        if isinstance(data, Recordings):
            return self._heard(data)
        return self._heard(self._in_folders([data] if isinstance(data, str | Path) else data, self._own_background))

    def labelled(self, X: Any, y: Any) -> Heard:
        """Recordings as `inputs` takes them, and the command that is said in each."""
        paths, labels = labelled_files(X, y, self.sound_rate)
        if OTHER in labels:
            raise InputError(f"{OTHER!r} in y: that is what a model calls background; give these files as background=")
        background = tuple(background_of(self._own_background))
        return self._heard(Recordings("the recordings", paths, labels, [""] * len(paths), background))

    def inputs(self, data: Any) -> Heard:
        """Recordings without labels: paths of files or of folders, of which every audio file is taken, samples, tables.

        An array ``(samples,)`` is sound at ``rate``, a pair ``(samples, rate)`` at another one. Other columns of a
        table of paths stay in the answers.

        Raises:
            InputError: there is no recording that can be read.
        """
        if isinstance(data, Heard):
            return data
        if isinstance(data, Recordings):
            recordings = Recordings.without_labels("the recordings", data.paths, data.given)
        else:
            inputs = inputs_of(data, self.sound_rate)
            recordings = Recordings.without_labels("the recordings", inputs.sources, inputs.given)
        return hear(recordings, self.features, self.progress, channel=self.channel)

    def predict(self, data: Any) -> Any:
        """As of every task, in a frame of the kind that was given."""
        table = super().predict(data)
        return like(table, data) if isinstance(table, pl.DataFrame) else table

    def read_files(self, paths: Sequence[str]) -> Recordings:
        return self._in_folders(paths)

    def own_parts(self, data: Sequence[str]) -> Parts:
        parts = self._parts_in(data, self.background)
        if list(parts) == ["train"] or self.holdout is not None:
            return Parts(*self.hold_out(joined(list(parts.values()))))
        name = " ".join(data)
        self._require_training(parts, name)
        say_parts(name, {part: len(recordings.paths) for part, recordings in parts.items()}, "recordings")
        if "test" not in parts:
            say(f"{name}: there is no part to score; that to validate on is scored instead")
            parts["test"] = parts.pop("valid")
        for part, recordings in parts.items():
            numbers_of(recordings.labels, parts["train"].classes, parts[part].name, "command")
        return Parts(parts["train"], parts["test"], parts.get("valid"))

    def summary(self, examples: Recordings) -> dict[str, str]:
        read = {"recordings": f"{len(examples.paths):,}", "commands": counted(examples.labels, "commands")}
        if speakers := set(examples.speakers) - {""}:
            read["speakers"] = f"{len(speakers):,}"
        return read | {"background": f"{len(examples.background):,} files" if examples.background else "none"}

    def hold_out(self, examples: Recordings) -> tuple[Recordings, Recordings]:
        if self.holdout is not None:
            return examples.hold_out(self.holdout)
        if not isinstance(examples, Heard):
            usable = examples.take(readable_rows(examples.paths))
            refuse_lost(examples, usable)
            examples = usable
        keys = content_keys(examples.paths)
        say_copies(examples.paths, keys)
        rest, held = examples.split_by_speaker(self.fold, keys=keys)
        say_speakers(rest, held)
        return rest, held

    def split(self, examples: Heard) -> tuple[Heard, Heard]:
        """Of every speaker a share: holding out whole ones would cost more to train on than it says."""
        return examples.split_as_named(examples.keys)

    @property
    def classes_(self) -> list[str]:
        """What a recording can be: the commands and, where there was background, "other"."""
        return [*self.commands_, OTHER] if self.other_ else self.commands_

    @property
    def _own_background(self) -> str | None:
        """The sound to train on; of a fitted model none, which is not to be scored on that."""
        return None if self.__sklearn_is_fitted__() else self.background

    def _in_folders(self, paths: Sequence[str | Path], background: str | None = None) -> Recordings:
        parts = self._parts_in(paths, background)
        if list(parts) == ["train"]:
            return parts["train"]
        name = " ".join(map(str, paths))
        if self.__sklearn_is_fitted__():
            part = next(part for part in ("test", "valid", "train") if part in parts)
            say_parts(name, {"test": len(parts[part].paths)}, f"of the part {part}, recordings")
            return parts[part]
        apart = KEPT_APART if parts.pop("test", None) else ""
        self._require_training(parts, name)
        counts = {part: len(recordings.paths) for part, recordings in parts.items()}
        say_parts(name, counts, "recordings", apart)
        whole = joined(list(parts.values()))
        return replace(whole, held=frozenset(parts["valid"].paths)) if "valid" in parts else whole

    def _parts_in(self, paths: Sequence[str | Path], background: str | None = None) -> dict[str, Recordings]:
        """The parts of a split that folders hold; all is to train on where they hold none."""
        read: dict[str, list[Recordings]] = {}
        for number, path in enumerate(paths):
            split = split_at(path, self.pattern, background) or {"train": Path(path)}
            for part, folder in split.items():
                noise = background if number == 0 and part == "train" else None
                recordings = read_commands(folder, self.pattern, noise)
                if part == "train" and folder != Path(path) and is_folder(Path(path) / BACKGROUND):
                    beside = background_of(Path(path) / BACKGROUND)
                    recordings = replace(recordings, background=(*recordings.background, *beside))
                for its, some in (parts_by_lists(recordings, folder) or {part: recordings}).items():
                    read.setdefault(its, []).append(some)
        return parts_with_background({part: joined(read[part]) for part in PARTS if part in read})

    @staticmethod
    def _require_training(parts: Mapping[str, Recordings], name: str) -> None:
        if "train" not in parts:
            raise InputError(f"{name}: a split without a part to train on; there is {', '.join(parts)}")

    def _heard(self, recordings: Recordings) -> Heard:
        trained = self.__sklearn_is_fitted__()
        if not trained:
            self.find_rate(recordings.paths)
        heard = hear(recordings, self.features, self.progress, fitting=not trained, channel=self.channel)
        if trained:
            say_trained_on(heard.paths, heard.keys, _keys_in(self.heard_))
            if shared := sorted(set(heard.speakers) & set(self.speakers_)):
                say(f"{named(shared)} trained on: the accuracy does not hold for strangers")
        else:
            refuse_lost(recordings, heard)
        return heard

    # -- training --------------------------------------------------------------------------------------------

    def plan(self, train: Heard, valid: Heard, budget: Budget, speed: float) -> Plan:
        """The rate of the recordings; 16 recordings a step were no better than 64 for 270 recordings in a minute."""
        commands = len(set(train.labels))
        seen = f"{len(train.paths):,} recordings of {commands} commands at {self.sound_rate:,} samples a second"
        return Plan({"rate": self.sound_rate}, seen)

    def prepare(self, data: FitData) -> Any:
        if self.begun is None:
            data.whole.require()
        self.commands_ = self.grown("commands_", data.whole.classes)
        self.speakers_ = sorted(self.grown("speakers_", sorted({*data.train.speakers, *data.valid.speakers} - {""})))
        say_trained_on(data.valid.paths, data.valid.keys, set(data.train.keys))
        before = () if self.begun is None else sorted(_keys_in(self.begun.model.heard_))
        self.heard_ = "".join(dict.fromkeys([*before, *data.train.keys, *data.valid.keys]))
        background = hear_background(data.train.background, self.features, noted=True)
        kept = hear_background(data.valid.background, self.features)
        self.other_ = len(background) > 0 or (self.begun is not None and self.begun.model.other_)
        if len(background):
            say_background(background, kept)
        train, valid = ((part.frames, self._numbers(part)) for part in (data.train, data.valid))
        return train, valid, background, kept

    def network(self) -> "CommandNetwork":
        from memfold.tasks.command.network import CommandNetwork, CommandSize

        return CommandNetwork(
            CommandSize(
                self.bins,
                self.channels,
                self.convolutions,
                self.hidden_size,
                self.layers,
                len(self.commands_),
                self.dropout,
            )
        )

    def problem(self, network: "CommandNetwork", ready: Any) -> "CommandProblem":
        from memfold.tasks.command.network import CommandProblem

        train, valid, background, _ = ready
        network.front.normalise_by(train[0])
        noise = [*made_noise(self.features), *([background] if len(background) else [])]
        window = self._steps(self.window)
        return CommandProblem(network, train, valid, noise, background, window, self.batch_size, self.seed)

    def finish(self, data: FitData, ready: Any) -> Contest:
        from memfold.tasks.command.baselines import CepstralRegression

        (_, train), (_, valid), _, background = ready
        self._set_threshold(data.valid.frames, background)
        # How much the baseline has in the answer is found with one that knows the training part alone.
        lacks = len(set(train.tolist())) < len(self.commands_)  # a command that the earlier model knows
        keeps = self.begun is not None and (lacks or not self.begun.rehearses)
        if keeps:
            from memfold.tasks.command.update import carried

            baseline = carried(self)
        else:
            baseline = CepstralRegression.fit(data.train.statistics, train, len(self.commands_))
        # One that knows the recordings of one place too well has a small share: they are heard elsewhere as well.
        some = data.valid.take(range(0, len(valid), -(-len(valid) // MOST_TO_BLEND)))
        valid = self._numbers(some)
        both = (some, hear_elsewhere(some, self.features, self.seed, self.channel))
        networks = [self._network_alone().heard(heard.frames).log_p for heard in both]
        others = [baseline.log_probabilities(heard.statistics) for heard in both]
        self.blend_ = Blend.of(np.concatenate(networks), np.concatenate(others), np.tile(valid, 2))
        network, other = networks[0], others[0]
        parts = {ANSWER: blended(network, other, self.blend_), ALONE: network, MFCC: other}
        scores = {name: 100 * float(np.mean(log_p.argmax(1) == valid)) for name, log_p in parts.items()}
        # The one that answers afterwards is fitted to all.
        statistics = np.concatenate([data.train.statistics, data.valid.statistics])
        numbers = np.concatenate([train, self._numbers(data.valid)])
        count = len(self.commands_)
        self.network_.baseline = baseline if keeps else CepstralRegression.fit(statistics, numbers, count)
        share = self.blend_.share
        shares = {ALONE: share, MFCC: 1 - share} if share < 1 else {}
        return Contest("accuracy", "higher", scores, shares, {MFCC: cross_entropy(other, valid)})

    def complete(self, network: "CommandNetwork") -> None:
        from memfold.tasks.command.baselines import CepstralRegression

        network.baseline = CepstralRegression(STATISTICS, len(self.commands_))

    def _numbers(self, recordings: Recordings) -> NDArray[np.int64]:
        """The place of each label among the commands.

        Raises:
            InputError: labels that are no commands, all of them.
        """
        unknown = Counter(label for label in recordings.labels if label not in self.commands_)
        if len(unknown) > 1:
            named = ", ".join(f"{label!r} ({count})" for label, count in sorted(unknown.items()))
            raise InputError(
                f"{recordings.name}: the commands {named} were not trained on; the model knows "
                f"{', '.join(self.commands_)}"
            )
        return numbers_of(recordings.labels, self.commands_, recordings.name, "command")

    def _set_threshold(self, valid: Sequence[NDArray[np.float16]], background: NDArray[np.float16]) -> None:
        """Allow so many false alarms in held-out background or, without any, in noise and around the commands."""
        if not len(background) and self.begun is not None and self.begun.model.other_:
            self.threshold_ = self.begun.model.threshold_  # which was set by background that is not there now
            return
        model = self._network_alone()
        if len(background):
            rows = [(ratios, 0) for ratios in self._smoothed([background], model)]
            frames = len(background)
        else:
            noise = made_noise(self.features, seed=1, levels=(4.0, 10.0, 16.0))
            rows = [(ratios, 0) for ratios in self._smoothed(noise, model)]
            rows += [(ratios, 1) for ratios in self._smoothed(between_quiet(valid), model)]
            frames = sum(len(row) for row in (*noise, *valid))
        allowed = self.false_alarms * frames / HOUR
        tried = Spotting(self._steps(self.window), self._steps(self.refractory))
        self.threshold_ = threshold_for(rows, allowed, tried)

    # -- answering -------------------------------------------------------------------------------------------

    def answer(self, examples: Heard) -> Answers:
        """The probability of every class; where it is known what is said, also the scores of a stream."""
        stream = self._streamed(examples) if all(examples.labels) else None
        if self._exported is not None and "model" in self._exported:
            return Answers(probabilities(self._exported["model"], self._samples(examples)), stream)
        answers = self.recogniser.answers(examples.frames, examples.statistics)
        return Answers(answers.whole, stream, answers.alone)

    def table(self, examples: Heard, answers: Answers) -> pl.DataFrame:
        """Columns ``file``, those of a table of files, ``label`` and, for every class, ``p_`` and its name.

        Files that cannot be read are left out, and named on standard error.
        """
        return with_given(examples.given, "file", examples.paths, class_columns(self.classes_, answers.classes))

    def _samples(self, examples: Heard) -> Iterator[Samples]:
        """The sound of recordings that were heard, read once more."""
        return (
            samples for _, samples in read_sounds(examples.paths, self.sound_rate, noted=False, channel=self.channel)
        )

    def put_parts(self, pipeline: Any, parts: Mapping[str, Run]) -> None:
        if "step" in parts:
            pipeline.model.logits = Stepped(parts["step"], pipeline.settings).logits

    def _streamed(self, heard: Heard) -> Streamed:
        """What a stream misses of recordings between their own quiet, and where it hears a command in background."""
        truth = self._numbers(heard).tolist()
        heard_commands = [
            {event.command for event in spotted(row, self.spotting)}
            for row in self._smoothed(between_quiet(heard.frames))
        ]
        missed = sum(number not in commands for number, commands in zip(truth, heard_commands, strict=True))
        background = hear_background(heard.background, self.features)
        alarms = len(spotted(self._smoothed([background])[0], self.spotting)) if len(background) else 0
        return Streamed(100 * missed / len(truth), alarms, len(background) / HOUR)

    # -- in a stream -----------------------------------------------------------------------------------------

    @property
    def step_seconds(self) -> float:
        """From one of the network's steps to the next."""
        return SHIFT * float(STRIDE**self.convolutions)

    @property
    def recogniser(self) -> Commands:
        """The model as it hears without torch."""
        pipeline: Any = self.pipeline
        commands: Commands = pipeline
        return commands

    @property
    def spotting(self) -> Spotting:
        """How events are found in a stream, in the network's steps."""
        return self.recogniser.settings.spotting

    def _steps(self, seconds: float) -> int:
        return max(1, round(seconds / self.step_seconds))

    def _network_alone(self) -> CommandModel:
        """The network as it is, before all else is fitted."""
        arrays = {name: value.detach().numpy() for name, value in self.network_.state_dict().items()}
        sizes = self.bins, self.channels, self.convolutions, self.hidden_size, self.layers, len(self.commands_)
        return CommandModel(Weights(arrays), *sizes)

    def _smoothed(self, rows: Sequence[NDArray[np.float16]], model: CommandModel | None = None) -> list[Samples]:
        return (model or self.recogniser.model).smoothed(rows, self._steps(self.window))

    def detect(self, samples: Samples) -> list[Event]:
        """The events in a whole recording ``(N,)``: those that `listen` finds in it, at the same steps."""
        commands = self.recogniser
        frames = floored(self.features.of(samples))
        if not len(frames):
            return []
        return list(Spotter(self.spotting, len(self.commands_)).follow(commands.model.logits(frames)))

    def hear_out(self, blocks: Iterator[Samples]) -> Iterator[Event]:
        """The events in sound that still comes in, each as soon as it is certain."""
        return self.recogniser.events(blocks)

    def listen(self, source: BinaryIO) -> Iterator[str]:
        session = self.recogniser.open()
        for block in noting(listen, source, self.sound_rate):
            yield from map(TO_JSON, session.push(block))
        yield from map(TO_JSON, session.finish())

    def next_command(self, out: Path, data: Sequence[str]) -> str:
        return f"arecord -f S16_LE -r {self.sound_rate} | memfold stream {out} prints what it hears"

    # -- scores ----------------------------------------------------------------------------------------------

    def scores(self, examples: Heard, answers: Answers) -> dict[str, float]:
        """Accuracy in per cent, of speakers that were not trained on under that name as well; the calibration error of
        the probabilities; and of the stream."""
        truth = self._numbers(examples)
        accuracy = 100 * float(np.mean(truth == numbers_in(answers.classes)))
        result = {"accuracy": accuracy}
        if answers.classes.ndim == 2:
            result["ece"] = 100 * expected_calibration_error(answers.classes, truth)
        if not set(examples.speakers) & {*self.speakers_, ""}:
            result["accuracy_heldout_speaker"] = accuracy
        return result | (answers.stream.scores() if answers.stream else {})

    def baselines(self, examples: Heard, answers: Answers) -> dict[str, Any]:
        log_p = self.recogniser.baseline.log_probabilities(examples.statistics)
        alone = {} if answers.alone is None else {ALONE: Answers(answers.alone)}
        return {MFCC: Answers(np.exp(log_p)), **alone}

    def details(self, examples: Heard, answers: Answers, seconds: float) -> Sequence[Any]:
        numbers = numbers_in(answers.classes)
        stream = answers.stream
        truth = self._numbers(examples)
        shown: list[Any] = [confusion_table(truth, numbers, self.commands_, self.classes_)]
        if answers.classes.ndim == 2:
            names = [short_name(path, number) for number, path in enumerate(examples.paths, 1)]
            mistakes = mistake_table("recording", names, truth, answers.classes, self.commands_, self.classes_)
            shown += [] if mistakes is None else [mistakes]
        if stream and stream.hours:
            its = {"alarms": stream.alarms, "hours": stream.hours, "threshold": self.threshold_}
            shown.append(said("false alarms", **its))
        cost = self.frame_cost(examples.paths)
        return [*shown, said("command cost", cost=cost)]

    def frame_cost(self, paths: Sequence[Source]) -> float:
        """Microseconds of one core that the stream takes for a frame, measured on some of these recordings."""
        blocks: list[Samples] = []
        for path in paths:
            blocks.append(read_audio(path, self.sound_rate))
            if sum(map(len, blocks)) >= COST_SECONDS * self.sound_rate:
                break
        return stream_cost(lambda: list(self.hear_out(iter(blocks))), self.features.count(sum(map(len, blocks))))


def _keys_in(text: str) -> set[str]:
    return {text[begin : begin + KEY] for begin in range(0, len(text), KEY)}
