"""What is said in a recording, by a file that `memfold export` wrote: python transcribe.py model.onnx speech.wav"""

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
if rate != around["sound"]["rate"] or len(samples) > rate * around.get("longest_seconds", np.inf):
    sys.exit(f"{recording}: {len(samples)} samples at {rate} a second; the model takes {around}")

inputs = {"samples": samples[None], "lengths": np.array([len(samples)])}
if "least_level" in around:  # of a model that reads in both directions
    inputs["least"] = np.array([around["least_level"]], np.float32)
log_p, steps = session.run(["log_p", "steps"], inputs)
labels = log_p[0, : steps[0]].argmax(1)  # the likeliest path: without repetitions and blanks it is the text
begins = np.append(True, labels[1:] != labels[:-1])[: len(labels)]
characters = [around["characters"][label - 1] for label in labels[begins] if label != around["ctc"]["blank"]]
print("".join(characters).strip())
