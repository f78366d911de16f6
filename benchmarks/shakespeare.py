"""Train the same character model for the same time on torch.nn.LSTM and on memfold.nn.LSTM, one after the other.

Both start from the same weights and read the same windows in the same order; the faster one makes more steps. The first
90 % of the characters train; the last 10 % are scored once, at the end. Nothing else should run on the machine: the
carried state is scored character by character, whose threads wait for one another at every step.

    python benchmarks/shakespeare.py --data tinyshakespeare/input.txt
"""

import copy
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn

import memfold

EMBEDDING, HIDDEN, BATCH, WINDOW = 128, 512, 32, 64
RATE, CLIP, DROPOUT = 4e-3, 1.0, 0.1  # three minutes are three or four epochs: a high rate, and little to overfit
DATA = Path(os.environ.get("MEMFOLD_DATA", "data")) / "tinyshakespeare" / "input.txt"


class CharacterModel(nn.Module):
    """Embedding, an LSTM of one layer, and a head."""

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, EMBEDDING)
        self.lstm: nn.Module = nn.LSTM(EMBEDDING, HIDDEN)
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(HIDDEN, characters)

    def forward(self, text: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The loss of each next character of ``text (T + 1, B)``, ``(T, B)``, and the detached state after them."""
        y, (h, c) = self.lstm(self.embedding(text[:-1]), state)
        logits = self.head(self.dropout(y))  # (T, B, characters)
        losses = F.cross_entropy(logits.flatten(0, 1), text[1:].flatten(), reduction="none").view(text[1:].shape)
        return losses, (h.detach(), c.detach())


def windows(text: Tensor, length: int) -> Iterator[Tensor]:
    """Pieces of ``text (T, B)`` in order, of ``length`` steps and the one that follows; a shorter rest is left out."""
    for start in range(0, len(text) - length, length):
        yield text[start : start + length + 1]


def fit(model: nn.Module, text: Tensor, seconds: float) -> dict[str, float]:
    """Train for the given time on the characters of ``text (N,)``, cut into rows whose state goes on with them."""
    adam = torch.optim.Adam(model.parameters(), fused=True)
    steps, losses = 0, []
    start = time.perf_counter()
    model.train()
    while True:
        offset = int(torch.randint(WINDOW, ()))  # every epoch cuts elsewhere
        rows = text[offset : offset + (len(text) - offset) // BATCH * BATCH].view(BATCH, -1).t().contiguous()
        state = None
        for window in windows(rows, WINDOW):  # (WINDOW + 1, BATCH)
            used = (time.perf_counter() - start) / seconds
            if used >= 1:
                last = torch.stack(losses[-100:]).mean().item()
                rate = round(steps * BATCH * WINDOW / (used * seconds))
                return {"steps": steps, "tokens per second": rate, "training loss": last}
            adam.param_groups[0]["lr"] = RATE * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * used)))
            adam.zero_grad()
            each, state = model(window, state)
            loss = each.mean()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            adam.step()
            losses.append(loss.detach())
            steps += 1


@torch.no_grad()
def score(model: nn.Module, text: Tensor) -> dict[str, float]:
    """Nats per character of ``text (N,)``: read through with carried state, and in windows of 256 from a zero state."""
    model.eval()
    state, carried = None, []
    for start in range(0, len(text) - 1, 1024):
        losses, state = model(text[start : start + 1025, None], state)
        carried.append(losses.flatten())
    apart = torch.cat([window[:, None] for window in windows(text, 256)], dim=1)  # (257, windows)
    return {
        "nats per character, carried": torch.cat(carried).mean().item(),
        "nats per character, windows of 256": model(apart, None)[0].mean().item(),
    }


def main(
    minutes: Annotated[float, typer.Option(help="Of training, for each of the two.")] = 3.0,
    data: Annotated[Path, typer.Option(exists=True, help="The text, tinyshakespeare's input.txt or another.")] = DATA,
    seed: Annotated[int, typer.Option(help="Of the first weights and of dropout.")] = 0,
) -> None:
    """Train on torch.nn.LSTM and on memfold.nn.LSTM, and print what each came to."""
    characters = data.read_text(encoding="utf-8")
    if len(characters) < 10_000:
        raise typer.BadParameter(f"{data} has {len(characters)} characters; 10,000 are the least to train on")
    number = {character: k for k, character in enumerate(sorted(set(characters)))}
    text = torch.tensor([number[character] for character in characters])  # (N,)
    train, valid = text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]

    torch.manual_seed(seed)
    on_torch = CharacterModel(len(number))
    on_memfold = copy.deepcopy(on_torch)
    on_memfold.lstm = memfold.nn.LSTM.from_torch(on_torch.lstm)
    for name, model in {"torch.nn": on_torch, "memfold.nn": on_memfold}.items():
        torch.manual_seed(seed)
        print(name)
        for what, value in (fit(model, train, minutes * 60) | score(model, valid)).items():
            print(f"  {what:36}{value:>10,}" if isinstance(value, int) else f"  {what:36}{value:>10.4f}")


if __name__ == "__main__":
    typer.run(main)
