"""Learning on while watching: a small step of gradient descent every few points, on windows of the past."""

from collections.abc import Sequence

import torch

from memfold.stream import Stream
from memfold.tasks.anomaly.network import Predictor, WindowBatch, error_loss

__all__ = ["Learner"]

KEPT_POINTS = 20_000  # points to draw windows from
LATEST = 2  # windows of a step that end with the newest point, or shortly before


class Learner:
    """Keeps what a monitor reads and trains a copy of the network on it.

    Args:
        predictor: is trained in place.
        every: points between two steps.
        window: points of a window.
        batch_size: windows of a step.
    """

    def __init__(self, predictor: Predictor, every: int, window: int, batch_size: int, lr: float, seed: int) -> None:
        self.predictor, self.every, self.window, self.batch_size = predictor, every, window, batch_size
        self.optimizer = torch.optim.AdamW(predictor.parameters(), lr=lr, weight_decay=1e-2, fused=True)
        self.generator = torch.Generator().manual_seed(seed)

        self.x = torch.zeros(KEPT_POINTS, predictor.features)
        self.target = torch.zeros(KEPT_POINTS, predictor.variables)
        self.points = 0

    def __call__(self, row: Sequence[float], seen: Sequence[float]) -> Stream | None:
        """Take a point; the network's new stream when a step was made."""
        place = self.points % KEPT_POINTS
        self.x[place] = torch.tensor(row)
        self.target[place] = torch.tensor(seen)
        self.points += 1
        if self.points % self.every or self.points < 2 * self.window:
            return None
        self._step()
        return self.predictor.stream()

    def _step(self) -> None:
        kept = min(self.points, KEPT_POINTS)
        back = torch.randint(kept - self.window + 1, (self.batch_size,), generator=self.generator)
        latest = min(LATEST, self.batch_size)
        back[:latest] = torch.arange(latest) * self.every
        back.clamp_(max=kept - self.window)
        begin = self.points - self.window - back
        rows = (begin[None, :] + torch.arange(self.window)[:, None]) % KEPT_POINTS
        self.predictor.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss = error_loss(self.predictor, WindowBatch(self.x[rows], self.target[rows]))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.predictor.parameters(), 1.0)
        self.optimizer.step()
