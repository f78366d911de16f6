"""Files that say where things are in images, a module a format, as they are written."""

from memfold.data.annotations.finding import find_parts, read_source
from memfold.data.annotations.source import Annotated, Source, box_of

__all__ = ["Annotated", "Source", "box_of", "find_parts", "read_source"]
