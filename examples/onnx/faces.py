"""Who is on a picture, by what `memfold export MODEL --to onnx --out model.onnx` wrote, as `classify.py` reads it.

python faces.py model.onnx face.jpg
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1])
around = json.loads(session.get_modelmeta().custom_metadata_map["recipe"])["around"]
picture, image = around["picture"], Image.open(sys.argv[2])
square, mode = (picture["read_size"],) * 2, "L" if picture["colours"] == 1 else "RGB"
image.draft(image.mode, (2 * square[0], 2 * square[0]))  # of a JPEG no more than is needed
if image.mode.startswith(("I", "F")):
    sys.exit(f"{sys.argv[2]}: of more than 8 bits; save it with 8")
image = ImageOps.exif_transpose(image)
if image.has_transparency_data:
    image = Image.alpha_composite(Image.new("RGBA", image.size, picture["transparent"]), image.convert("RGBA"))
image = image.convert(mode)
mean = np.asarray(image).mean((0, 1)).round().astype(int)
image = ImageOps.pad(image, square, Image.Resampling.LANCZOS, tuple(mean.tolist()) if mode == "RGB" else int(mean))
image = image.resize((picture["size"],) * 2, Image.Resampling.LANCZOS)
(similarity,) = session.run(["similarity"], {"pixels": np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)[None]})[0]
known = "known" if similarity.max() >= around["known_from"] else "unknown, most like"
print(around["gallery"][similarity.argmax()], f"{similarity.max():.6f}", known)
