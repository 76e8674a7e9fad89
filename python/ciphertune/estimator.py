"""`EncryptedLogisticRegression`: logistic regression, trained on ciphertexts, as an estimator of scikit-learn."""

import importlib.util
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt

from ._labels import class_names
from ._native import Plan, Recipe, rehearse
from ._progress import reported
from ._typing import Matrix, Progress

if TYPE_CHECKING or importlib.util.find_spec("sklearn") is None:
    from ._plain import Base, check_is_fitted, checked_rows, checked_table
else:
    from ._sklearn import Base, check_is_fitted, checked_rows, checked_table

__all__ = ["EncryptedLogisticRegression"]

#: What `Rehearsed.seconds` are of.
STEPS = ("keys", "encrypting", "reading", "training", "refreshing", "decrypting")


class EncryptedLogisticRegression(Base):
    """One-versus-rest logistic regression by a few steps of Quadratic Gradient on CKKS ciphertexts.

    `fit` makes keys, whitens and encrypts the table, trains on the ciphertexts in this process, and decrypts the
    model: all that an owner and a server do, as `ciphertune run` does it. Nothing of the keys outlives the call.

    With n rows x of d features, W the weights of a class and sigma the sigmoid, every class is a yes-or-no question of
    its own, p = sigma(x W + b), and the probabilities of a row are these, divided by their sum. A polynomial stands for
    the sigmoid in training. Source: J. Chiang, arXiv 2304.03807; docs/how-it-works.md has the whole path.

    Parameters
    ----------
    max_iter : int, default=2
        Iterations, 1 to 1,000. All of them are done. Each takes about four levels of the ciphertexts; with whitened
        features two are enough for most tables.
    recipe : {"default", "paper"}, default="default"
        Set of hyperparameters to start from; those below are changes to it, and None keeps the recipe's.
    scaler : {"none", "center", "standardize", "whiten"}, default=None
        Map of the features before encryption, folded back into `coef_`.
    whiten_lambda : float, default=None
        Regularisation of whitening, in units of the mean eigenvalue.
    gradient : {"quadratic", "plain"}, default=None
    bound : {"row-sums", "quarter"}, default=None
        What Quadratic Gradient divides by.
    sigmoid : str, default=None
        Polynomial in place of the sigmoid: "7" or "15", fits of that degree for logits up to 10 and 16, or a cubic:
        "paper", "narrow", "wide", or three numbers "c1,c3,range" for 1/2 + c1 z + c3 z^3.
    momentum : float, default=None
        a_0, where Nesterov's sequence starts.
    initial_weight : float, default=None
    learning_rate : float, default=None
        Factor on every step.
    decay : float, default=None
        Power of 1/t that step t is multiplied by.
    ridge : float, default=None
        Pull of the weights towards zero, which keeps long trainings from diverging.
    batch_size : int, default=None
        The most rows of a minibatch: every iteration takes the next batch of the mixed rows. None takes all rows.
    layout : {"class-diagonal", "volley-revolver"}, default="class-diagonal"
        How the table lies in ciphertexts; the second is the paper's, for comparison.
    memory : int, default=None
        Most bytes that training may take; None for what is available.
    log_n : int, default=None
        Ring dimension 2^log_n, 13 to 16; None for the one that trains fastest.
    publish_bits : float, default=None
        Bits of precision that a published model should keep, as far as the modulus has room; None for two bits of a
        logit, -30 for speed if the model is never published.
    upload_rate : float, default=None
        Bytes a second of the connection that a plan reckons with; None for 25e6.
    refresh : {"never", 1, "auto"}, default="never"
        Who makes the steps: "never", the server all of them on ciphertexts; 1, the owner after every iteration, who
        encrypts the weights afresh, so that any number of iterations fits the smallest ring; "auto", what takes less time.
    progress : bool or callable, default=None
        True for bars (tqdm's where it is installed), or a function of (step, done, of), called on the calling thread.
        `of` is None where it is not known. An exception that it raises ends the training.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    coef_ : ndarray of shape (n_classes, n_features), or (1, n_features) for two classes
        Weights for raw features: the scaler is folded in.
    intercept_ : ndarray of shape (n_classes,), or (1,) for two classes
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only for tables whose columns all have names.
    n_iter_ : int
        `max_iter`.
    head_ : Head
        The trained head, as `ciphertune decrypt` writes it. It is for the owner's eyes only, and so are the attributes
        above and a pickle of this estimator: see SECURITY.md.
    plan_ : Plan
    precision_bits_ : float
        log2 of the largest trained weight over the plan's bound on the error of any one weight.
    seconds_ : dict
        Of keys, encrypting, reading, training, refreshing and decrypting.

    Raises
    ------
    InputError
        For what no training can be made of: a single class, more than 64, a parameter out of its range, too little
        memory. It is a ValueError.
    """

    def __init__(
        self,
        max_iter: int = 2,
        *,
        recipe: Literal["default", "paper"] = "default",
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
        layout: Literal["class-diagonal", "volley-revolver"] = "class-diagonal",
        memory: int | None = None,
        log_n: int | None = None,
        publish_bits: float | None = None,
        upload_rate: float | None = None,
        refresh: Literal["never", 1, "auto"] = "never",
        progress: bool | Progress | None = None,
    ) -> None:
        self.max_iter = max_iter
        self.recipe = recipe
        self.scaler = scaler
        self.whiten_lambda = whiten_lambda
        self.gradient = gradient
        self.bound = bound
        self.sigmoid = sigmoid
        self.momentum = momentum
        self.initial_weight = initial_weight
        self.learning_rate = learning_rate
        self.decay = decay
        self.ridge = ridge
        self.batch_size = batch_size
        self.layout = layout
        self.memory = memory
        self.log_n = log_n
        self.publish_bits = publish_bits
        self.upload_rate = upload_rate
        self.refresh = refresh
        self.progress = progress

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Trains encrypted.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, dense and finite.
        y : array-like of shape (n_samples,)
            Whole numbers or words, of 2 to 64 classes.

        Returns
        -------
        self
        """
        rows, given = checked_table(self, X, y)
        classes, places = np.unique(given, return_inverse=True)
        words = class_names(classes)
        labels = [words[place] for place in places.ravel()]
        names = getattr(self, "feature_names_in_", None)
        names = None if names is None else [str(name) for name in names]
        with reported(self.progress) as progress:
            plan = self._plan(rows.shape, len(classes), progress)
            trained = rehearse(rows, labels, plan, names=names, memory=self.memory, progress=progress)
        self.classes_ = classes
        self.plan_ = plan
        self.head_ = trained.head
        self.precision_bits_ = trained.precision_bits
        self.seconds_ = dict(zip(STEPS, trained.seconds))
        self.n_iter_ = plan.recipe.iterations
        # The head has its classes in an order of its own.
        self._order = [trained.head.classes.index(word) for word in words]
        return self

    def _plan(self, shape: tuple[int, ...], classes: int, progress: Progress | None) -> Plan:
        recipe = Recipe(
            self.max_iter,
            preset=self.recipe,
            scaler=self.scaler,
            whiten_lambda=self.whiten_lambda,
            gradient=self.gradient,
            bound=self.bound,
            sigmoid=self.sigmoid,
            momentum=self.momentum,
            initial_weight=self.initial_weight,
            learning_rate=self.learning_rate,
            decay=self.decay,
            ridge=self.ridge,
            batch_size=self.batch_size,
        )
        # Of one class: refused with the words that training has for it.
        rows, features = shape
        return Plan(
            rows,
            features,
            max(classes, 2),
            recipe,
            layout=self.layout,
            memory=self.memory,
            log_n=self.log_n,
            publish_bits=self.publish_bits,
            upload_rate=self.upload_rate,
            refresh=self.refresh,
            progress=progress,
        )

    @property
    def coef_(self) -> Matrix:
        check_is_fitted(self)
        weight = self.head_.weight[self._order]
        return weight if len(weight) > 2 else weight[1:] - weight[:1]

    @property
    def intercept_(self) -> Matrix:
        check_is_fitted(self)
        bias = self.head_.bias[self._order]
        return bias if len(bias) > 2 else bias[1:] - bias[:1]

    def decision_function(self, X: npt.ArrayLike) -> Matrix:
        """Logits x W^T + b, of shape (n_samples, n_classes); of two classes their difference, of shape (n_samples,)."""
        logits = self._logits(X)
        return logits if logits.shape[1] > 2 else logits[:, 1] - logits[:, 0]

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """The class with the largest logit, of every row."""
        logits = self._logits(X)
        labels: npt.NDArray[Any] = self.classes_[logits.argmax(axis=1)]
        return labels

    def predict_proba(self, X: npt.ArrayLike) -> Matrix:
        """Probabilities of shape (n_samples, n_classes): the sigmoid of every logit, divided by the sum of a row's."""
        check_is_fitted(self)
        return self.head_.probabilities(checked_rows(self, X))[:, self._order]

    def _logits(self, X: npt.ArrayLike) -> Matrix:
        check_is_fitted(self)
        return self.head_.logits(checked_rows(self, X))[:, self._order]
