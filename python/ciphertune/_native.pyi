"""The native module: what it holds is offered by `ciphertune`, but for `rehearse` and `Rehearsed`."""

import os
import pathlib
from collections.abc import Callable
from typing import Literal, Protocol, final, overload

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Progress = Callable[[str, int, int | None], object]
Path = str | os.PathLike[str]

class Readable(Protocol):
    def read(self) -> bytes: ...

class Writable(Protocol):
    def write(self, content: bytes, /) -> object: ...

Given = bytes | bytearray | Path | Readable
Wanted = Path | Writable
__version__: str

@final
class Recipe:
    """The hyperparameters of a training, checked.

    None keeps what `preset` has. Raises InputError for a value out of its range.
    """

    def __new__(
        cls,
        iterations: int = 2,
        *,
        preset: Literal["default", "paper"] = "default",
        scaler: Literal["none", "center", "standardize", "whiten"] | None = None,
        whiten_lambda: float | None = None,
        gradient: Literal["quadratic", "plain"] | None = None,
        bound: Literal["row-sums", "quarter"] | None = None,
        cubic: str | None = None,
        momentum: float | None = None,
        initial_weight: float | None = None,
        learning_rate: float | None = None,
        decay: float | None = None,
        ridge: float | None = None,
    ) -> Recipe: ...
    @property
    def iterations(self) -> int: ...
    def to_json(self) -> str: ...
    @staticmethod
    def from_json(text: str) -> Recipe: ...

@final
class Plan:
    """Ring, layout and keys of a training, chosen for the shape of a table: a public document.

    Parameters are those of `EncryptedLogisticRegression`. Raises InputError if no ring has room for the training at 128
    bits, or memory does not suffice.
    """

    def __new__(
        cls,
        rows: int,
        features: int,
        classes: int,
        recipe: Recipe | None = None,
        *,
        layout: Literal["class-diagonal", "volley-revolver"] = "class-diagonal",
        memory: int | None = None,
        log_n: int | None = None,
        publish_bits: float | None = None,
        upload_rate: float | None = None,
        progress: Progress | None = None,
    ) -> Plan: ...
    @property
    def rows(self) -> int: ...
    @property
    def features(self) -> int: ...
    @property
    def classes(self) -> int: ...
    @property
    def recipe(self) -> Recipe: ...
    @property
    def log_n(self) -> int:
        """log2 of the ring dimension."""
    @property
    def log_qp(self) -> float:
        """log2 of the whole modulus, special primes included."""
    @property
    def security_bits(self) -> int:
        """128, a lower bound."""
    @property
    def job_bytes(self) -> int:
        """Bytes of the job's ciphertexts."""
    @property
    def key_bytes(self) -> int:
        """Bytes of the evaluation keys."""
    @property
    def memory_bytes(self) -> int:
        """Predicted bytes of memory of a training that keeps all its data."""
    def to_json(self) -> str: ...
    @staticmethod
    def from_json(text: str) -> Plan: ...

@final
class Head:
    """A trained head: a linear classifier of raw features.

    Without `published_bits` it was decrypted as it is, and must not leave its owner's hands: see SECURITY.md.
    """

    @staticmethod
    def from_bytes(content: bytes) -> Head:
        """Reads what `to_bytes` or `ciphertune decrypt` wrote."""
    def to_bytes(self) -> bytes:
        """The head as `head.safetensors`, see docs/load-head.md."""
    def to_onnx(self) -> bytes:
        """The head as an ONNX model, opset 13, single precision."""
    def to_json(self) -> str: ...
    @property
    def weight(self) -> Matrix:
        """Weights, classes x features."""
    @property
    def bias(self) -> Matrix:
        """Biases, one a class."""
    @property
    def classes(self) -> list[str]:
        """The names of the classes, in the order of the weights."""
    @property
    def features(self) -> int:
        """Features a row."""
    @property
    def feature_names(self) -> list[str] | None:
        """What the columns were called that it was trained on."""
    @property
    def published_bits(self) -> float | None:
        """Bits of precision above the noise of a publication; None for a head that must stay private."""
    def logits(self, features: Matrix, *, names: list[str] | None = None) -> Matrix:
        """x W^T + b: rows x features in, rows x classes out. Raises InputError for features of another number or names."""
    def probabilities(self, features: Matrix, *, names: list[str] | None = None) -> Matrix:
        """The sigmoid of every logit, divided by the sum of its row's: rows x features in, rows x classes out."""

@final
class Keys:
    """An owner's secret key for a plan. It is neither pickled nor copied."""

    def __new__(cls, plan: Plan) -> Keys:
        """Draws a secret key, with the system's generator of random numbers."""
    @staticmethod
    def load(folder: Path) -> Keys:
        """From a folder that `save` or `ciphertune keygen` wrote. Records of jobs are kept in it."""
    @staticmethod
    def from_secret_key(plan: Plan, secret_key: Given) -> Keys:
        """From the document that `secret_key` gives."""
    def save(self, folder: Path, *, force: bool = False, progress: Progress | None = None) -> None:
        """Writes secret key, plan and evaluation keys into a new folder that nobody else can enter, as `ciphertune keygen`.

        From then on records of jobs are kept in it. `force` replaces a folder of keys.
        """
    def secret_key(self) -> bytes:
        """The secret key's document: whoever has it can read data and models."""
    @overload
    def evaluation_keys(self, to: None = None, *, force: bool = False, progress: Progress | None = None) -> bytes: ...
    @overload
    def evaluation_keys(self, to: Wanted, *, force: bool = False, progress: Progress | None = None) -> None:
        """Evaluation keys for the server, once for any number of jobs: others each time, and any of them will do."""
    def encrypt(
        self,
        features: Matrix,
        labels: list[str],
        to: Wanted | None = None,
        *,
        names: list[str] | None = None,
        force: bool = False,
        progress: Progress | None = None,
    ) -> tuple[bytes | None, Record]:
        """What `Owner.encrypt` does, on an array of doubles and a word a row."""
    def decrypt(self, model: Given, record: Record | None = None) -> Opened:
        """What `Owner.decrypt` and `Owner.decrypt_iterates` do."""
    @property
    def plan(self) -> Plan: ...
    @property
    def id(self) -> str:
        """Names the keys: random, and says nothing about them."""
    @property
    def folder(self) -> pathlib.Path | None: ...

@final
class Record:
    """What an owner keeps of a job: scaler, class names, some rows to check a release with. It stays with the owner."""

    @staticmethod
    def from_bytes(content: Given) -> Record: ...
    def to_bytes(self) -> bytes: ...
    @property
    def job(self) -> str:
        """The job's identifier."""
    @property
    def classes(self) -> list[str]: ...

@final
class Opened:
    """A decrypted model, for its owner's eyes only."""

    @property
    def heads(self) -> list[tuple[int, Head]]:
        """The head after every iteration that the server returned, the last one last."""
    @property
    def precision_bits(self) -> float:
        """log2 of the largest trained weight over the plan's bound on the error of any one weight."""

@final
class Job:
    """What an owner encrypted and a server trains on."""

    def __new__(cls, document: Given) -> Job:
        """Reads the header: a file, or the folder that `ciphertune encrypt` wrote, stays where it is and is read while training."""
    @property
    def plan(self) -> Plan: ...
    @overload
    def train(
        self,
        evaluation_keys: Given,
        to: None = None,
        *,
        iterates: bool = False,
        memory: int | None = None,
        force: bool = False,
        progress: Progress | None = None,
    ) -> bytes: ...
    @overload
    def train(
        self,
        evaluation_keys: Given,
        to: Wanted,
        *,
        iterates: bool = False,
        memory: int | None = None,
        force: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """What `Server.train` does."""

@final
class Rehearsed:
    """A head that was trained encrypted, and what that took."""

    @property
    def head(self) -> Head: ...
    @property
    def precision_bits(self) -> float: ...
    @property
    def seconds(self) -> list[float]: ...
    @property
    def evaluation_key_bytes(self) -> int: ...
    @property
    def job_bytes(self) -> int: ...
    @property
    def model_bytes(self) -> int: ...

def load_digits(*, pixels: bool = False) -> tuple[Matrix, list[str]]:
    """What `ciphertune.load_digits` does, with a word a row."""

def rehearse(
    features: Matrix,
    labels: list[str],
    plan: Plan,
    *,
    names: list[str] | None = None,
    memory: int | None = None,
    progress: Progress | None = None,
) -> Rehearsed:
    """Makes keys, encrypts, trains on the ciphertexts and decrypts, all in this process. The keys vanish with the call."""
