"""What an exported detector without a calendar expects of the rows of a CSV: python anomaly.py m.onnx <readings.csv"""

import csv
import json
import sys

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1])
around = json.loads(session.get_modelmeta().custom_metadata_map["recipe"])["around"]
features, scale, band = around["features"], around["scale"], around["error"]["band80"]
if features["calendar"]:
    sys.exit("this example is for detectors without a calendar, whose features are the values alone")
h = c = np.zeros((1, 1, session.get_inputs()[1].shape[2]), np.float32)
x = level = deviation = np.zeros(len(features["variables"]))  # x: the last values in units from their running level
unit = np.full_like(level, scale["least"])
for points, row in enumerate(csv.DictReader(sys.stdin), 1):
    centre, log_sigma, h, c = session.run(None, {"x": x[None, None].astype(np.float32), "h": h, "c": c})
    places = centre[0, 0] + band * np.exp(log_sigma[0, 0]) * np.array([[0], [-1], [1]])
    expected, low, high = level + unit * np.sinh(places.clip(-scale["reach"], scale["reach"]))
    values = np.array([float(row[name]) for name in features["variables"]])
    print(*values, *expected, *low, *high, sep=",")
    bound = scale["outlier"] * unit if points > scale["outlier_after"] else np.inf
    away = (values - level).clip(-bound, bound)
    weight = 1 / min(points, scale["forget"])
    level, deviation = level + weight * away, deviation + weight * (abs(away) - deviation)
    unit = np.maximum(np.maximum(deviation, scale["floor"] * abs(level)), scale["least"])
    x = np.arcsinh((values - level) / unit)
