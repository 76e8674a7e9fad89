"""How far a training is: a function of the user's, or bars."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ._typing import Progress


@contextmanager
def reported(progress: bool | Progress | None) -> Iterator[Progress | None]:
    """What the native module calls with (step, done, of), or None."""
    if progress is None or progress is False:
        yield None
        return
    if progress is True:
        bars = Bars()
        try:
            yield bars
        finally:
            bars.close()
        return
    if callable(progress):
        yield progress
        return
    raise TypeError(
        f"progress={progress!r} is not possible: give True for bars, or a function of (step, done, of)"
    )


class Bars:
    """A bar for every step, with tqdm where it is installed; else a line."""

    def __init__(self) -> None:
        self._tqdm: Any = None
        self._bar: Any = None
        self._step: str | None = None
        try:
            self._tqdm = importlib.import_module("tqdm.auto").tqdm
        except ImportError:
            pass

    def __call__(self, step: str, done: int, of: int | None) -> None:
        if step == "iteration":
            # Told between the units of the training, whose bar it would tear in two.
            if self._bar is not None:
                self._bar.set_postfix_str(f"iteration {done} of {of}", refresh=False)
            return
        if step != self._step:
            self.close()
            self._step = step
            if self._tqdm is None:
                print(f"ciphertune: {step}", file=sys.stderr, flush=True)
            else:
                self._bar = self._tqdm(desc=step, total=of, leave=False, bar_format=None if of else "{desc} {elapsed}")
        if self._bar is not None:
            self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Ends the last bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
