"""Labels as the head calls them: whole numbers and words, as the command line reads them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError


def class_names(classes: npt.NDArray[Any]) -> list[str]:
    """The names of distinct labels, in their order."""
    if classes.dtype.kind not in "biufUOT":
        raise TypeError(f"labels of type {classes.dtype} are not supported: give whole numbers or words")
    if classes.dtype.kind in "iuf":
        return [str(int(name)) for name in classes]
    words = [str(name) for name in classes]
    if len(set(words)) < len(words):
        raise InputError("two classes have the same name: give labels that differ as text")
    return words


def labels(y: npt.ArrayLike) -> npt.NDArray[Any]:
    """An array of labels, one a row."""
    array = np.asarray(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(f"y has the shape {array.shape}: give one label a row, in one dimension")
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.floor(array))).all():
        raise InputError("Unknown label type: labels are whole numbers or words, and these are measurements")
    return array


def label_names(y: npt.ArrayLike) -> list[str]:
    """The name of every label."""
    classes, places = np.unique(labels(y), return_inverse=True)
    words = class_names(classes)
    return [words[place] for place in places.ravel()]
