"""Labels as the head calls them: whole numbers and words, as the command line reads them."""

import numpy as np

from .errors import InputError


def class_names(classes):
    """The names of distinct labels, in their order."""
    if classes.dtype.kind not in "biufUOT":
        raise TypeError(f"labels of type {classes.dtype} are not supported: give whole numbers or words")
    if classes.dtype.kind in "iuf":
        return [str(int(name)) for name in classes]
    words = [str(name) for name in classes]
    if len(set(words)) < len(words):
        raise InputError("two classes have the same name: give labels that differ as text")
    return words


def labels(y):
    """An array of labels, one a row."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise InputError(f"y has the shape {y.shape}: give one label a row, in one dimension")
    if y.dtype.kind == "f" and not (np.isfinite(y) & (y == np.floor(y))).all():
        raise InputError("Unknown label type: labels are whole numbers or words, and these are measurements")
    return y


def label_names(y):
    """The name of every label."""
    classes, places = np.unique(labels(y), return_inverse=True)
    words = class_names(classes)
    return [words[place] for place in places.ravel()]
