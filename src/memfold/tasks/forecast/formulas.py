"""The formulas beside the network as tensors, for a file that forecasts by itself; NumPy's are the reference.

They are those of `memfold.runtime.forecasting.classical`, of ``demand`` and of ``linear``. Histories are the rows of a
tensor ``(B, T)`` that end at the origin; what lies before a series began is NaN. T is free, so that everything is
looked up by place rather than cut by size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from memfold.nn import RNN
from memfold.runtime.forecasting.classical import CYCLES, FLAT_CYCLES, SMOOTHING, classical_names
from memfold.runtime.forecasting.demand import RATE, REGULAR

__all__ = ["Formulas", "History", "smoothing_rate", "tsb_of"]


@dataclass(frozen=True)
class History:
    """Rows of values.

    Attributes:
        y: with 0 before a series began, (B, T).
        there: whether it had begun, (B, T).
    """

    y: Tensor
    there: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> "History":
        """Of rows with NaN before they begin, (B, T)."""
        there = ~rows.isnan()
        return cls(torch.where(there, rows, 0.0), there)

    @property
    def count(self) -> Tensor:
        """How many values each row has, (B, 1)."""
        return self.there.sum(1, keepdim=True)

    @property
    def start(self) -> Tensor:
        """The place of the first one, (B, 1)."""
        return self.y.shape[1] - self.count

    @property
    def first(self) -> Tensor:
        """The first one, (B, 1)."""
        return self.y.gather(1, self.start.clamp(max=self.y.shape[1] - 1))

    def before(self, lag: int) -> tuple[Tensor, Tensor]:
        """The values so many steps before each, and whether these are there, (B, T) each."""
        place = torch.arange(self.y.shape[1]) - lag
        index = place.clamp(min=0)
        return self.y[:, index], self.there[:, index] & (place >= 0)

    def unit(self, season: int) -> Tensor:
        """What errors are measured in, as `seasonal_unit`, (B,)."""
        result = self._change(season)
        size = torch.where(self.there, self.y.abs(), 0.0).sum(1) / self.count[:, 0].clamp(min=1)
        for unit in (self._change(1), size, torch.ones_like(size)):
            result = torch.where(result > 0, result, unit)
        return result

    def _change(self, lag: int) -> Tensor:
        earlier, known = self.before(lag)
        both = known & self.there
        return torch.where(both, (self.y - earlier).abs(), 0.0).sum(1) / both.sum(1).clamp(min=1)

    def intermittent(self) -> Tensor:
        """Whether a row is demand that comes now and then, (B,)."""
        sold = (self.there & (self.y > 0)).sum(1)
        return ~(self.there & (self.y < 0)).any(1) & (self.count[:, 0] > REGULAR * sold) & (sold > 0)

    def whole_counts(self) -> Tensor:
        """Whether a row holds whole numbers from 0 on alone, (B,)."""
        return (~self.there | ((self.y >= 0) & (self.y == self.y.round()))).all(1)


class Formulas(nn.Module):
    """Every formula's forecast of the next steps.

    Args:
        horizon: K.
        seasons: periods in steps, the one of theta first.
    """

    def __init__(self, horizon: int, seasons: Sequence[int]) -> None:
        super().__init__()
        self.horizon, self.seasons = horizon, tuple(seasons)
        self.level = _smoothing(SMOOTHING.tolist())

    def forward(self, history: History) -> dict[str, Tensor]:
        """By name as `classical_names` has them, (B, K) each."""
        naive = [self._seasonal_mean(history, season, 1) for season in self.seasons]
        means = [self._seasonal_mean(history, s, CYCLES if s > 1 else FLAT_CYCLES) for s in self.seasons]
        return dict(zip(classical_names(self.seasons), [*naive, *means, self._theta(history)], strict=True))

    def _seasonal_mean(self, history: History, season: int, cycles: int) -> Tensor:
        steps = history.y.shape[1]
        place = steps + torch.arange(self.horizon) % season - season * torch.arange(1, cycles + 1)[:, None]
        index = place.clamp(min=0)
        known = history.there[:, index] & (place >= 0)  # (B, cycles, K)
        count = known.sum(1)
        mean = torch.where(known, history.y[:, index], 0.0).sum(1) / count.clamp(min=1)
        return torch.where(count > 0, mean, history.y[:, -1:])

    def _theta(self, history: History) -> Tensor:
        adjusted, shift, factor = self._without_season(history)
        row = History(adjusted, history.there)
        count = row.count
        time = torch.where(row.there, (row.there.cumsum(1) - 1).double(), 0.0)
        away = torch.where(row.there, time - time.sum(1, keepdim=True) / count, 0.0)
        mean = row.y.sum(1, keepdim=True) / count
        slope = (away * (row.y - mean)).sum(1) / (away**2).sum(1).clamp(min=1e-12)
        # Smooth by every factor at once. Values are moved above 0, where a unit with max(0, ·) is linear.
        first = row.first
        lowest = torch.where(row.there, row.y, torch.inf).amin(1, keepdim=True)
        scale = (torch.where(row.there, row.y, -torch.inf).amax(1, keepdim=True) - lowest).clamp(min=1e-9)
        x = torch.where(row.there, (row.y - lowest) / scale, (first - lowest) / scale).float()
        begin = x[:, :1].expand(-1, len(SMOOTHING))
        levels, last = self.level(x.T[..., None], begin[None].contiguous())  # (T, B, A), (1, B, A)
        step = torch.arange(levels.shape[0])
        before = torch.where(step[:, None, None] > 0, levels[(step - 1).clamp(min=0)], begin[None])
        surprise = torch.where(row.there.T[..., None], x.T[..., None] - before, 0.0)
        best = (surprise.double() ** 2).sum(0).argmin(1, keepdim=True)  # (B, 1)
        alpha = torch.from_numpy(SMOOTHING)[best]
        level = last[0].gather(1, best).double() * scale + lowest
        ahead = torch.arange(self.horizon)
        drift = slope[:, None] / 2 * (ahead + (1 - (1 - alpha) ** count) / alpha)
        forecast: Tensor = (level + drift) * factor + shift
        return forecast

    def _without_season(self, history: History) -> tuple[Tensor, Tensor, Tensor]:
        """Rows without their season, and what it adds to and multiplies each step ahead with, (B, K) each."""
        y, there, season = history.y, history.there, self.seasons[0]
        ones = torch.ones(y.shape[0], self.horizon, dtype=y.dtype)
        if season <= 1:
            return y, 0 * ones, ones
        phase = (torch.arange(y.shape[1]) - history.start) % season  # (B, T)
        ahead = (history.count + torch.arange(self.horizon)) % season  # (B, K)
        trend, whole = self._trend(history)
        seasonal = self._is_seasonal(history)
        ratio = y / trend
        usable = whole & ratio.isfinite()
        indices = _by_phase(torch.where(usable, ratio, 0.0), usable, phase, season)
        indices = indices / indices.mean(1, keepdim=True)
        differences = _by_phase(torch.where(whole, y - trend, 0.0), whole, phase, season)
        differences = differences - differences.mean(1, keepdim=True)
        positive = torch.where(there, y, torch.inf).amin(1, keepdim=True) > 0
        times = seasonal & positive & (indices > 0).all(1, keepdim=True)  # what is not a number is not above 0
        plus = seasonal & ~positive
        adjusted = torch.where(times, y / torch.where(times, indices, 1.0).gather(1, phase), y)
        adjusted = torch.where(plus, y - torch.where(plus, differences, 0.0).gather(1, phase), adjusted)
        shift = torch.where(plus, torch.where(plus, differences, 0.0).gather(1, ahead), 0.0 * ones)
        factor = torch.where(times, torch.where(times, indices, 1.0).gather(1, ahead), ones)
        return torch.where(there, adjusted, 0.0), shift, factor

    def _trend(self, history: History) -> tuple[Tensor, Tensor]:
        """The centred moving average over a season, and where the series has all that it needs, (B, T) each."""
        season = self.seasons[0]
        weights = np.full(season, 1 / season) if season % 2 else np.r_[0.5, np.ones(season - 1), 0.5] / season
        place = torch.arange(history.y.shape[1])[:, None] + torch.arange(len(weights)) - len(weights) // 2  # (T, W)
        index = place.clamp(min=0).minimum(torch.tensor(history.y.shape[1] - 1))
        whole = (history.there[:, index] & (place == index)).all(2)
        return history.y[:, index] @ torch.from_numpy(weights), whole

    def _is_seasonal(self, history: History) -> Tensor:
        """M4's test, as `is_seasonal`, (B, 1)."""
        season, count = self.seasons[0], history.count
        mean = history.y.sum(1, keepdim=True) / count
        centred = torch.where(history.there, history.y - mean, 0.0)
        variance = (centred**2).sum(1, keepdim=True)
        place = torch.arange(history.y.shape[1])[:, None] - torch.arange(1, season + 1)  # (T, S)
        earlier = torch.where(place >= 0, centred[:, place.clamp(min=0)], 0.0)  # (B, T, S)
        acf = (centred[..., None] * earlier).sum(1) / torch.where(variance > 0, variance, 1.0)
        limit = 1.645 * ((1 + 2 * (acf[:, :-1] ** 2).sum(1, keepdim=True)) / count).sqrt()
        return (acf[:, -1:].abs() > limit) & (variance > 0) & (count >= 3 * season)


def tsb_of(history: History, horizon: int, rate: RNN) -> Tensor:
    """The mean demand a step, as `memfold.runtime.forecasting.demand.tsb`, (B, K).

    Args:
        rate: the average of whether something is sold, by `smoothing_rate`.
    """
    sold = history.there & (history.y > 0)
    total = sold.sum(1, keepdim=True)
    often = total / history.count
    x = torch.where(history.there, sold.double(), often).float()
    _, last = rate(x.T[..., None], often.float()[None].contiguous())
    # The average of sizes moves when something is sold: a value counts by how much is sold after it.
    demand = torch.where(sold, history.y, 0.0)
    later = total - sold.cumsum(1)
    size = history.y.sum(1, keepdim=True) / total.clamp(min=1) * (1 - RATE) ** total
    size = size + (RATE * (1 - RATE) ** later * demand).sum(1, keepdim=True)
    mean: Tensor = last[0].double() * size
    return mean.expand(-1, horizon)


def _by_phase(values: Tensor, known: Tensor, phase: Tensor, season: int) -> Tensor:
    """Means of values ``(B, T)`` by their phase, (B, S); of none no number."""
    empty = torch.zeros(values.shape[0], season, dtype=values.dtype)
    return empty.scatter_add(1, phase, values) / empty.scatter_add(1, phase, known.to(values.dtype))


def _smoothing(factors: Sequence[float]) -> RNN:
    """Exponential smoothing by every factor as a plain recurrent layer: h + a (x - h), for x from 0 on."""
    layer = RNN(1, len(factors), nonlinearity="relu", bias=False)
    values = torch.tensor(factors)
    layer.load_state_dict({"weight_ih_l0": values[:, None], "weight_hh_l0": torch.diag(1 - values)})
    return layer.requires_grad_(False).eval()


def smoothing_rate() -> RNN:
    """The layer that `tsb_of` takes."""
    return _smoothing([RATE])
