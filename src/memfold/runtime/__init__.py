"""Models that answer without torch: NumPy, safetensors and the engine.

``load(DIR)`` gives a pipeline, whose ``answer`` takes a whole input and whose ``open`` a session for what comes step by
step.
"""

from memfold.runtime.pipeline import Pipeline, Session, load
from memfold.runtime.recipe import Part, Recipe

__all__ = ["Part", "Pipeline", "Recipe", "Session", "load"]
