"""The network's boxes and the commonest ones in one answer, by how much either is worth."""

from collections.abc import Sequence

import numpy as np

from memfold.tasks.detect.scores import LEAST_OVERLAP, Boxes, overlaps, precision_of

__all__ = ["best_share", "blended"]

SHARES = (1.0, 0.9, 0.75, 0.5, 0.25, 0.1, 0.0)  # of the network, that are tried


def blended(network: Boxes, common: Boxes, share: float) -> Boxes:
    """Boxes of an image by both, the highest scores first.

    The scores of one are lowered by the odds of the shares. A common box that the network has found as well, and is
    surer of, is left out.

    Args:
        share: of the network, 0 to 1; at either end there is only one of them.
    """
    if share == 1:
        return network
    if share == 0:
        order = np.argsort(-common.scores, kind="stable")
        return Boxes(common.boxes[order], common.labels[order], common.scores[order])
    ours = network.scores * np.float32(min(1.0, share / (1 - share)))
    theirs = common.scores * np.float32(min(1.0, (1 - share) / share))
    again = overlaps(common.boxes, network.boxes) >= LEAST_OVERLAP
    again &= (common.labels[:, None] == network.labels) & (theirs[:, None] <= ours)
    new = ~again.any(1)
    scores = np.concatenate([ours, theirs[new]])
    order = np.argsort(-scores, kind="stable")
    boxes = np.concatenate([network.boxes, common.boxes[new]])[order]
    return Boxes(boxes, np.concatenate([network.labels, common.labels[new]])[order], scores[order])


def best_share(truth: Sequence[Boxes], network: Sequence[Boxes], common: Sequence[Boxes], classes: int) -> float:
    """The network's least share with which images' boxes are found as well as with the best one, but for chance.

    The network's weights were the best of many on these very images, which flatters it; the common boxes were not
    chosen by them. So of shares that are equal within a standard error the one that leans on them more is taken.

    Args:
        truth, network, common: the boxes of each image, which neither was fitted to.
    """
    precisions = [
        precision_of(truth, [blended(*pair, share) for pair in zip(network, common, strict=True)], classes).map50
        for share in SHARES
    ]
    best, boxes = max(precisions), sum(int(true.counted.sum()) for true in truth)
    chance = (best * (1 - best) / boxes) ** 0.5  # as if every box were found by a coin
    return min(share for share, precision in zip(SHARES, precisions, strict=True) if precision >= best - chance)
