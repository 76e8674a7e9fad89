"""Warnings that point at the line of the user's which called the package."""

import sys
import warnings

from .errors import CiphertuneWarning


def warn(message: str) -> None:
    """Warns of something that the native module found."""
    level, frame = 1, sys._getframe().f_back
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, CiphertuneWarning, stacklevel=level + 1)
