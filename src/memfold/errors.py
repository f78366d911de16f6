"""The error a person sees: what was wrong, where, and what to do.

The command line prints it in one line and exits with 2.
"""

__all__ = ["InputError"]


class InputError(ValueError):
    """Data, a model file or an option that memfold cannot work with."""
