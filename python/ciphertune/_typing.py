"""The types of arguments."""

import os
from collections.abc import Callable
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

#: Doubles.
Matrix: TypeAlias = npt.NDArray[np.float64]
#: A function of (step, done, of).
Progress: TypeAlias = Callable[[str, int, int | None], object]
Path: TypeAlias = str | os.PathLike[str]


class Readable(Protocol):
    """A file opened for reading in binary mode, or what can be read like one."""

    def read(self) -> bytes: ...


class Writable(Protocol):
    """A file opened for writing in binary mode, or what can be written like one."""

    def write(self, content: bytes, /) -> object: ...


#: A document that is given.
Given: TypeAlias = bytes | bytearray | Path | Readable
#: Where a document goes.
Wanted: TypeAlias = Path | Writable
