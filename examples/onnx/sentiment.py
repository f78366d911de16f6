"""The class of a text in a script with spaces by an exported classifier: python sentiment.py m.onnx "a good film"."""

import json
import re
import sys
import unicodedata
import zlib

import numpy as np
import onnxruntime

session, text = onnxruntime.InferenceSession(sys.argv[1]), sys.argv[2]
around = json.loads(session.get_modelmeta().custom_metadata_map["recipe"])["around"]
tokens, grams, ngrams = around["tokens"], around["grams_of_tokens"], around["ngrams"]
assert not re.search(grams["with_neighbours"] if "parts" in ngrams else "", text), "only scripts with spaces are read"
row = re.findall(tokens["pattern"], unicodedata.normalize(tokens["normal"], text).lower())[: tokens["most"]]
ids = [tokens["words"].index(word) if word in tokens["words"] else 0 for word in ["", *row]]  # "" is the padding
marked = list(enumerate((f"<{word}>" for word in row), 1))
parts = {(k, w[i : i + n]) for k, w in marked for n in grams["sizes"] if n < len(w) for i in range(len(w) - n + 1)}
place = {term: k for k, term in enumerate((kind, term) for kind in ngrams for term in ngrams[kind]["terms"])}
there = []  # the places of all n-grams of words, and of parts of words with a space before and after
for kind, its in ngrams.items():
    rows = [re.findall(its["pattern"], text.lower())] if kind == "words" else [f" {w} " for w in text.lower().split()]
    pieces = [its["between"].join(r[i : i + n]) for r in rows for n in its["sizes"] for i in range(len(r) - n + 1)]
    there += [place[kind, piece] for piece in pieces if (kind, piece) in place]
given = dict(zip(("columns", "counts"), np.unique(np.array(there, np.int64), return_counts=True), strict=True))
given |= {"texts": 0 * given["columns"], "words": ids, "kinds": [[*range(1, len(ids))] or [0]], "lengths": [len(row)]}
given |= {"grams": [zlib.crc32(p.encode()) % grams["buckets"] for _, p in parts], "gram_kinds": [k for k, _ in parts]}
(p,), *_ = session.run(None, {k: np.array(v, np.float32 if k == "counts" else np.int64) for k, v in given.items()})
print(f"{around['classes'][p.argmax()]}\t{p.max():.4f}")
