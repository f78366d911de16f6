"""Go on from a text with an exported generator of characters: python generate.py model.onnx "ROMEO:" 200 [temperature]"""

import json
import sys

import numpy as np
import onnxruntime


def main(file: str, prompt: str, length: str, temperature: str | None = None) -> None:
    session = onnxruntime.InferenceSession(file)
    recipe = json.loads(session.get_modelmeta().custom_metadata_map["recipe"])
    print(*(f"not in the file: {what}" for what in recipe["left_out"]), sep="\n", end="\n", file=sys.stderr)
    characters, draws = recipe["around"]["characters"], recipe["around"]["draws"]
    heat = float(draws["temperature"] if temperature is None else temperature)
    numbers = {character: number for number, character in enumerate(characters["text"], characters["first"])}
    tokens = [numbers.get(character, characters["unknown"]) for character in prompt] or recipe["around"]["start"]
    layers, _, hidden = session.get_inputs()[1].shape
    h = c = np.zeros((layers, 1, hidden), np.float32)
    for place in range(len(tokens) + int(length) - 1):
        logits, h, c = session.run(None, {"tokens": np.array([[tokens[place]]]), "h": h, "c": c})
        if place < len(tokens) - 1:
            continue  # still reading the prompt
        logits = logits[0, 0].astype(np.float64)
        logits[draws["never"]] = -np.inf
        noise = np.random.default_rng().gumbel(size=logits.shape)  # the largest of the sum is a draw
        tokens.append(int((logits + heat * noise).argmax()))
        print(characters["text"][tokens[-1] - characters["first"]], end="", flush=True)


main(*sys.argv[1:])
