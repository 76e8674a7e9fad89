"""What goes wrong, and what one should know: exceptions and warnings, with the words of the command line."""

__all__ = ["CiphertuneError", "CiphertuneWarning", "DiskFullError", "FailedError", "InputError"]


class CiphertuneError(Exception):
    """The base of the exceptions below. Their messages name the remedy."""


class InputError(CiphertuneError, ValueError):
    """Arguments, or a document that was given, cannot be used."""


class FailedError(CiphertuneError, RuntimeError):
    """Something failed that was none of the user's doing."""


class DiskFullError(CiphertuneError, OSError):
    """There is no room in a file system."""


class CiphertuneWarning(UserWarning):
    """Something that the user should know and may have to act upon."""
