"""The network: log-mel frames through convolutions and LSTM layers to a posterior at every step, and its training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from memfold.nn import LSTM
from memfold.nn.dropout import Dropout
from memfold.runtime.hearing.level import FLOOR
from memfold.runtime.hearing.live import STRIDE
from memfold.tasks.bucketing import by_size
from memfold.tasks.command.augment import IGNORED, NONE, Piece, Recording, another_voice, augmented_piece
from memfold.tasks.command.baselines import CepstralRegression
from memfold.tasks.speech.front import Front
from memfold.tasks.speech.noise import some_noise
from memfold.training import Problem

__all__ = ["CommandBatch", "CommandNetwork", "CommandProblem", "CommandSize", "padded", "peaks", "pooled"]

CHAINED = 0.25  # of the rows, that begin with another command
NOISE_SHARE = 0.1  # rows of noise alone for each row with a command, where there is no background
BACKGROUND_SHARE = 1.0  # rows without a command for each row with one, where there is background
EMPTY_FRAMES = 150  # at most
HEARD = 0.8  # of the rows without a command, of background where there is some; the others are of noise
LOUDEST = 16.0  # log energy of that noise, at most
STEP_WEIGHT = 0.5  # of every step's target beside the pooled one
PEAK_WEIGHT = 0.3  # of a row's greatest score in a stream, likewise
OUTSIDE = -20.0  # log ratio of what does not count
VALID_BATCH = 256


@dataclass(frozen=True)
class CommandSize:
    """What fixes the shapes; of ``commands`` logits and one more, of no command."""

    bins: int
    channels: int
    convolutions: int
    hidden_size: int
    layers: int
    commands: int
    dropout: float


class CommandNetwork(nn.Module):
    """Convolutions, LSTM layers that only look back, and a linear layer at every step."""

    baseline: CepstralRegression  # as soon as it is fitted

    def __init__(self, size: CommandSize) -> None:
        super().__init__()
        self.size = size
        # Strided convolutions: fewer and richer steps than frames.
        self.front = Front(size.bins, size.channels, size.convolutions)
        # LSTM layers that only look back, so that a stream can do the same.
        between = size.dropout if size.layers > 1 else 0.0
        self.lstm = LSTM(size.channels, size.hidden_size, size.layers, batch_first=True, dropout=between)
        self.dropout = Dropout(size.dropout)
        # At every step a logit for each command, and one for no command.
        self.out = nn.Linear(size.hidden_size, size.commands + 1)

    @property
    def stride(self) -> int:
        """Frames from one step to the next."""
        return int(STRIDE**self.size.convolutions)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(B, T', K + 1)`` of frames ``(B, T, M)``, the last one of no command, and the rows' steps."""
        x, lengths = self.front(self.front.normalised(frames), lengths)  # (B, T', C)
        h = self.lstm(self.dropout(x), lengths=lengths)[0]  # (B, T', H)
        logits: Tensor = self.out(self.dropout(h))
        return logits, lengths


def pooled(logits: Tensor, inside: Tensor) -> Tensor:
    """A recording's log-probabilities of the commands, ``(B, K)``.

    Each step's posterior counts as much as the network finds a command in it: they are added up over the steps and
    scaled to 1. Sums go on with time, so that a stream could have them as well.

    Args:
        logits: ``(B, T', K + 1)``.
        inside: the steps that count, ``(B, T')``.
    """
    log_p = logits.log_softmax(-1)[..., :-1].masked_fill(~inside[..., None], -1e4)  # (B, T', K)
    return log_p.logsumexp(1).log_softmax(-1)


def peaks(logits: Tensor, inside: Tensor, window: int) -> Tensor:
    """A row's greatest score of each command in a stream, ``(B, K)``: its log ratio, averaged over a window.

    Args:
        logits: ``(B, T', K + 1)``.
        inside: the steps that count, ``(B, T')``; a window counts where its first and its last step do.
        window: steps.
    """
    width = min(window, logits.shape[1])
    ratios = (logits[..., :-1] - logits[..., -1:]).transpose(1, 2)  # (B, K, T')
    scores = F.avg_pool1d(ratios, width, 1)  # (B, K, T' - width + 1)
    counts = inside[:, width - 1 :] & inside[:, : scores.shape[2]]
    return scores.masked_fill(~counts[:, None], OUTSIDE).amax(2)


@dataclass(frozen=True)
class CommandBatch:
    """Rows of frames.

    Attributes:
        frames: (B, T, M).
        lengths: (B,).
        targets: of every step, a command's number, `NONE` or `IGNORED`, (B, T').
        asked: the steps that are pooled, (B, T').
        labels: of each row's pooled steps, or `NONE`, (B,).
    """

    frames: Tensor
    lengths: Tensor
    targets: Tensor
    asked: Tensor
    labels: Tensor


def padded(rows: Sequence[NDArray[np.floating]]) -> tuple[Tensor, Tensor]:
    """Rows ``(T, M)`` as one tensor ``(B, T, M)``, and their lengths."""
    tensors = [torch.from_numpy(np.asarray(row, np.float32)) for row in rows]
    return nn.utils.rnn.pad_sequence(tensors, batch_first=True), torch.tensor([len(row) for row in rows])


class CommandProblem(Problem):
    """Training on recordings, changed at every epoch.

    Args:
        train, valid: frames ``(T, M)`` of recordings, and their labels.
        bank: noise to mix in.
        background: sound without commands, (T, M); may be empty.
        window: steps over which a stream averages.
    """

    metric = "valid cross-entropy"
    unit = "frames"

    def __init__(
        self,
        model: CommandNetwork,
        train: tuple[Sequence[NDArray[np.float16]], NDArray[np.int64]],
        valid: tuple[Sequence[NDArray[np.float16]], NDArray[np.int64]],
        bank: Sequence[NDArray[np.float16]],
        background: NDArray[np.float16],
        window: int,
        batch_size: int,
        seed: int,
    ) -> None:
        self.model: CommandNetwork = model
        self.recordings = [Recording.of(recording, int(label)) for recording, label in zip(*train, strict=True)]
        self.bank, self.background, self.window = bank, background, window
        self.batch_size, self.seed = batch_size, seed
        self.steps_per_epoch = -(-len(self.recordings) // batch_size)
        frames, labels = valid
        self.valid = []
        for rows in by_size([len(row) for row in frames], VALID_BATCH):
            self.valid.append((*padded([frames[row] for row in rows]), torch.from_numpy(labels[rows])))

    # -- batches ---------------------------------------------------------------------------------------------

    def batches(self, epoch: int) -> Iterator[CommandBatch]:
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(len(self.recordings))
        for start in range(0, len(order), self.batch_size):
            yield self._batch(order[start : start + self.batch_size], rng)

    def _batch(self, chosen: NDArray[np.int64], rng: np.random.Generator) -> CommandBatch:
        pieces, starts, labels = [], [], []
        for row in chosen:
            piece, start = self._command(int(row), rng), 0
            if rng.random() < CHAINED:
                before = self._command(int(rng.integers(len(self.recordings))), rng)
                piece = Piece.joined([before, piece])
                start = len(before.frames)
            pieces.append(piece)
            starts.append(start)
            labels.append(self.recordings[row].label)
        share = BACKGROUND_SHARE if len(self.background) else NOISE_SHARE
        for _ in range(round(share * len(chosen))):
            pieces.append(self._nothing(rng))
            starts.append(0)
            labels.append(NONE)
        return self._collated(pieces, starts, labels)

    def _command(self, row: int, rng: np.random.Generator) -> Piece:
        recording = self.recordings[row]
        return augmented_piece(recording.changed(rng), recording.quiet, self.bank, rng)

    def _nothing(self, rng: np.random.Generator) -> Piece:
        """A stretch of background, by another voice, or where there is none, of noise."""
        frames = int(rng.integers(EMPTY_FRAMES // 3, EMPTY_FRAMES))
        if len(self.background) and rng.random() < HEARD:
            start = rng.integers(max(1, len(self.background) - frames))
            voice = another_voice(self.background[start : start + frames], rng)
            return augmented_piece(Piece.of_nothing(voice), voice.min(0), self.bank, rng)
        level = np.float32(rng.uniform(FLOOR, LOUDEST))
        return Piece.of_nothing(np.maximum(some_noise(self.bank, frames, rng) + level, np.float32(FLOOR)))

    def _collated(self, pieces: Sequence[Piece], starts: Sequence[int], labels: Sequence[int]) -> CommandBatch:
        stride = self.model.stride
        frames, lengths = padded([piece.frames for piece in pieces])
        steps = [torch.from_numpy(piece.targets[::stride]) for piece in pieces]
        targets = nn.utils.rnn.pad_sequence(steps, batch_first=True, padding_value=IGNORED)  # (B, T')
        places = torch.arange(targets.shape[1])
        counts = torch.tensor([len(row) for row in steps])
        first = torch.tensor([-(-start // stride) for start in starts])
        asked = (places >= first[:, None]) & (places < counts[:, None])
        return CommandBatch(frames, lengths, targets, asked, torch.tensor(labels))

    # -- losses ----------------------------------------------------------------------------------------------

    def count(self, batch: CommandBatch) -> int:
        return int(batch.lengths.sum())

    def loss(self, batch: CommandBatch) -> Tensor:
        logits = self.model(batch.frames, batch.lengths)[0].float()  # in bfloat16 sums over steps would lose too much
        spoken = batch.labels != NONE
        recording = F.nll_loss(pooled(logits[spoken], batch.asked[spoken]), batch.labels[spoken])
        wanted = batch.targets != IGNORED
        steps = batch.targets[wanted]
        answers = torch.where(steps == NONE, self.model.size.commands, steps)
        every = F.cross_entropy(logits[wanted], answers)
        return recording + STEP_WEIGHT * every + PEAK_WEIGHT * self._peak_loss(logits, batch)

    def _peak_loss(self, logits: Tensor, batch: CommandBatch) -> Tensor:
        """Of the greatest scores alone (Sun et al. 2016): one bad step of thousands is a false alarm."""
        spoken = batch.labels != NONE
        scores = peaks(logits, batch.asked, self.window)
        right = scores[spoken].gather(1, batch.labels[spoken, None])
        alarms = scores[~spoken].amax(1)
        return F.softplus(-right).mean() + F.softplus(alarms).sum() / max(len(alarms), 1)

    def validate(self) -> float:
        total = count = 0.0
        for frames, lengths, labels in self.valid:
            logits, steps = self.model(frames, lengths)
            inside = torch.arange(logits.shape[1]) < steps[:, None]
            total += F.nll_loss(pooled(logits, inside), labels, reduction="sum").item()
            count += len(labels)
        return total / count
