"""The SpeechRecognizer: fit an acoustic model to recordings and their texts, write what is said, score the edits."""

import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.data.audio import listen
from memfold.data.features import SHIFT, LogMel
from memfold.data.frames import like
from memfold.data.recording_copies import KEY, content_keys, say_copies, say_trained_on
from memfold.data.sound_notes import noting
from memfold.data.speech import Utterances, joined, read_manifest
from memfold.display import say
from memfold.errors import InputError
from memfold.formats.directory import TEXTS
from memfold.tasks.model import FitData, Task
from memfold.tasks.parameters import Search, fitted, parameter
from memfold.tasks.report import Metric
from memfold.tasks.speech.live import stream_cost
from memfold.tasks.speech.recordings import (
    check_features,
    followed,
    inputs_of,
    labelled_files,
    readable_rows,
    with_given,
)
from memfold.tasks.transcribe.hearing import Heard, Written, hear
from memfold.tasks.transcribe.search import (
    Alphabet,
    CharacterModel,
    SearchWeights,
    Segment,
    Transcript,
    greedy,
    least_steps,
    log_softmax,
)

if TYPE_CHECKING:
    from memfold.tasks.transcribe.batches import Recordings, SpeechProblem
    from memfold.tasks.transcribe.network import AcousticNetwork

__all__ = ["SpeechRecognizer"]

NAMED = 5  # speakers, the first ones
BEAM_TO_CHOOSE, MOST_TO_CHOOSE = 8, 100  # prefixes and recordings with which the search's weights are chosen
CHOICES = tuple(itertools.product((0.0, 0.3, 0.6, 0.9), (0.0, 0.5, 1.0, 1.5)))  # of language and bonus
TO_JSON: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False).encode


class SpeechRecognizer(Task):
    """Writes what is said in recordings, in any language, by the character."""

    name: ClassVar[str] = "transcribe"
    metrics = (Metric("cer", "lower"), Metric("wer", "lower"), Metric("real_time_factor", "lower"))
    budget = "15m"
    column = "text"
    needs = ("audio files, a manifest, or @NAME", "recording.wav")
    hears = True

    rate: int = parameter(16000, "samples a second that recordings are resampled to", least=1, most=768_000)
    bins: int = parameter(80, "mel bands", least=4, most=1000, search=(40, 80))
    stacked: int = parameter(
        3, "frames that make a step of the LSTMs; there are 100 a second", least=1, search=(2, 3, 4)
    )
    hidden_size: int = parameter(
        256, "units of an LSTM layer, in each direction", least=1, search=Search(64, 512, log=True)
    )
    num_layers: int = parameter(3, "LSTM layers", least=1, most=1000, search=(1, 2, 3, 4))
    causal: bool = parameter(
        False, "forward layers alone, so that text comes while somebody speaks (``memfold stream``)"
    )
    dropout: float = parameter(0.1, "between layers and before the head", least=0, below=1, search=Search(0, 0.5))
    augment: bool = parameter(
        True,
        "augment the recordings: changed speed, and SpecAugment's masks (Park et al. 2019)",
        search=(False, True),
    )
    batch_frames: int = parameter(3000, "frames in a step", least=1)
    beam: int = parameter(
        16, "texts that the search keeps; 1 takes the likeliest labels and no language model", least=1, most=10_000
    )
    pause: float = parameter(1.0, "seconds without a character that end a segment", above=0)

    alphabet_: Alphabet = fitted()
    language_: float = fitted()  # the search's weight of the character model
    bonus_: float = fitted()  # what it adds for every character
    speakers_: list[str] = fitted()
    heard_: str = fitted()  # the keys of the recordings that were trained on, one after another
    texts_: list[str] = fitted(stored=False)  # that the character model counts
    network_: "AcousticNetwork" = fitted(stored=False)

    def check(self) -> None:
        super().check()
        check_features(self.features)

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: Any) -> Heard:
        """Recordings and texts from a manifest's path, or several, or a data frame with such columns.

        Files that cannot be read are left out, and named on standard error.
        """
        if isinstance(data, Heard):
            return data
        if not isinstance(data, Utterances):
            one = isinstance(data, str | Path) or hasattr(data, "columns")
            data = joined([read_manifest(part) for part in ([data] if one else data)])
        trained = self.__sklearn_is_fitted__()
        heard = hear(data, self.features, self.progress, fitting=not trained)
        if trained and any(heard.texts):
            keys = self.heard_
            say_trained_on(heard.audio, heard.keys, {keys[begin : begin + KEY] for begin in range(0, len(keys), KEY)})
            if shared := sorted(set(heard.speakers) & set(self.speakers_)):
                say(f"{_named(shared)} trained on: the error rates do not hold for strangers")
        return heard

    def labelled(self, X: Any, y: Any) -> Heard:
        """Recordings as `inputs` takes them, and what is said in each."""
        paths, answers = labelled_files(X, y, self.rate)
        return self.read(Utterances("the recordings", paths, [" ".join(text.split()) for text in answers]))

    def inputs(self, data: Any) -> Heard:
        """One recording or several: paths of files or of folders, of which every audio file is taken, samples, tables.

        An array ``(samples,)`` is sound at ``rate``, a pair ``(samples, rate)`` at another one. Other columns of a
        manifest, or of a data frame of paths, stay in the answers.
        """
        if isinstance(data, Utterances):
            return self.read(replace(data, texts=[""] * len(data)))
        inputs = inputs_of(data, self.rate)
        sources = inputs.sources
        return self.read(Utterances("the recordings", sources, [""] * len(sources), given=inputs.given))

    def predict(self, data: Any) -> Any:
        """As of every task, in a frame of the kind that was given."""
        table = super().predict(data)
        return like(table, data) if isinstance(table, pl.DataFrame) else table

    def read_files(self, paths: Sequence[str]) -> Utterances:
        return joined([read_manifest(path) for path in paths])

    def summary(self, examples: Utterances) -> dict[str, str]:
        characters = sum(map(len, examples.texts))
        read = {"recordings": f"{len(examples.audio):,}", "text": f"{characters:,} characters"}
        if speakers := set(examples.speakers) - {""}:
            read["speakers"] = f"{len(speakers):,}"
        return read

    def hold_out(self, examples: Utterances) -> tuple[Utterances, Utterances]:
        """A twentieth, of whole speakers where enough are known; copies stay on one side."""
        if not isinstance(examples, Heard):
            examples = examples.take(readable_rows(examples.audio))
        keys = content_keys(examples.audio)
        say_copies(examples.audio, keys)
        rest, held = examples.split_by_speaker(keys)
        if examples.speakers:
            self._say_speakers(rest, held)
        return rest, held

    def split(self, examples: Heard) -> tuple[Heard, Heard]:
        return examples.split(examples.keys)

    @staticmethod
    def _say_speakers(rest: Utterances, held: Utterances) -> None:
        """Say whose recordings are held out, and what the score is worth for strangers and other texts."""
        shared = sorted(set(rest.speakers) & set(held.speakers) - {""})
        if shared:
            say(f"{_named(shared)} trained on and also scored: the error rates do not hold for strangers")
            return
        if "" in held.speakers:  # of some of whom nothing is known
            return
        known = set(rest.texts)
        again = sum(text in known for text in held.texts)
        say(
            f"{_named(sorted(set(held.speakers)))} held out to be scored, with {len(held)} of {len(held) + len(rest)} "
            f"recordings; {again} of their texts are also trained on"
        )

    @property
    def features(self) -> LogMel:
        """The frames that the network takes."""
        return LogMel(self.rate, self.bins)

    # -- training --------------------------------------------------------------------------------------------

    def prepare(self, data: FitData) -> "tuple[Recordings, Recordings]":
        say_trained_on(data.valid.audio, data.valid.keys, set(data.train.keys))
        self.heard_ = "".join(dict.fromkeys([*data.train.keys, *data.valid.keys]))
        self.speakers_ = sorted({*data.train.speakers, *data.valid.speakers} - {""})
        self.alphabet_ = Alphabet.of(data.train.texts)
        self.texts_ = data.train.texts
        return self._recordings(data.train, "train on"), self._recordings(data.valid, "validate on")

    def network(self) -> "AcousticNetwork":
        from memfold.tasks.transcribe.network import AcousticNetwork, AcousticSize

        return AcousticNetwork(
            AcousticSize(
                self.bins,
                self.stacked,
                self.hidden_size,
                self.num_layers,
                len(self.alphabet_.characters),
                self.dropout,
                self.causal,
            )
        )

    def problem(self, network: "AcousticNetwork", ready: Any) -> "SpeechProblem":
        from memfold.tasks.transcribe.batches import SpeechProblem

        train, valid = ready
        network.front.normalise_by(train.frames)
        return SpeechProblem(network, train, valid, self.alphabet_, self.batch_frames, self.augment, self.seed)

    def finish(self, data: FitData, ready: "tuple[Recordings, Recordings]") -> None:
        """Choose the weights of the search by the character error rate of what was validated on."""
        self.language_ = self.bonus_ = 0.0
        if self.beam == 1:
            return
        from memfold.tasks.transcribe.scores import error_rates

        _, valid = ready
        log_ps = self._log_p(valid.frames[:MOST_TO_CHOOSE])
        texts = [self.alphabet_.decode(labels) for labels in valid.labels[:MOST_TO_CHOOSE]]
        rates = {}
        for language, bonus in followed(CHOICES, "weighing the language model", self.progress):
            tried = SearchWeights(BEAM_TO_CHOOSE, language, bonus)
            written = [self._transcript(tried).whole(log_p) for log_p in log_ps]
            rates[language, bonus] = error_rates(texts, written)["cer"]
        self.language_, self.bonus_ = min(rates, key=lambda choice: rates[choice])
        if self.progress:
            rate = rates[self.language_, self.bonus_]
            say(f"search: language model {self.language_:g}, bonus {self.bonus_:g}: valid CER {rate:.4f}")

    def _recordings(self, heard: Heard, purpose: str) -> "Recordings":
        """What can be trained on: recordings that last as long as their texts need."""
        from memfold.tasks.transcribe.batches import Recordings

        labels = [self.alphabet_.encode(text) for text in heard.texts]
        steps = [-(-len(recording) // self.stacked) for recording in heard.frames]
        fit = [row for row, text in enumerate(labels) if text and steps[row] >= least_steps(text)]
        if not fit:
            raise InputError(
                f"{heard.name}: every recording to {purpose} is shorter than its text, or has no known letter"
            )
        if self.progress and len(fit) < len(labels):
            first = heard.audio[min(set(range(len(labels))) - set(fit))]
            count = len(labels) - len(fit)
            which = "1 recording" if count == 1 else f"{count} recordings"
            say(f"{which} left out, shorter than the text or without a known letter: {first} ...")
        return Recordings([heard.frames[row] for row in fit], [labels[row] for row in fit])

    # -- answering -------------------------------------------------------------------------------------------

    def answer(self, examples: Heard) -> Written:
        """What is said in each recording."""
        started = time.perf_counter()
        log_p = self._log_p(examples.frames)
        texts = [self._transcript().whole(steps) for steps in log_p]
        taken = examples.seconds + time.perf_counter() - started
        return Written(texts, log_p, taken / (SHIFT * sum(map(len, examples.frames))))

    def table(self, examples: Heard, answers: Written) -> pl.DataFrame:
        """Columns ``audio``, the file, those of a manifest, and ``text``, what is said in it.

        A manifest's own ``text`` becomes ``text_given``. Files that cannot be read are left out, and named on standard
        error.
        """
        return with_given(examples.given, "audio", examples.audio, {"text": answers.texts})

    def _log_p(self, frames: Sequence[NDArray[np.float16]]) -> list[NDArray[np.float32]]:
        from memfold.tasks.transcribe.batches import log_probabilities

        self.network_.eval()
        return [tensor.numpy() for tensor in log_probabilities(self.network_, frames)]

    def _transcript(self, weights: SearchWeights | None = None) -> Transcript:
        weights = weights or self.weights
        model = self.character_model if weights.language else None
        return Transcript(self.alphabet_, weights, model, max(1, round(self.pause / self.step_seconds)))

    @property
    def weights(self) -> SearchWeights:
        """Those of the search."""
        return SearchWeights(self.beam, self.language_, self.bonus_)

    @cached_property
    def character_model(self) -> CharacterModel:
        """The language model of the search, from the texts that were trained on."""
        return CharacterModel([self.alphabet_.encode(text) for text in self.texts_], len(self.alphabet_.characters))

    # -- in a stream -----------------------------------------------------------------------------------------

    @property
    def step_seconds(self) -> float:
        """From one of the network's steps to the next."""
        return SHIFT * self.stacked

    def listen(self, source: BinaryIO) -> Iterator[str]:
        """Text while somebody speaks, in lines of JSON.

        ``{"time": ..., "partial": ...}`` whenever the text so far changes, ``{"start": ..., "end": ..., "text": ...}``
        after a pause and at the end; seconds from the beginning.

        Raises:
            InputError: the model is not causal, or the sound cannot be read.
        """
        if not self.causal:
            raise InputError("this model reads recordings in both directions; fit one with --set causal=true to stream")
        listener = self.network_.listener()
        transcript = self._transcript()
        said = ""
        for frame in self.features.follow(noting(listen, source, self.rate)):
            y = listener.step(frame.astype(np.float16).astype(np.float32))  # as whole recordings are kept
            if y is None:
                continue
            if (segment := transcript.step(log_softmax(y))) is not None:
                yield self._line(segment)
            if (now := transcript.partial()) != said and now:
                yield TO_JSON({"time": self._seconds(transcript.steps), "partial": now})
            said = now
        for y in listener.finish():
            if (segment := transcript.step(log_softmax(y))) is not None:
                yield self._line(segment)
        if (segment := transcript.finish()) is not None:
            yield self._line(segment)

    def _line(self, segment: Segment) -> str:
        start = self._seconds(segment.first)
        end = self._seconds(segment.last + 1)
        return TO_JSON({"start": start, "end": end, "text": segment.text})

    def _seconds(self, steps: int) -> float:
        return round(steps * self.step_seconds, 2)

    def next_command(self, out: Path, data: Sequence[str]) -> str:
        if self.causal:
            return f"memfold stream {out} < recording.wav writes along"
        return f"memfold predict {out} recording.wav writes what is said"

    # -- scores ----------------------------------------------------------------------------------------------

    def scores(self, examples: Heard, answers: Written) -> dict[str, float]:
        """Character and word error rate: edits over the length of the true texts; of the model, also its speed."""
        from memfold.tasks.transcribe.scores import error_rates

        speed = {} if answers.real_time_factor is None else {"real_time_factor": answers.real_time_factor}
        return {**error_rates(examples.texts, answers.texts), **speed}

    def baselines(self, examples: Heard, answers: Written) -> dict[str, Any]:
        from memfold.tasks.transcribe.scores import typical

        result = {"one text for all": Written([typical(self.texts_)] * len(examples))}
        if self.beam > 1:
            result["no language model"] = Written([self.alphabet_.decode(greedy(steps)) for steps in answers.log_p])
        return result

    def details(self, examples: Heard, answers: Written, seconds: float) -> Sequence[Any]:
        from memfold.tasks.transcribe.report import mistake_tables

        tables = mistake_tables(examples.texts, answers.texts, [str(file) for file in examples.audio])
        if not self.causal:
            return tables
        cost = self._time_of_a_frame(examples.frames[0])
        return [*tables, f"network: {cost:.0f} µs of one core for each frame of 10 ms of a stream"]

    def _time_of_a_frame(self, frames: NDArray[np.float16]) -> float:
        """Microseconds of one core that the network takes for a frame of a stream, frames and search apart."""
        listener = self.network_.listener()
        some = list(np.repeat(frames.astype(np.float32), 1 + 1000 // len(frames), axis=0))
        return stream_cost(lambda: [listener.step(frame) for frame in some], len(some))

    # -- models on disk --------------------------------------------------------------------------------------

    def fitted_files(self) -> dict[str, bytes]:
        return {TEXTS: "\n".join(self.texts_).encode()}

    def restore_files(self, files: dict[str, bytes]) -> None:
        self.texts_ = files[TEXTS].decode().split("\n")


def _named(speakers: Sequence[str]) -> str:
    names = ", ".join(speakers[:NAMED]) + (", ..." if len(speakers) > NAMED else "")
    return f"the speaker {names} was" if len(speakers) == 1 else f"{len(speakers)} speakers ({names}) were"
