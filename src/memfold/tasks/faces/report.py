"""Pictures of faces beside the ones that are most like them."""

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from memfold.data.images import Images
from memfold.page import Section
from memfold.tasks.faces.scores import Compared
from memfold.tasks.vision.pictures import SIDE, thumbnail
from memfold.words import Words

if TYPE_CHECKING:
    from memfold.tasks.faces.task import FaceRecognizer

__all__ = ["nearest_section"]

MOST_SHOWN = 12


@dataclass(frozen=True)
class _Pairs:
    """Pictures in pairs, as URLs, with the text of each pair."""

    pairs: list[tuple[str, str, str]]

    def html(self) -> str:
        image = '<img src="{}" alt="" width="{side}" height="{side}" style="object-fit:contain">'
        figures = "".join(
            f'<figure style="margin:0;max-width:{2 * SIDE + 4}px">'
            f"{image.format(one, side=SIDE)}{image.format(other, side=SIDE)}"
            f'<figcaption style="font-size:0.85rem">{escape(text)}</figcaption></figure>'
            for one, other, text in self.pairs
        )
        return f'<div style="display:flex;flex-wrap:wrap;gap:16px">{figures}</div>'


def nearest_section(model: "FaceRecognizer", examples: Images, answers: Compared, words: Words) -> list[Section]:
    """Pictures beside the most similar other ones that were scored, those of another person first."""
    if len(examples.labels) < 2:
        return []
    similar = answers.measure(answers.points, answers.points).copy()
    np.fill_diagonal(similar, -np.inf)
    nearest = similar.argmax(1)
    right = np.array([examples.labels[row] == examples.labels[place] for row, place in enumerate(nearest)])
    order = np.argsort(right, kind="stable")[:MOST_SHOWN]
    pairs = [
        (
            thumbnail(examples.pixels[row]),
            thumbnail(examples.pixels[nearest[row]]),
            f"{examples.labels[row]} / {examples.labels[nearest[row]]}: {similar[row, nearest[row]]:.3f}",
        )
        for row in order.tolist()
    ]
    text = words("nearest faces text", right=right.sum(), all=len(right), threshold=model.known_threshold_)
    return [(words("nearest faces"), text, _Pairs(pairs))]
