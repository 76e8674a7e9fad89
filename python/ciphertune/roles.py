"""Owner and server, each with what it may have: the steps of the command line, on documents.

A document is bytes, a path, or an object with `read`; where one is to be written, None gives bytes, a path is written
whole or not at all, and an object has `write`. They are those of the command line, which reads and writes the same.

>>> keys = Keys(Plan(rows=500, features=192, classes=10))      # owner
>>> owner = Owner(keys)
>>> job, record = owner.encrypt(X, y)
>>> model = Server(keys.evaluation_keys()).train(job)          # server: sees ciphertexts and evaluation keys
>>> head = owner.decrypt(model, record)                        # owner
"""

import os

import numpy.typing as npt

from ._features import column_names, features
from ._labels import label_names
from ._native import Head, Job, Keys, Record
from ._progress import reported
from ._typing import Given, Progress, Wanted

__all__ = ["Owner", "Server"]


class Owner:
    """Who has the data and the secret key.

    Parameters
    ----------
    keys : Keys
        Of a plan for tables of this shape.
    """

    def __init__(self, keys: Keys) -> None:
        if not isinstance(keys, Keys):
            raise TypeError(f"expected Keys, found {type(keys).__name__}: make some with Keys(plan), or Keys.load(folder)")
        self.keys = keys

    def encrypt(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        to: Wanted | None = None,
        *,
        force: bool = False,
        progress: bool | Progress | None = None,
    ) -> tuple[bytes | None, Record]:
        """Whitens and encrypts a table.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features: an array, a frame, or a tensor on the CPU. Names of a frame's columns are kept in the record.
        y : array-like of shape (n_samples,)
            Whole numbers or words.
        to : path or file, default=None
            Where the job goes.
        force : bool, default=False
            Replaces a file.
        progress : bool or callable, default=None
            As in `EncryptedLogisticRegression`.

        Returns
        -------
        job : bytes or None
            For the server; None if it went to `to`.
        record : Record
            What decryption needs. It holds rows of the table and stays with the owner; keys that have a folder keep it
            there as well.

        Raises
        ------
        InputError
            For a table of another shape than the keys' plan, a NaN, a feature too large after scaling, a file that exists.
        """
        with reported(progress) as report:
            return self.keys.encrypt(
                features(X), label_names(y), to, names=column_names(X), force=force, progress=report
            )

    def decrypt(self, model: Given, record: Record | None = None) -> Head:
        """Decrypts a model into a `Head` for raw features, for the owner's eyes only.

        `record` is what `encrypt` gave for the job; keys that have a folder find it there. Raises InputError for a model
        that is damaged, or of other keys or another job.
        """
        return self.keys.decrypt(model, record).heads[-1][1]

    def decrypt_iterates(self, model: Given, record: Record | None = None) -> list[tuple[int, Head]]:
        """As `decrypt`, of all iterates that the server returned: a list of (iteration, Head)."""
        return self.keys.decrypt(model, record).heads

    def publish(
        self,
        model: Given,
        record: Record | None = None,
        *,
        releases: int = 1,
        check: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
        unchecked: bool = False,
        anyway: bool = False,
    ) -> Head:
        """Decrypts a model into a `Head` that is safe to show to others.

        Adds the noise that hides the secret key (SECURITY.md), checks the head on rows that the owner knows, since a
        server can return anything as the model, and counts it in the folder of the keys.

        Parameters
        ----------
        model : document
        record : Record, default=None
            As for `decrypt`.
        releases : int, default=1
            How many models in all will be published of these keys: more need more noise each.
        check : (X, y), default=None
            Rows to check the head on; None for up to 256 of those that were encrypted.
        unchecked : bool, default=False
            Does without the check. If the server returned something else than the model, the head may show your data.
        anyway : bool, default=False
            Publishes a head even if less than half a bit of its logits is left above the noise.

        Returns
        -------
        head : Head
            Its `published_bits` are the bits of the largest weight above the noise.

        Raises
        ------
        InputError
            For keys without a folder or models beyond those that their noise covers, a head with too little left, or one
            that says hardly more than the most frequent class: do not tell the server.
        """
        rows = None if check is None else (features(check[0]), label_names(check[1]))
        names = None if check is None else column_names(check[0])
        return self.keys.publish(
            model, record, releases=releases, check=rows, names=names, unchecked=unchecked, anyway=anyway
        )


class Server:
    """Who trains, and sees no feature, no label, no weight and no secret key.

    Parameters
    ----------
    evaluation_keys : document
        Of the owner's keys. A path is read anew for every training, a few keys at a time.
    memory : int, default=None
        Most bytes that a training may take; None for what is available. Data for which it does not suffice are read
        again and again.
    """

    def __init__(self, evaluation_keys: Given, *, memory: int | None = None) -> None:
        # A file can be read once, and several jobs may come.
        if not isinstance(evaluation_keys, bytes | bytearray | str | os.PathLike) and hasattr(evaluation_keys, "read"):
            evaluation_keys = evaluation_keys.read()
        self._evaluation_keys = evaluation_keys
        self.memory = memory

    def train(
        self,
        job: Job | Given,
        to: Wanted | None = None,
        *,
        iterates: bool = False,
        part: tuple[int, int] | None = None,
        force: bool = False,
        progress: bool | Progress | None = None,
    ) -> bytes | None:
        """Trains on a job.

        Parameters
        ----------
        job : Job or document
        to : path or file, default=None
            Where the model goes.
        iterates : bool, default=False
            Returns the model after every iteration, not only the last.
        part : (int, int), default=None
            Trains some of the classes only: (2, 5) the second of five parts, which as many servers train at the same time
            or not. `merge` makes the model of all of them.
        force : bool, default=False
            Replaces a file.
        progress : bool or callable, default=None
            As in `EncryptedLogisticRegression`.

        Returns
        -------
        model : bytes or None
            For the owner; None if it went to `to`.

        Raises
        ------
        InputError
            For a job or keys that are damaged or do not belong together, or too little memory.
        """
        job = job if isinstance(job, Job) else Job(job)
        with reported(progress) as report:
            return job.train(
                self._evaluation_keys,
                to,
                iterates=iterates,
                part=part,
                memory=self.memory,
                force=force,
                progress=report,
            )
