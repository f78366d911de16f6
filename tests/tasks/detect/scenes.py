"""Pictures of bright squares and discs on noise, with their boxes, in Pascal VOC's and in COCO's layout."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("disc", "square")
Scene = tuple[np.ndarray, list[tuple[str, tuple[int, int, int, int]]]]  # pixels; classes, and left, top, right, bottom


def scene(rng: np.random.Generator, width: int = 80, height: int = 64) -> Scene:
    pixels = rng.normal(70, 12, (height, width, 3))
    things: list[tuple[str, tuple[int, int, int, int]]] = []
    for place in rng.permutation(6)[: rng.integers(1, 5)]:  # of a grid, so that they do not hide each other
        side = int(rng.integers(12, 22))
        left = int(place % 3 * width // 3 + rng.integers(0, width // 3 - side + 1))
        top = int(place // 3 * height // 2 + rng.integers(0, height // 2 - side + 1))
        label = CLASSES[int(rng.integers(2))]
        down, across = np.mgrid[:side, :side] + 0.5 - side / 2
        inside = down**2 + across**2 <= side**2 / 4 if label == "disc" else np.ones((side, side), bool)
        pixels[top : top + side, left : left + side][inside] += 110
        things.append((label, (left, top, left + side, top + side)))
    return pixels.clip(0, 255).astype(np.uint8), things


def scenes(count: int, seed: int = 0) -> list[Scene]:
    rng = np.random.default_rng(seed)
    return [scene(rng) for _ in range(count)]


def write_voc(folder: Path, made: list[Scene], first: int = 0) -> Path:
    """A folder with ``Annotations`` and ``JPEGImages``; the images are PNG files."""
    for name in ("Annotations", "JPEGImages"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, (pixels, things) in enumerate(made, start=first):
        name = f"{number:03}"
        Image.fromarray(pixels).save(folder / "JPEGImages" / f"{name}.png")
        objects = [voc_object(label, *corners) for label, corners in things]
        size = f"<size><width>{pixels.shape[1]}</width><height>{pixels.shape[0]}</height></size>"
        text = f"<annotation><filename>{name}.png</filename>{size}{''.join(objects)}</annotation>"
        (folder / "Annotations" / f"{name}.xml").write_text(text, encoding="utf-8")
    return folder


def voc_object(label: str, *corners: float) -> str:
    named = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    box = "".join(f"<{name}>{value}</{name}>" for name, value in named)
    return f"<object><name>{label}</name><bndbox>{box}</bndbox></object>"


def coco_of(made: list[Scene]) -> dict[str, list[dict[str, object]]]:
    """The content of a COCO file for images ``000.png``, ``001.png``, ..."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, (pixels, things) in enumerate(made):
        shape = {"width": pixels.shape[1], "height": pixels.shape[0]}
        images.append({"id": 100 + number, "file_name": f"{number:03}.png", **shape})
        for label, (left, top, right, bottom) in things:
            own = {"image_id": 100 + number, "category_id": 7 + CLASSES.index(label)}
            annotations.append({"id": len(annotations), **own, "bbox": [left, top, right - left, bottom - top]})
    categories: list[dict[str, object]] = [{"id": 7 + k, "name": name} for k, name in enumerate(CLASSES)]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_coco(folder: Path, made: list[Scene]) -> Path:
    """A file ``boxes.json`` with its images beside it; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (pixels, _) in enumerate(made):
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    (folder / "boxes.json").write_text(json.dumps(coco_of(made)), encoding="utf-8")
    return folder / "boxes.json"
