"""The things in a picture: `python detect.py model.onnx picture.jpg`; label, score, x, y, width, height in pixels."""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1])
around = json.loads(session.get_modelmeta().custom_metadata_map["recipe"])["around"]
picture, image = around["picture"], Image.open(sys.argv[2])
if image.mode.startswith(("I", "F")):
    sys.exit(f"{sys.argv[2]}: of more than 8 bits; save it with 8")
turn = -1 if image.getexif().get(0x0112, 1) > 4 else 1  # width and height change places, as the camera noted
shapes = [image.size[::turn]]
for size in (picture["read_size"], picture["size"]):  # first as pictures were read to be trained on
    shapes.append(tuple(max(1, round(side / (max(shapes[-1]) / size))) for side in shapes[-1]))
image.draft("RGB", shapes[1][::turn])  # of a JPEG no more than is needed
image = ImageOps.exif_transpose(image).convert("RGB").resize(shapes[1], Image.Resampling.BILINEAR)
image = image.resize(shapes[2], Image.Resampling.BILINEAR)
pixels = np.asarray(image).transpose(2, 0, 1)[None]
height, width = (-side % picture["multiple"] for side in pixels.shape[2:])
given = {"pixels": np.pad(pixels, ((0, 0), (0, 0), (0, height), (0, width)))}
given |= {"inside": np.array(shapes[2:]), "sizes": np.array(shapes[:1])}
answer = session.run(["boxes", "labels", "scores"], {one.name: given[one.name] for one in session.get_inputs()})
for box, label, score in zip(*(one[0] for one in answer), strict=True):
    if score >= around["thresholds"][label] and score > 0:
        print(around["classes"][label], f"{score:.6f}", *(f"{side:.3f}" for side in box))
