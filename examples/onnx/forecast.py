"""Forecast a series: python forecast.py model.onnx series.csv (columns ds, ISO dates evenly apart, and y)."""

import csv
import json
import sys
from datetime import datetime

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
around = json.loads(session.get_modelmeta().custom_metadata_map["recipe"])["around"]
calendar, context, horizon = around["calendar"], around["window"]["context"], around["window"]["horizon"]
with open(sys.argv[2], newline="", encoding="utf-8") as file:
    rows = [(datetime.fromisoformat(row["ds"]), float(row["y"])) for row in csv.DictReader(file)]
last, step = rows[-1][0], rows[-1][0] - rows[-2][0]
y = np.array([value for _, value in rows][-around["history"]["most"] :])
times, known = [last + number * step for number in range(1 - context, horizon + 1)], []
for time in times:
    day, year = ((time.hour * 60 + time.minute) / 1440, time.timetuple().tm_yday / 365.25)
    row = [np.sin(2 * np.pi * day), np.cos(2 * np.pi * day)] if calendar["day"] else []
    row += [float(time.isoweekday() == number) for number in range(1, 8)] if calendar["week"] else []
    known.append(row + ([np.sin(2 * np.pi * year), np.cos(2 * np.pi * year)] if calendar["year"] else []))
inputs = {"y": y[None]} | ({"known": np.array([known], np.float32)} if known[0] else {})
quantiles, forecast = session.run(["quantiles", "forecast"], inputs)
for time, middle, (low, *_, high) in zip(times[-horizon:], forecast[0], quantiles[0], strict=True):
    print(time.isoformat(), f"{middle:.6g}", f"{low:.6g}", f"{high:.6g}", sep=",")
