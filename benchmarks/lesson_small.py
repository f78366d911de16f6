"""Train the smallest models of the explorer's lesson, and write them into the package.

The counter reads lines of a's followed by as many b's, up to 12, and says what comes next. Of three trainings the one
that counts furthest is taken. The model of taxis reads the bundled half-hourly series, a number at a time, and says the
next one; it is trained on the first four fifths and scored on the rest, beside who says the number before, and beside
who says that of a day before. The plain RNN reads the novel that the lesson's LSTM reads. On one thread the same
machine gives the same models again, in some minutes.

    OMP_NUM_THREADS=1 python benchmarks/lesson_small.py
    OMP_NUM_THREADS=1 python benchmarks/lesson_small.py --name rnn
"""

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
import typer
from numpy.typing import NDArray
from torch import Tensor, nn

import memfold
from lesson import flowing
from memfold.data.prose import load_prose
from memfold.explain.units import find_units
from memfold.explorer.packing import CharacterModel, NumberModel

MODELS = Path(memfold.__file__).parent / "explorer" / "models"
COUNTED, SEEDS = 12, 3  # a's in a line that is trained on; trainings of the counter
DAY, WINDOW, SHOWN = 48, 96, 144  # half-hours: a day, of a window, of what the page opens with


def descend(loss: Tensor, adam: torch.optim.Adam, rate: torch.optim.lr_scheduler.OneCycleLR) -> None:
    """A step of Adam, with the gradient clipped to a norm of 1."""
    adam.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(adam.param_groups[0]["params"], 1.0)
    adam.step()
    rate.step()


def of_characters(network: nn.Module, characters: str, cell: str) -> CharacterModel:
    """A trained network over characters, of an embedding, one layer and a head, as the explorer reads it."""
    weights = {name: w.detach().numpy() for name, w in network.named_parameters()}
    layer = {name[6:-3]: w for name, w in weights.items() if name.startswith("layer.")}
    head = weights["head.weight"], weights["head.bias"]
    return CharacterModel(characters, weights["embedding.weight"], [(cell, layer)], *head)


class Counter(nn.Module):
    """An LSTM of eight units over three signs."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(4, 4)  # of the placeholder, the line's end, a and b
        self.layer = memfold.nn.LSTM(4, 8)
        self.head = nn.Linear(8, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits ``(T, B, 4)`` of what follows tokens ``(T, B)``."""
        logits: Tensor = self.head(self.layer(self.embedding(tokens))[0])
        return logits


def lines(rng: np.random.Generator, length: int) -> str:
    """Lines of a's and as many b's, so many characters of them."""
    text = ""
    while len(text) < length:
        count = int(rng.integers(1, COUNTED + 1))
        text += "a" * count + "b" * count + "\n"
    return text[:length]


def counter(seed: int) -> CharacterModel:
    """A trained counter."""
    torch.manual_seed(seed)
    rng, network = np.random.default_rng(seed), Counter()
    tokens = {"\n": 1, "a": 2, "b": 3}
    adam = torch.optim.Adam(network.parameters(), lr=0.02)
    rate = torch.optim.lr_scheduler.OneCycleLR(adam, 0.02, total_steps=2000)
    for _ in range(2000):
        text = torch.tensor([[tokens[sign] for sign in lines(rng, 65)] for _ in range(16)]).T  # (T, B)
        loss = F.cross_entropy(network(text[:-1]).flatten(0, 1), text[1:].flatten())
        descend(loss, adam, rate)
    return of_characters(network, "\nab", "lstm")


def counts_to(model: CharacterModel) -> int:
    """The most a's after which the model still says, at every b, whether a b or the line's end comes next."""
    for count in range(1, 200):
        text = "ab\n" + "a" * count + "b" * count
        h = model.values(text)[0]["h"][-count:]  # after each b
        assert model.output is not None
        said = (h @ model.output.T + model.bias)[:, 1:].argmax(1)
        if said.tolist() != [2] * (count - 1) + [0]:
            return count - 1
    return 199


def counter_page() -> dict[str, Any]:
    """The counter that counts furthest, as a page holds it."""
    models = [counter(seed) for seed in range(SEEDS)]
    reached = [counts_to(CharacterModel.unpacked(model.packed())) for model in models]
    model = models[int(np.argmax(reached))]
    text = lines(np.random.default_rng(100), 3000)
    values, ahead = model.values(text)[0]["c"], []
    for sign in text:
        ahead.append(0.0 if sign == "\n" else ahead[-1] + (1 if sign == "a" else -1) if ahead else 1.0)
    (best,) = find_units(values, {"count": np.array(ahead)})
    shown = "aabb\naaaaabbbbb\n" + "a" * 9 + "b" * 4
    facts = {
        "kind": "counter",
        "units": 8,
        "parameters": f"{model.parameters:,}",
        "seeds": SEEDS,
        "reached": reached,
        "upto": max(reached),
        "trained": COUNTED,
        "nats": round(model.nats(text), 4),
        "packed": round(CharacterModel.unpacked(model.packed()).nats(text), 4),
        "unit": best.unit,
        "score": f"{abs(best.score):.3f}",
    }
    event = {"kind": "line", "words": "ends", "marks": "\n", "line": 18}
    hero = {"text": shown, "step": shown.rindex("\n") + 9, "event": event, "held": 0, "layer": 0}
    hero |= {"unit": best.unit, "value": "c"}
    return {**model.packed(), "name": "counter", "hero": hero, "facts": facts, "probe": text, "temperature": 1}


def taxi_page() -> dict[str, Any]:
    """The model of taxis, as a page holds it."""
    table = (files("memfold.data") / "bundled" / "nyc_taxi.csv").read_text("utf-8").splitlines()[1:]
    y = np.array([float(line.rpartition(",")[2]) for line in table])
    learned = len(y) * 4 // 5
    mean, deviation = float(round(y[:learned].mean())), float(round(y[:learned].std()))
    z = torch.from_numpy(((y - mean) / deviation).astype(np.float32))
    torch.manual_seed(0)
    layer, head = memfold.nn.LSTM(1, 32, init=f"chrono:{DAY}"), nn.Linear(32, 1)
    parameters = [*layer.parameters(), *head.parameters()]
    adam = torch.optim.Adam(parameters, lr=0.01)
    rate = torch.optim.lr_scheduler.OneCycleLR(adam, 0.01, total_steps=1500)
    for _ in range(1500):
        starts = torch.randint(learned - WINDOW - 1, (32,))
        windows = torch.stack([z[start : start + WINDOW + 1] for start in starts], 1)  # (T, B)
        loss = F.mse_loss(head(layer(windows[:-1, :, None])[0])[..., 0], windows[1:])
        descend(loss, adam, rate)
    weights = {name.removesuffix("_l0"): w.detach().numpy() for name, w in layer.named_parameters()}
    output = head.weight.detach().numpy(), head.bias.detach().numpy()
    model = NumberModel([("lstm", weights)], *output, mean, deviation)
    rest = y[learned:]

    def error(said: NDArray[np.float64]) -> float:
        return float(np.sqrt(((said - rest[DAY:]) ** 2).mean()))

    rounded = NumberModel.unpacked(model.packed())
    start = len(rest) - 3000 - (len(rest) - 3000) % DAY if len(rest) > 3000 else 0
    probe = rest[start : start + 2000]
    facts = {
        "kind": "taxi",
        "units": 32,
        "parameters": f"{sum(w.size for w in (*weights.values(), *output)):,}",
        "error": round(error(model.expected(rest)[DAY - 1 : -1])),
        "packed_error": round(error(rounded.expected(rest)[DAY - 1 : -1])),
        "naive": round(error(rest[DAY - 1 : -1])),
        "day": round(error(rest[:-DAY])),
    }
    time_of_day = np.cos(2 * np.pi * (np.arange(len(probe)) % DAY) / DAY)
    (best,) = find_units(model.values(probe)[0]["c"], {"day": time_of_day})
    facts |= {"unit": best.unit, "score": f"{abs(best.score):.3f}"}
    hero = {"text": joined(probe[:SHOWN]), "step": DAY, "event": None, "held": 0, "layer": 0}
    hero |= {"unit": best.unit, "value": "c"}
    return {**rounded.packed(), "name": "taxi", "hero": hero, "facts": facts, "probe": joined(probe), "temperature": 1}


class Plain(nn.Module):
    """A plain RNN over characters."""

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, 24)
        self.layer = memfold.nn.RNN(24, 64)
        self.head = nn.Linear(64, characters)

    def forward(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Logits ``(T, B, V)`` of what follows tokens ``(T, B)``, and the state after them."""
        h, state = self.layer(self.embedding(tokens), state)
        return self.head(h), state


def rnn_page() -> dict[str, Any]:
    """The plain RNN of the novel, as a page holds it."""
    text, test = (flowing(part) for part in load_prose("warpeace"))
    counts = {sign: text.count(sign) for sign in set(text)}
    characters = "".join(sorted(sign for sign, count in counts.items() if count > 1))
    tokens = {sign: token for token, sign in enumerate(characters, 1)}
    ids = torch.tensor([tokens.get(sign, 0) for sign in text])
    torch.manual_seed(0)
    network = Plain(len(characters) + 1)
    adam = torch.optim.Adam(network.parameters(), lr=4e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(adam, 4e-3, total_steps=3000, pct_start=0.05)
    rows = ids[: len(ids) // 32 * 32].view(32, -1).T  # (T, B)
    place, state = 0, None
    for _ in range(3000):
        if place + 65 > len(rows):
            place, state = 0, None
        x, y = rows[place : place + 64], rows[place + 1 : place + 65]
        place += 64
        logits, after = network(x, state)
        state = after.detach()
        loss = F.cross_entropy(logits.flatten(0, 1), y.flatten())
        descend(loss, adam, rate)
    model = of_characters(network, characters, "rnn_tanh")
    scored = test[13_000:43_000]
    facts = {
        "kind": "rnn",
        "units": 64,
        "parameters": f"{model.parameters:,}",
        "nats": round(model.nats(scored), 4),
        "packed": round(CharacterModel.unpacked(model.packed()).nats(scored), 4),
    }
    shown = 'He looked at her.\n"The whole army has crossed the river and the'
    event = {"kind": "sign", "signs": '"', "within": 100}
    hero = {"text": shown, "step": 19, "event": event, "held": 0, "layer": 0, "unit": 0, "value": "h"}
    probe = test[1000:4000]
    return {**model.packed(), "name": "rnn", "hero": hero, "facts": facts, "probe": probe, "temperature": 1}


def joined(numbers: NDArray[np.float64]) -> str:
    """Numbers as lines."""
    return "\n".join(f"{number:.0f}" for number in numbers)


PAGES: dict[str, Callable[[], dict[str, Any]]] = {"counter": counter_page, "taxi": taxi_page, "rnn": rnn_page}


def main(name: Annotated[str | None, typer.Option(help="counter, taxi or rnn; all when not given.")] = None) -> None:
    for each in [name] if name else list(PAGES):
        content = PAGES[each]()
        written = json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"
        (MODELS / f"{each}.json").write_text(written, encoding="utf-8")
        print(f"{each}: {len(written.encode()):,} bytes, {content['facts']}")


if __name__ == "__main__":
    typer.run(main)
