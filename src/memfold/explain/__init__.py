"""See inside: every gate at every step, what a memory is made of, what an answer owes to each input, what if.

- `Trace`: named arrays of a model's recurrent layers, to file and back.
- `account`, `half_life`: what a memory is made of, and how long it lasts.
- `gradient_flow`, `integrated_gradients`, `occlusion`: what a score owes to each step.
- `what_if` with `Clamp`, `Ablate`, `Edit`: the output under another gate, without a unit, from another memory.
- `find_units`, `text_features`: units that follow something a person can name.
- `explained`: all of it for one input of a task's model, and `write_explanation` its page.

What a task shows of an input is the task's own: the module `view` in its folder.
"""

from memfold.explain.attribution import integrated_gradients, occlusion
from memfold.explain.explanation import Explanation, explained
from memfold.explain.ledger import Account, account, half_life
from memfold.explain.report import write_explanation
from memfold.explain.stepping import gradient_flow, replayed
from memfold.explain.trace import LayerTrace, Trace, traced
from memfold.explain.units import Follower, find_units, text_features
from memfold.explain.what_if import Ablate, Clamp, Edit, what_if

__all__ = [
    "Ablate",
    "Account",
    "Clamp",
    "Edit",
    "Explanation",
    "Follower",
    "LayerTrace",
    "Trace",
    "account",
    "explained",
    "find_units",
    "gradient_flow",
    "half_life",
    "integrated_gradients",
    "occlusion",
    "replayed",
    "text_features",
    "traced",
    "what_if",
    "write_explanation",
]
