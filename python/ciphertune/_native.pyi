"""The native module: what it holds is offered by `ciphertune`."""

import pathlib
from collections.abc import Sequence
from typing import Literal, final, overload

from ._typing import Given, Matrix, Path, Progress, Wanted

__all__ = ["Head", "Job", "Keys", "Opened", "Plan", "Recipe", "Record", "Rehearsed", "load_digits", "merge", "rehearse", "__version__"]
__version__: str

@final
class Recipe:
    """The hyperparameters of a training, checked.

    Parameters are those of `EncryptedLogisticRegression`; None keeps what `preset` has. Raises InputError for a value
    out of its range.
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
        sigmoid: str | None = None,
        momentum: float | None = None,
        initial_weight: float | None = None,
        learning_rate: float | None = None,
        decay: float | None = None,
        ridge: float | None = None,
        batch_size: int | None = None,
    ) -> Recipe: ...
    @property
    def iterations(self) -> int:
        """How many iterations."""
    def to_json(self) -> str:
        """The recipe on one line of JSON."""
    @staticmethod
    def from_json(text: str) -> Recipe:
        """Reads what `to_json` gives. Raises InputError for anything else."""

@final
class Plan:
    """Ring, layout and keys of a training, chosen for the shape of a table: a public document.

    Parameters other than the shape are those of `EncryptedLogisticRegression`. Raises InputError if no ring has room
    for the training at 128 bits, or memory does not suffice.
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
        refresh: Literal["never", 1, "auto"] | None = None,
        progress: Progress | None = None,
    ) -> Plan: ...
    @property
    def rows(self) -> int:
        """Rows of the table."""
    @property
    def features(self) -> int:
        """Features a row."""
    @property
    def classes(self) -> int:
        """Classes of the table."""
    @property
    def recipe(self) -> Recipe:
        """The hyperparameters."""
    @property
    def refreshed(self) -> bool:
        """Whether the owner makes the steps of the training."""
    @property
    def log_n(self) -> int:
        """log2 of the ring dimension."""
    @property
    def log_qp(self) -> float:
        """log2 of the whole modulus, special primes included."""
    @property
    def security_bits(self) -> int:
        """Security in bits, a lower bound: 128."""
    @property
    def job_bytes(self) -> int:
        """Bytes of a job's ciphertexts."""
    @property
    def key_bytes(self) -> int:
        """Bytes of the evaluation keys."""
    @property
    def memory_bytes(self) -> int:
        """Predicted bytes of memory of a training that keeps all its data."""
    def to_json(self) -> str:
        """The plan on one line of JSON, as `plan.json` of a folder of keys has it."""
    @staticmethod
    def from_json(text: str) -> Plan:
        """Reads what `to_json` gives. Raises InputError for text that is no plan, or one that contradicts itself."""

@final
class Head:
    """A trained head: a linear classifier of raw features.

    Without `published_bits` it was decrypted as it is, and must not leave its owner's hands: see SECURITY.md.
    """

    @staticmethod
    def from_bytes(content: Given) -> Head:
        """Reads what `to_bytes` gives or `ciphertune decrypt` writes. Raises InputError for anything else."""
    def to_bytes(self) -> bytes:
        """The head as `head.safetensors`: docs/load-head.md says what is in it."""
    def to_onnx(self) -> bytes:
        """The head as an ONNX model, opset 13, single precision."""
    def to_json(self) -> str:
        """The head as a JSON object, double precision."""
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
        """What the columns were called that it was trained on, if they had names."""
    @property
    def published_bits(self) -> float | None:
        """Bits of precision above the noise of a publication; None for a head that must stay private."""
    def logits(self, features: Matrix, *, names: list[str] | None = None) -> Matrix:
        """x W^T + b: rows x features in, rows x classes out.

        Raises InputError for features of another number, or of other names where both have names.
        """
    def probabilities(self, features: Matrix, *, names: list[str] | None = None) -> Matrix:
        """The sigmoid of every logit, divided by the sum of its row's: rows x features in, rows x classes out."""

@final
class Keys:
    """An owner's secret key for a plan, drawn with the system's generator of random numbers.

    It is neither pickled nor copied.
    """

    def __new__(cls, plan: Plan) -> Keys: ...
    @staticmethod
    def load(folder: Path) -> Keys:
        """From a folder that `save` or `ciphertune keygen` wrote. Records of jobs are kept in it."""
    @staticmethod
    def from_secret_key(plan: Plan, secret_key: Given) -> Keys:
        """From the document that `secret_key` gives. Raises InputError for one of another plan."""
    def save(self, folder: Path, *, force: bool = False, progress: Progress | None = None) -> None:
        """Writes secret key, plan and evaluation keys into a new folder that nobody else can enter.

        It is what `ciphertune keygen` writes. From then on records of jobs are kept in it. `force` replaces a folder of
        keys: models that are encrypted under the old ones are lost.
        """
    def secret_key(self) -> bytes:
        """The secret key's document: whoever has it can read data and models."""
    @overload
    def evaluation_keys(self, to: None = None, *, force: bool = False, progress: Progress | None = None) -> bytes: ...
    @overload
    def evaluation_keys(
        self, to: Wanted | None = None, *, force: bool = False, progress: Progress | None = None
    ) -> bytes | None:
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
    def publish(
        self,
        model: Given,
        record: Record | None = None,
        *,
        releases: int = 1,
        check: tuple[Matrix, list[str]] | None = None,
        names: list[str] | None = None,
        unchecked: bool = False,
        anyway: bool = False,
    ) -> Head:
        """What `Owner.publish` does, with the rows of `check` as an array of doubles and a word a row."""
    @property
    def plan(self) -> Plan:
        """The plan that they are for."""
    @property
    def id(self) -> str:
        """Names the keys: random, and says nothing about them."""
    @property
    def folder(self) -> pathlib.Path | None:
        """The folder that they are kept in, if they are."""

@final
class Record:
    """What an owner keeps of a job: scaler, class names, some rows to check a release with.

    It is neither pickled nor copied.
    """

    @staticmethod
    def from_bytes(content: Given) -> Record:
        """Reads what `to_bytes` gives. Raises InputError for anything else."""
    def to_bytes(self) -> bytes:
        """The record's document, as a folder of keys has it."""
    @property
    def job(self) -> str:
        """The job's identifier."""
    @property
    def classes(self) -> list[str]:
        """The names of the classes."""

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
    """What an owner encrypted and a server trains on.

    Its header is read at once. A file, or the folder that `ciphertune encrypt` wrote, stays where it is and is read
    while training.
    """

    def __new__(cls, document: Given) -> Job: ...
    @property
    def plan(self) -> Plan:
        """The plan in it."""
    @overload
    def train(
        self,
        evaluation_keys: Given,
        to: None = None,
        *,
        iterates: bool = False,
        part: tuple[int, int] | None = None,
        memory: int | None = None,
        force: bool = False,
        progress: Progress | None = None,
    ) -> bytes: ...
    @overload
    def train(
        self,
        evaluation_keys: Given,
        to: Wanted | None = None,
        *,
        iterates: bool = False,
        part: tuple[int, int] | None = None,
        memory: int | None = None,
        force: bool = False,
        progress: Progress | None = None,
    ) -> bytes | None:
        """What `Server.train` does."""

@final
class Rehearsed:
    """A head that was trained encrypted, and what that took."""

    @property
    def head(self) -> Head:
        """The head."""
    @property
    def precision_bits(self) -> float:
        """log2 of the largest trained weight over the plan's bound on the error of any one weight."""
    @property
    def seconds(self) -> list[float]:
        """Of making keys, encrypting, reading, training, refreshing and decrypting."""
    @property
    def evaluation_key_bytes(self) -> int:
        """Bytes of the evaluation keys."""
    @property
    def job_bytes(self) -> int:
        """Bytes of the job."""
    @property
    def model_bytes(self) -> int:
        """Bytes of the encrypted model."""

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

@overload
def merge(parts: Sequence[Given], to: None = None, *, force: bool = False) -> bytes: ...
@overload
def merge(parts: Sequence[Given], to: Wanted | None = None, *, force: bool = False) -> bytes | None:
    """Puts the parts of a model together, in any order: the model that one server makes, byte for byte.

    `parts` are documents that `Server.train` gave with `part`; the model goes to `to`, or is returned as bytes. Raises
    InputError for parts of different models, and for parts that are missing or given twice, with their numbers.
    """
