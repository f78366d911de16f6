"""The rate that a model works at: the one that was set, else that of the recordings it is fitted to."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import soundfile

from memfold.data.audio import Source, Waveform
from memfold.data.features import LogMel
from memfold.tasks.speech.recordings import check_features

__all__ = ["RateOfRecordings", "usual_rate"]

LEAST, MOST = 8000, 16_000  # samples a second that are chosen: speech has little above half of the latter
BELOW = 0.1  # of the recordings may have a lower rate, for which a warning is said
LOOKED_AT = 1000  # recordings, evenly over all


def usual_rate(sources: Sequence[Source]) -> int:
    """The rate that nine tenths of the recordings have at least; 16,000 where none can be read."""
    rates = sorted(rate for source in sources[:: -(-len(sources) // LOOKED_AT)] if (rate := _rate_of(source)))
    return min(max(rates[int(BELOW * len(rates))], LEAST), MOST) if rates else MOST


def _rate_of(source: Source) -> int:
    if isinstance(source, Waveform):
        return source.rate
    try:
        return int(soundfile.info(Path(source)).samplerate)
    except (soundfile.LibsndfileError, OSError, TypeError, ValueError):
        return 0


class RateOfRecordings:
    """A task with a parameter ``rate`` that is left to the recordings, which are read before there is a plan."""

    if TYPE_CHECKING:
        rate: int | None
        bins: int

        @property
        def chosen(self) -> Any: ...

    found_rate: int | None = None  # of what was read to be trained on

    @property
    def sound_rate(self) -> int:
        """Samples a second."""
        return self.chosen.rate or self.found_rate or MOST

    @property
    def features(self) -> LogMel:
        """The frames that the network takes."""
        return LogMel(self.sound_rate, self.bins)

    def find_rate(self, sources: Sequence[Source]) -> None:
        """Look at recordings that are to be trained on, unless a rate was set or found."""
        if self.chosen.rate is None and self.found_rate is None and sources:
            self.found_rate = usual_rate(sources)
            check_features(self.features)
