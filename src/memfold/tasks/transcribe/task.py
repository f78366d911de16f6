"""The SpeechRecognizer: fit an acoustic model to recordings and their texts, write what is said, score the edits."""

import copy
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.budget import Budget
from memfold.data.audio import channel_of, listen
from memfold.data.features import SHIFT, LogMel
from memfold.data.folders import KEPT_APART, say_parts
from memfold.data.frames import like
from memfold.data.recording_copies import KEY, content_keys, say_copies, say_trained_on
from memfold.data.sound_notes import noting
from memfold.data.speech import Utterances, joined, read_manifest
from memfold.data.transcripts import parts_at
from memfold.display import say
from memfold.errors import InputError
from memfold.formats.directory import TEXTS
from memfold.runtime.hearing.live import stream_cost
from memfold.runtime.hearing.search import (
    Alphabet,
    CharacterModel,
    SearchWeights,
    Transcript,
    greedy,
    least_steps,
)
from memfold.runtime.hearing.transcribing import Transcribing
from memfold.runtime.recipe import Run
from memfold.tasks.contest import ALONE, ANSWER, Contest
from memfold.tasks.model import FitData, Task
from memfold.tasks.parameters import Search, fitted, parameter, planned
from memfold.tasks.planning import Plan, seconds_of
from memfold.tasks.report import Metric, Parts
from memfold.tasks.speech.rates import MOST, RateOfRecordings
from memfold.tasks.speech.recordings import (
    check_features,
    followed,
    inputs_of,
    labelled_files,
    read_sounds,
    readable_rows,
    short_name,
    with_given,
)
from memfold.tasks.speech.speakers import named
from memfold.tasks.transcribe.choice import FEW, NO_LANGUAGE, chosen_weights
from memfold.tasks.transcribe.choice import Heard as Validated
from memfold.tasks.transcribe.hearing import Heard, Written, hear
from memfold.tasks.transcribe.plan import Speech, plan
from memfold.tasks.transcribe.times import Times, subtitles, table_in_time
from memfold.words import Words, said

if TYPE_CHECKING:
    from memfold.page import Section
    from memfold.tasks.transcribe.batches import Recordings, SpeechProblem
    from memfold.tasks.transcribe.network import AcousticNetwork

__all__ = ["SpeechRecognizer"]

MOST_TO_SCALE = 500  # recordings that show mean and deviation of the bands
MOST_TO_CHOOSE, FEWER_TO_CHOOSE = 100, 40  # recordings to choose the search's weights on; of the training part
ONE_TEXT = "one text for all"
TO_JSON: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False).encode


class SpeechRecognizer(RateOfRecordings, Task):
    """Writes what is said in recordings, in any language, by the character."""

    name: ClassVar[str] = "transcribe"
    halves = True
    metrics = (Metric("cer", "lower"), Metric("wer", "lower"), Metric("real_time_factor", "lower"))
    budget = "15m"
    column = "text"
    needs = ("audio files, a manifest, or @NAME", "recording.wav")
    hears = True
    runtime = "transcriber"

    rate: int | None = planned("samples a second that recordings are resampled to", least=1, most=768_000)
    channel: str = parameter(
        "mean", "of recordings with several channels: their ``mean``, ``left``, ``right``, or a number from 0"
    )
    bins: int = parameter(80, "mel bands", least=4, most=1000, search=(40, 80))
    stacked: int | None = planned(
        "frames that make a step of the LSTMs; there are 100 a second", least=1, search=(2, 3, 4)
    )
    hidden_size: int | None = planned(
        "units of an LSTM layer, in each direction", least=1, search=Search(64, 512, log=True)
    )
    num_layers: int | None = planned("LSTM layers", least=1, most=1000, search=(1, 2, 3, 4))
    causal: bool = parameter(
        False, "forward layers alone, so that text comes while somebody speaks (``memfold stream``)"
    )
    dropout: float | None = planned("between layers and before the head", least=0, below=1, search=Search(0, 0.5))
    augment: bool = parameter(
        True,
        "augment the recordings: pace, pauses, quiet around them, noise, gain, a coder of few bits, and SpecAugment's "
        "masks (Park et al. 2019)",
        search=(False, True),
    )
    growing: int | None = planned("steps over which the augmentation grows to its full strength", least=0)
    augmented: float | None = planned(
        "share of the batches, at most, whose recordings sound as if made elsewhere; masks are in all", least=0, most=1
    )
    batch_frames: int | None = planned("frames in a step", least=1)
    beam: int = parameter(
        16, "texts that the search keeps; 1 takes the likeliest labels and no language model", least=1, most=10_000
    )
    pause: float = parameter(1.0, "seconds without a character that end a segment", above=0)

    alphabet_: Alphabet = fitted()
    language_: float = fitted()  # the search's weight of the character model
    longest_: float = fitted()  # seconds of the longest recording that was trained on
    bonus_: float = fitted()  # what it adds for every character
    speakers_: list[str] = fitted()
    heard_: str = fitted()  # the keys of the recordings that were trained on, one after another
    texts_: list[str] = fitted(stored=False)  # that the character model counts
    network_: "AcousticNetwork" = fitted(stored=False)

    def check(self) -> None:
        super().check()
        check_features(LogMel(self.rate or MOST, self.bins))
        channel_of(self.channel)

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: Any) -> Heard:
        """Recordings and texts from a manifest's path, or several, or a data frame with such columns.

        Files that cannot be read are left out, and named on standard error.
        """
        if isinstance(data, Heard):
            self.found_rate = data.rate
            return data
        if not isinstance(data, Utterances):
            one = isinstance(data, str | Path) or hasattr(data, "columns")
            data = joined([self._read_one(part) for part in ([data] if one else data)])
        trained = self.__sklearn_is_fitted__()
        if not trained:
            self.find_rate(data.audio)
        heard = hear(data, self.features, self.progress, fitting=not trained, channel=self.channel)
        if trained and any(heard.texts):
            keys = self.heard_
            say_trained_on(heard.audio, heard.keys, {keys[begin : begin + KEY] for begin in range(0, len(keys), KEY)})
            if shared := sorted(set(heard.speakers) & set(self.speakers_)):
                say(f"{named(shared)} trained on: the error rates do not hold for strangers")
        return heard

    def labelled(self, X: Any, y: Any) -> Heard:
        """Recordings as `inputs` takes them, and what is said in each."""
        paths, answers = labelled_files(X, y, self.sound_rate)
        return self.read(Utterances("the recordings", paths, [" ".join(text.split()) for text in answers]))

    def inputs(self, data: Any) -> Heard:
        """One recording or several: paths of files or of folders, of which every audio file is taken, samples, tables.

        An array ``(samples,)`` is sound at ``rate``, a pair ``(samples, rate)`` at another one. Other columns of a
        manifest, or of a data frame of paths, stay in the answers.
        """
        if isinstance(data, Utterances):
            return self.read(replace(data, texts=[""] * len(data)))
        inputs = inputs_of(data, self.sound_rate)
        sources = inputs.sources
        return self.read(Utterances("the recordings", sources, [""] * len(sources), given=inputs.given))

    def predict(self, data: Any) -> Any:
        """As of every task, in a frame of the kind that was given."""
        table = super().predict(data)
        return like(table, data) if isinstance(table, pl.DataFrame) else table

    def read_files(self, paths: Sequence[str]) -> Utterances:
        return joined([self._read_one(path) for path in paths])

    def own_parts(self, data: Sequence[str]) -> Parts:
        parts = parts_at(Path(data[0])) if len(data) == 1 else {}
        if "train" not in parts or len(parts) < 2:
            return super().own_parts(data)
        read = {part: self._readable(reader()) for part, reader in parts.items()}
        say_parts(data[0], {part: len(utterances) for part, utterances in read.items()}, "recordings")
        if "test" not in read:
            say(f"{data[0]}: there is no part to score; that to validate on is scored instead")
            read["test"] = read.pop("valid")
        if read["train"].speakers:
            self._say_speakers(read["train"], read["test"])
        return Parts(read["train"], read["test"], read.get("valid"))

    def _read_one(self, data: Any) -> Utterances:
        """A manifest, a data frame, or a folder.

        Of a folder that holds the parts of a split, a fitted model reads what is to be scored, and a fit the others.
        """
        parts = parts_at(Path(data)) if isinstance(data, str | Path) else {}
        if "" in parts or not parts:
            return parts[""]() if parts else read_manifest(data)
        if self.__sklearn_is_fitted__():
            part = next(part for part in ("test", "valid", "train") if part in parts)
            utterances = parts[part]()
            say_parts(str(data), {"test": len(utterances)}, f"of the part {part}, recordings")
            return utterances
        apart = KEPT_APART if parts.pop("test", None) else ""
        if not parts:
            raise InputError(f"{data}: a split without a part to train on")
        read = {part: reader() for part, reader in parts.items()}
        say_parts(str(data), {part: len(utterances) for part, utterances in read.items()}, "recordings", apart)
        return joined(list(read.values()))

    @staticmethod
    def _readable(utterances: Utterances) -> Utterances:
        return utterances.take(readable_rows(utterances.audio))

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
            say(f"{named(shared)} trained on and also scored: the error rates do not hold for strangers")
            return
        if "" in held.speakers:  # of some of whom nothing is known
            return
        known = set(rest.texts)
        again = sum(text in known for text in held.texts)
        say(
            f"{named(sorted(set(held.speakers)))} held out to be scored, with {len(held)} of {len(held) + len(rest)} "
            f"recordings; {again} of their texts are also trained on"
        )

    # -- training --------------------------------------------------------------------------------------------

    def plan(self, train: Heard, valid: Heard, budget: Budget, speed: float) -> Plan:
        speech = Speech(
            sum(map(len, train.frames)),
            sum(map(len, train.texts)),
            len(train),
            self.sound_rate,
            self.bins,
            self.causal,
        )
        return plan(speech, seconds_of(budget, self.budget), speed, self.get_params())

    def prepare(self, data: FitData) -> "tuple[Recordings, Recordings]":
        say_trained_on(data.valid.audio, data.valid.keys, set(data.train.keys))
        self.heard_ = "".join(dict.fromkeys([*data.train.keys, *data.valid.keys]))
        self.speakers_ = sorted({*data.train.speakers, *data.valid.speakers} - {""})
        self.alphabet_ = Alphabet.of(data.train.texts)
        self.texts_ = data.train.texts
        self.longest_ = SHIFT * max(map(len, data.train.frames))
        if self.begun is not None:
            self._take_over(self.begun.model, self.begun.rehearses)
        return self._recordings(data.train, "train on"), self._recordings(data.valid, "validate on")

    def _take_over(self, before: "SpeechRecognizer", rehearses: bool) -> None:
        """In an update also what the earlier model knows; its texts where they are not given again."""
        mine, its = self.alphabet_.characters, before.alphabet_.characters
        self.alphabet_ = Alphabet(its + "".join(character for character in mine if character not in its))
        self.speakers_ = sorted({*self.speakers_, *before.speakers_})
        heard = before.heard_ + self.heard_
        self.heard_ = "".join(dict.fromkeys(heard[begin : begin + KEY] for begin in range(0, len(heard), KEY)))
        self.longest_ = max(self.longest_, before.longest_)
        if not rehearses:
            self.texts_ = [*before.texts_, *self.texts_]

    def network(self) -> "AcousticNetwork":
        from memfold.tasks.transcribe.network import AcousticNetwork, AcousticSize

        chosen = self.chosen
        return AcousticNetwork(
            AcousticSize(
                self.bins,
                chosen.stacked,
                chosen.hidden_size,
                chosen.num_layers,
                len(self.alphabet_.characters),
                chosen.dropout,
                self.causal,
            )
        )

    def problem(self, network: "AcousticNetwork", ready: Any) -> "SpeechProblem":
        from memfold.runtime.hearing.level import levelled
        from memfold.tasks.speech.noise import made_noise
        from memfold.tasks.transcribe.augment import Surroundings
        from memfold.tasks.transcribe.batches import Augmentation, SpeechProblem

        train, valid = ready
        some = train.frames[:: -(-len(train.frames) // MOST_TO_SCALE)]
        network.front.normalise_by([levelled(frames, self.causal) for frames in some])
        augmentation = None
        if self.augment:
            around = Surroundings.of(made_noise(self.features), train.frames)
            augmentation = Augmentation(around, self.chosen.growing, self.chosen.augmented)
        return SpeechProblem(network, train, valid, self.alphabet_, self.chosen.batch_frames, augmentation, self.seed)

    def finish(self, data: FitData, ready: "tuple[Recordings, Recordings]") -> Contest:
        """Choose the weights of the search by the character error rate of what was validated on."""
        from memfold.tasks.transcribe.scores import error_rates, typical

        train, valid = ready
        self.language_, self.bonus_ = NO_LANGUAGE
        log_ps = self._log_p(valid.frames)
        if self.beam > 1:
            self._choose_weights(train, valid, log_ps)
        texts = [self.alphabet_.decode(labels) for labels in valid.labels]
        parts = {
            ANSWER: [self._transcript(len(log_p)).whole(log_p) for log_p in log_ps],
            ALONE: [self.alphabet_.decode(greedy(log_p)) for log_p in log_ps],
            ONE_TEXT: [typical(self.texts_)] * len(texts),
        }
        rates = {name: error_rates(texts, written)["cer"] for name, written in parts.items()}
        return Contest("cer", "lower", rates, on_curve={ONE_TEXT: rates[ONE_TEXT]})

    def _choose_weights(self, train: "Recordings", valid: "Recordings", log_ps: Sequence[NDArray[np.float32]]) -> None:
        from memfold.tasks.speech.noise import made_noise
        from memfold.tasks.transcribe.augment import elsewhere

        heard = [Validated(log_ps[:MOST_TO_CHOOSE], valid.labels[:MOST_TO_CHOOSE], included=False)]
        if sum(map(len, valid.labels)) < FEW:
            worse = elsewhere(train.frames[:FEWER_TO_CHOOSE], made_noise(self.features, seed=1), self.seed)
            heard.append(Validated(self._log_p(worse), train.labels[:FEWER_TO_CHOOSE], included=True))
        texts = [self.alphabet_.encode(text) for text in self.texts_]
        show = partial(followed, what="weighing the language model", show=self.progress)
        (self.language_, self.bonus_), rate = chosen_weights(
            heard, texts, self.alphabet_, self.recogniser.settings.pause_steps, show
        )
        if self.progress:
            say(f"search: language model {self.language_:g}, bonus {self.bonus_:g}: valid CER {rate:.4f}")

    def _recordings(self, heard: Heard, purpose: str) -> "Recordings":
        """What can be trained on: recordings that last as long as their texts need."""
        from memfold.tasks.transcribe.batches import Recordings

        labels = [self.alphabet_.encode(text) for text in heard.texts]
        steps = [-(-len(recording) // self.chosen.stacked) for recording in heard.frames]
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
        log_p = (
            self._log_p(examples.frames) if self._sound_in is None else self._log_p_through(self._sound_in, examples)
        )
        texts = [self._transcript(len(steps)).whole(steps) for steps in log_p]
        taken = examples.seconds + time.perf_counter() - started
        return Written(texts, log_p, taken / (SHIFT * sum(map(len, examples.frames))))

    def table(self, examples: Heard, answers: Written) -> pl.DataFrame:
        """Columns ``audio``, the file, those of a manifest, and ``text``, what is said in it.

        A manifest's own ``text`` becomes ``text_given``. Files that cannot be read are left out, and named on standard
        error.
        """
        return with_given(examples.given, "audio", examples.audio, {"text": answers.texts})

    def answers(
        self, inputs: Sequence[str], *, times: Times = "none", channel: str | None = None
    ) -> "pl.DataFrame | Iterator[str]":
        """What ``memfold predict`` writes: a row a recording; with ``times`` a row a word or a phrase, or subtitles.

        Args:
            times: ``words`` or ``phrases`` give a row each, with its start and end in seconds; ``srt`` and ``vtt`` the
                phrases of one recording as subtitles.
            channel: in place of the parameter.
        """
        if channel is not None:
            return self._with_channel(channel).answers(inputs, times=times)
        if times == "none":
            return super().answers(inputs)
        self._require_inputs(inputs)
        heard = self.inputs(self.parts(inputs).test if self.known_set(inputs) else inputs)
        written = self.answer(heard)
        if times in ("words", "phrases"):
            return table_in_time(self, heard, written, times == "phrases")
        return subtitles(self, heard, written, times)

    def _with_channel(self, channel: str) -> Self:
        """A copy that takes another channel of recordings."""
        channel_of(channel)
        other = copy.copy(self)
        other.channel = channel
        return other

    def _log_p(self, frames: Sequence[NDArray[np.floating[Any]]]) -> list[NDArray[np.float32]]:
        return [self.recogniser.log_p(each) for each in frames]

    @property
    def recogniser(self) -> Transcribing:
        """The model as it hears without torch."""
        pipeline: Any = self.pipeline
        transcribing: Transcribing = pipeline
        return transcribing

    @property
    def _sound_in(self) -> Run | None:
        """What takes samples in place of the network."""
        return None if self._exported is None else self._exported.get("model")

    def _log_p_through(self, model: Run, examples: Heard) -> list[NDArray[np.float32]]:
        """As `_log_p`, of the sound, which is read once more."""
        from memfold.tasks.transcribe.exported import of_sound, of_sound_in_parts

        sounds = (
            samples for _, samples in read_sounds(examples.audio, self.sound_rate, noted=False, channel=self.channel)
        )
        if self.causal:
            return of_sound(model, sounds)
        return of_sound_in_parts(
            model, sounds, examples.frames, self.features, round(self.recogniser.settings.most_seconds / SHIFT)
        )

    def put_parts(self, pipeline: Any, parts: Mapping[str, Run]) -> None:
        if "step" in parts:
            from memfold.tasks.transcribe.exported import Stepped

            pipeline.log_p = Stepped(parts["step"], pipeline.settings).log_p

    def _transcript(self, steps: int | None = None) -> Transcript:
        """That of a recording of so many steps, if they are known."""
        model = self.character_model if self.language_ else None
        return Transcript(self.alphabet_, self.weights, model, self.recogniser.settings.pause_steps(steps))

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
        return SHIFT * int(self.chosen.stacked)

    def listen(self, source: BinaryIO) -> Iterator[str]:
        """Text while somebody speaks, in lines of JSON.

        ``{"time": ..., "partial": ...}`` whenever the text so far changes, ``{"start": ..., "end": ..., "text": ...}``
        after a pause and at the end; seconds from the beginning.

        Raises:
            InputError: the model is not causal, or the sound cannot be read.
        """
        if not self.causal:
            raise InputError("this model reads recordings in both directions; fit one with --set causal=true to stream")
        session = self.pipeline.open()
        for block in noting(listen, source, self.sound_rate):
            yield from map(TO_JSON, session.push(block))
        yield from map(TO_JSON, session.finish())

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

        alone = [self.alphabet_.decode(greedy(steps)) for steps in answers.log_p]
        return {ONE_TEXT: Written([typical(self.texts_)] * len(examples)), ALONE: Written(alone)}

    def sections(self, examples: Heard, answers: Written, words: Words) -> "Sequence[Section]":
        from memfold.tasks.transcribe.timeline import worst_timelines

        return worst_timelines(self, examples, answers, words)

    def details(self, examples: Heard, answers: Written, seconds: float) -> Sequence[Any]:
        from memfold.tasks.transcribe.report import mistake_tables
        from memfold.tasks.transcribe.scores import counts_characters

        names = [short_name(file, number) for number, file in enumerate(examples.audio, 1)]
        notes = [said("wer of characters")] if counts_characters(examples.texts) else []
        tables = [*mistake_tables(examples.texts, answers.texts, names), *notes]
        if not self.causal:
            return tables
        cost = self._time_of_a_frame(examples.frames[0])
        return [*tables, said("stream cost", cost=cost)]

    def _time_of_a_frame(self, frames: NDArray[np.float16]) -> float:
        """Microseconds of one core that the network takes for a frame of a stream, frames and search apart."""
        listener = self.recogniser.listeners().open()
        some = np.repeat(frames.astype(np.float32), 1 + 1000 // len(frames), axis=0)
        tenths = np.array_split(some, len(some) // 10)  # of a second, as sound comes
        return stream_cost(lambda: [listener.push(frames) for frames in tenths], len(some))

    # -- models on disk --------------------------------------------------------------------------------------

    def fitted_files(self) -> dict[str, bytes]:
        return {TEXTS: "\n".join(self.texts_).encode()}

    def restore_files(self, files: dict[str, bytes]) -> None:
        self.texts_ = files[TEXTS].decode().split("\n")
