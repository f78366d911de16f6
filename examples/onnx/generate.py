"""Go on from a text by an exported generator of characters: python generate.py m.onnx "ROMEO:" 200 [temperature]"""

import json
import sys

import numpy as np
import onnxruntime

file, prompt, length, *given = sys.argv[1:]
session = onnxruntime.InferenceSession(file)
recipe = json.loads(session.get_modelmeta().custom_metadata_map["recipe"])
print(*(f"not in the file: {what}\n" for what in recipe["left_out"]), sep="", end="", file=sys.stderr)
characters, draws = recipe["around"]["characters"], recipe["around"]["draws"]
temperature = float(given[0]) if given else draws["temperature"]
numbers = {character: number for number, character in enumerate(characters["text"], characters["first"])}
tokens = [numbers.get(character, characters["unknown"]) for character in prompt] or recipe["around"]["start"]
layers, _, hidden = session.get_inputs()[1].shape
h = c = np.zeros((layers, 1, hidden), np.float32)
random = np.random.default_rng()
last_of_prompt = len(tokens) - 1
for place in range(last_of_prompt + int(length)):
    logits, h, c = session.run(None, {"tokens": np.array([[tokens[place]]]), "h": h, "c": c})
    if place >= last_of_prompt:
        logits = logits[0, 0]
        logits[draws["never"]] = -np.inf
        noise = random.gumbel(size=logits.shape)  # with it, the largest one is a draw by the probabilities
        tokens.append(int((logits + temperature * noise).argmax()))
        print(characters["text"][tokens[-1] - characters["first"]], end="", flush=True)
