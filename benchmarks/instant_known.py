"""The bundled forecaster on two named sets by their own protocols, without a fit; each test part is scored once.

M4 hourly: the competition's OWA, of one forecast of 48 hours a series. ETTh1: the mean square error of Zhou et al. 2021
(sec. 4.1), from every hour of the 2,880 that are scored, over seven columns that are divided by their deviation in the
first 8,640 hours; beside it the last day again.

    python benchmarks/instant_known.py
"""

import json

import numpy as np

from memfold.data.datasets import load_split
from memfold.runtime.forecasting.blend import mean_of
from memfold.runtime.forecasting.classical import seasonal_unit
from memfold.runtime.forecasting.instant import CONTEXTS, InstantForecaster
from memfold.runtime.forecasting.size import LEVELS
from memfold.tasks.forecast.baselines import naive2

SEASONS = (24, 168)
TRAIN, VALID, TEST = 8_640, 2_880, 2_880  # hours of ETTh1
HORIZONS = (24, 48, 96)
AT_ONCE = 480  # origins


def m4_hourly(forecaster: InstantForecaster) -> dict[str, float]:
    """The OWA of the medians (Makridakis, Spiliotis & Assimakopoulos 2020, sec. 2.3)."""
    split, horizon, season = load_split("m4-hourly"), 48, SEASONS[0]
    histories = split.train.values
    futures = np.stack([y[-horizon:] for y in split.whole.values])
    medians = forecaster.quantiles(histories, horizon, [SEASONS] * len(histories))[..., len(LEVELS) // 2]
    simple = np.stack([naive2(y, horizon, season) for y in histories])
    unit = np.array([seasonal_unit(y[None], season)[0] for y in histories])
    errors = {}
    for name, forecast in (("ours", medians), ("naive2", simple)):
        away = np.abs(futures - forecast)
        percent = 200 * (away / (np.abs(futures) + np.abs(forecast))).mean()
        errors[name] = (percent, (away.mean(1) / unit).mean())
    (percent, scaled), (percent_of_naive, scaled_of_naive) = errors["ours"], errors["naive2"]
    owa = (percent / percent_of_naive + scaled / scaled_of_naive) / 2
    return {"smape": float(percent), "mase": float(scaled), "owa": float(owa)}


def etth1(forecaster: InstantForecaster) -> dict[str, dict[str, float]]:
    """The mean square errors of the means, and of the last day again, by horizon."""
    columns = [y[: TRAIN + VALID + TEST] for y in load_split("etth1").whole.values]
    results = {}
    for horizon in HORIZONS:
        ours, naive = [], []
        for y in columns:
            deviation = y[:TRAIN].std()
            origins = range(TRAIN + VALID, TRAIN + VALID + TEST - horizon + 1)
            for start in range(0, len(origins), AT_ONCE):
                some = origins[start : start + AT_ONCE]
                future = np.stack([y[at : at + horizon] for at in some])
                past = [y[at - CONTEXTS[-1] : at] for at in some]
                mean = mean_of(forecaster.quantiles(past, horizon, [SEASONS] * len(past)))
                day = np.stack([np.resize(its[-SEASONS[0] :], horizon) for its in past])
                ours.append((((mean - future) / deviation) ** 2).mean(1))
                naive.append((((day - future) / deviation) ** 2).mean(1))
        results[str(horizon)] = {
            "mse": float(np.concatenate(ours).mean()),
            "last day": float(np.concatenate(naive).mean()),
        }
    return results


if __name__ == "__main__":
    bundled = InstantForecaster.bundled()
    print(json.dumps({"m4-hourly": m4_hourly(bundled), "etth1": etth1(bundled)}, indent=1))
