"""The lab: long-lag experiments that show what gates are for, each in minutes on a CPU."""

from memfold.lab.record import Record
from memfold.lab.run import run_lab

__all__ = ["Record", "run_lab"]
