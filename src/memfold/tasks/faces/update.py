"""What an update must know of a recogniser of faces."""

import copy
from typing import TYPE_CHECKING, Any

from memfold.data.images import joined as of_all
from memfold.display import say
from memfold.tasks.vision.updating import SCALING, joined, keys, take

if TYPE_CHECKING:
    from memfold.data.images import Images
    from memfold.tasks.faces.task import FaceRecognizer
    from memfold.tasks.fit_data import FitData

__all__ = ["APART", "SCALING", "begin", "earlier_scores", "instead", "joined", "keys", "take"]

APART = ("gallery",)


def begin(task: "FaceRecognizer", before: "FaceRecognizer") -> None:
    """Have as many networks as the earlier model, of which too few people left one."""
    task.members = len(before.network_.members)


def earlier_scores(before: "FaceRecognizer", examples: "Images") -> dict[str, float]:
    """The earlier model's, beside its gallery; to it new people are strangers."""
    return before.scores(examples, before.answer(examples))


def instead(task: "FaceRecognizer", data: "FitData") -> bool:
    """Without the old pictures, whose places in the gallery would have to be found anew, put the new ones there and
    leave the network as it is; returns whether that was done."""
    assert task.begun is not None
    if task.begun.rehearses:
        return False
    before: Any = copy.deepcopy(task.begun.model)
    say("the old pictures are not there to be put in the gallery anew: the new ones are added, the network stays")
    kept = task.begun
    task.become(before.with_images(before.read(of_all([data.train, data.valid]))))
    vars(task)["begun"] = kept
    return True
