"""The command in a recording, by a file that `memfold export` wrote: python command.py model.onnx yes.wav"""

import json
import sys

import numpy as np
import onnxruntime
import soundfile

model, recording = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
around = json.loads(session.get_modelmeta().custom_metadata_map["recipe"])["around"]

samples, rate = soundfile.read(recording, dtype="float32", always_2d=True)
samples = samples.mean(1)  # of all channels
if rate != around["sound"]["rate"] or len(samples) < around["sound"]["least_samples"]:
    sys.exit(f"{recording}: {len(samples)} samples at {rate} a second; the model takes {around['sound']}")

inputs = {"samples": samples[None], "lengths": np.array([len(samples)])}
(probabilities,) = session.run(["probabilities"], inputs)
best = probabilities[0].argmax()
print(f"{around['classes'][best]} {probabilities[0, best]:.4f}")
