"""A plain recogniser on torch.nn, trained for as long as `memfold fit transcribe` is: what there is to beat.

Three bidirectional layers of 256 units read frames stacked by three; CTC, SpecAugment, the likeliest labels. Data,
augmentation, schedule and validation part are those of the SpeechRecognizer. The test part is scored once.

    python benchmarks/transcribe.py @mboshi --budget 15m
"""

from typing import Annotated

import jiwer
import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from memfold.budget import Budget
from memfold.display import Display
from memfold.runtime.hearing.level import levelled
from memfold.runtime.hearing.search import Alphabet, greedy, least_steps
from memfold.tasks import SpeechRecognizer
from memfold.tasks.speech.front import Scaling
from memfold.tasks.speech.noise import made_noise
from memfold.tasks.transcribe.augment import Surroundings
from memfold.tasks.transcribe.batches import Recordings, SpeechProblem, log_probabilities
from memfold.tasks.transcribe.hearing import hear
from memfold.training import Settings, train

STACKED, BATCH_FRAMES, GROWING = 3, 3000, 2000


class PlainNetwork(nn.Module):
    """What `AcousticNetwork` does, on torch.nn's layers."""

    causal = False

    def __init__(self, bins: int, characters: int) -> None:
        super().__init__()
        self.front = Scaling(bins)
        self.lstm = nn.LSTM(STACKED * bins, 256, 3, batch_first=True, dropout=0.2, bidirectional=True)
        self.head = nn.Linear(2 * 256, 1 + characters)

    def steps(self, frames: int) -> int:
        return -(-frames // STACKED)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = F.pad(x, (0, 0, 0, -x.shape[1] % STACKED)).reshape(len(x), -1, STACKED * x.shape[2])
        steps = (lengths + STACKED - 1) // STACKED
        packed, _ = self.lstm(pack_padded_sequence(x, steps, batch_first=True, enforce_sorted=False))
        hidden, _ = pad_packed_sequence(packed, batch_first=True)
        return self.head(hidden).log_softmax(-1), steps


def main(
    data: Annotated[str, typer.Argument(help="@NAME of a known set, or a manifest.")] = "@mboshi",
    budget: Annotated[str, typer.Option(help="As for memfold fit.")] = "15m",
    seed: Annotated[int, typer.Option(help="Of the initial weights and the batches.")] = 0,
) -> None:
    task = SpeechRecognizer(seed=seed)
    parts = task.parts([data])
    learn, valid = parts.train.split()
    alphabet = Alphabet.of(learn.texts)
    torch.manual_seed(seed)
    network = PlainNetwork(task.bins, len(alphabet.characters))

    def recordings(part) -> Recordings:
        heard = hear(part, task.features, show=True)
        frames, labels = heard.frames, [alphabet.encode(text) for text in heard.texts]
        kept = [i for i, recording in enumerate(frames) if network.steps(len(recording)) >= least_steps(labels[i])]
        return Recordings([frames[i] for i in kept], [labels[i] for i in kept])

    learnt = recordings(learn)
    network.front.normalise_by([levelled(frames, causal=False) for frames in learnt.frames])
    around = Surroundings.of(made_noise(task.features), learnt.frames)
    problem = SpeechProblem(network, learnt, recordings(valid), alphabet, BATCH_FRAMES, around, GROWING, seed)  # type: ignore[arg-type]
    with Display(f"torch.nn: {sum(p.numel() for p in network.parameters()):,} parameters") as display:
        result = train(problem, Settings(Budget.parse(budget), lr=task.lr), progress=display)
        display.finished(f"{result.steps:,} steps in {result.seconds:.0f} s")
    test = hear(parts.test, task.features)
    written = [alphabet.decode(greedy(log_p.numpy())) for log_p in log_probabilities(network, test.frames)]  # type: ignore[arg-type]
    texts = test.texts
    print(f"{data}, {budget}: torch.nn CER {jiwer.cer(texts, written):.3f}, WER {jiwer.wer(texts, written):.3f}")


if __name__ == "__main__":
    typer.run(main)
