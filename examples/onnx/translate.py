"""Translate by an exported translator, the likeliest word at each step: python translate.py folder "A dog runs." """

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from sentencepiece import SentencePieceProcessor

folder, sentence = Path(sys.argv[1]), sys.argv[2]
recipe = json.loads((folder / "config.json").read_text(encoding="utf-8"))
print(*(f"not in the folder: {what}\n" for what in recipe["left_out"]), sep="", end="", file=sys.stderr)
search, subwords = recipe["around"]["beam_search"], recipe["around"]["subwords"]
source, target = (SentencePieceProcessor(model_file=str(folder / subwords[side])) for side in ("source", "target"))
encoder, decoder = (onnxruntime.InferenceSession(folder / f"{part}.onnx") for part in ("encoder", "decoder"))
ids = source.encode(sentence) or sys.exit("nothing to translate")
values, padding, first = encoder.run(None, {"source": np.array([ids]), "lengths": np.array([len(ids)])})
named = {given.name: given.shape for given in decoder.get_inputs()}
states = {name: np.zeros((named[name][0], 1, named[name][2]), np.float32) for name in ("h", "c", "upper_h", "upper_c")}
states |= {name: first for name, output in recipe["around"]["states"].items()}
words = [search["begin"]]
while words[-1] != search["end"] and len(words) < search["limit"]["times"] * len(ids) + search["limit"]["more"]:
    given = {"values": values, "padding": padding, "words": np.array([words[-1:]]), **states}
    log_p, *after, attention = decoder.run(None, given)
    states = dict(zip(states, after, strict=True))
    log_p[:, search["never"]] = -np.inf
    words.append(int(log_p.argmax()))
print(target.decode([word for word in words if word not in (search["begin"], search["end"])]))
