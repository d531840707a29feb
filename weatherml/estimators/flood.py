"""The flood classifier as a scikit-learn estimator: sequences of daily features in, probabilities out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import Tags, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from weatherml.config import parse, parse_member
from weatherml.errors import BadDataError, ConfigError, MissingInputError, reason
from weatherml.estimators.fitting import History, Loss, Settings, fit_network
from weatherml.files import read_json, write_json
from weatherml.losses import LOSSES
from weatherml.losses.base import LossModule, Weights
from weatherml.models.cnn_convlstm import CNNConvLSTM
from weatherml.nn.temporal import SequenceClassifier
from weatherml.tensors import save_tensors

Array = npt.NDArray[Any]
SCHEMA = 1
WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"
BATCH = 1024
"""Cases that predictions are made for at a time."""


class ConvLSTMFloodModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no annotations
    """Temporal convolutions, bidirectional LSTM and attention, of two classes.

    Features are normalised by the mean and standard deviation of the training cases; the cases that validate are drawn
    at random within each class. For days in order, which are no independent cases, `wml train` splits by time.

    Args:
        base_features: width of the convolutions.
        lstm_hidden: units of the LSTM in each direction.
        lstm_layers: of the LSTM.
        attention: whether the steps read from each other; False leaves no attention weights.
        heads: of the attention.
        dropout: share of activations dropped after each part.
        loss: a member of the losses on logits, by kind.
        epochs: passes over the training cases at most.
        batch_size: cases in a step.
        learning_rate: at first; lowered where the validation loss no longer falls.
        validation_split: share of the cases that validate.
        patience: passes without a lower validation loss after which fitting ends.
        clip: largest gradient norm.
        random_state: of weights, validation cases, order and dropout.

    Attributes:
        classes_: (2,) the classes; the second is the event.
        n_features_in_: the size of X's second axis, as scikit-learn counts: F of (n, F), S of (n, S, F).
        shape_: (S, F).
        history_: losses of each pass.
        n_iter_: passes.
    """

    def __init__(
        self,
        *,
        base_features: int = 64,
        lstm_hidden: int = 32,
        lstm_layers: int = 2,
        attention: bool = True,
        heads: int = 4,
        dropout: float = 0.2,
        loss: str = "binary-focal",
        epochs: int = 100,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        validation_split: float = 0.2,
        patience: int = 10,
        clip: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.base_features = base_features
        self.lstm_hidden = lstm_hidden
        self.lstm_layers = lstm_layers
        self.attention = attention
        self.heads = heads
        self.dropout = dropout
        self.loss = loss
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_split = validation_split
        self.patience = patience
        self.clip = clip
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        """Two classes, tables and sequences."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.three_d_array = True
        tags.non_deterministic = False
        return tags

    def fit(self, X: Array, y: Array) -> ConvLSTMFloodModel:
        """Fit to (n, S, F) sequences, or to (n, F) features of one step, and n classes.

        Raises:
            ValueError: not finite, of other dimensions, or not of two classes.
        """
        X, y = validate_data(self, X, y, allow_nd=True, dtype=np.float32)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) != 2:
            raise ValueError(
                f"Only binary classification is supported; y has {len(self.classes_)} class(es): give cases of two"
            )
        sequences = _sequences(X)
        self.shape_ = sequences.shape[1:]
        random = check_random_state(self.random_state)
        train, validation = self._split(codes, random)
        self.mean_ = sequences[train].mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
        std = sequences[train].std(axis=(0, 1), dtype=np.float64)
        self.std_ = np.where(std > 0, std, 1.0).astype(np.float32)
        training, validating = (
            (self._normalised(sequences[each]), torch.from_numpy(codes[each]).float()) for each in (train, validation)
        )
        settings = Settings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.learning_rate,
            patience=self.patience,
            clip=self.clip,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(random.randint(2**31 - 1)))
            self.network_ = self._build()
            self.history_ = fit_network(self.network_, self._loss(), training, validating, settings)
        self.n_iter_ = len(self.history_.train)
        return self

    @torch.no_grad()
    def predict_proba(self, X: Array) -> Array:
        """(n, 2) probabilities of the classes."""
        event = torch.cat([self.network_(part) for part in self._parts(X)]).double().sigmoid().numpy()
        return np.stack([1 - event, event], axis=1)

    def predict(self, X: Array) -> Array:
        """(n,) the likelier class."""
        event = self.predict_proba(X)[:, 1] > 0.5
        return np.asarray(self.classes_[event.astype(int)])

    def get_attention_weights(self, X: Array) -> Array:
        """(n, S, S): how much each step reads from each, mean over heads; rows sum to 1.

        Raises:
            ConfigError: the model has no attention.
        """
        check_is_fitted(self)
        if not self.attention:
            raise ConfigError("attention: False, so there are no attention weights; fit a model with attention=True")
        return torch.cat([self.network_.attention_weights(part) for part in self._parts(X)]).numpy()

    def get_model_info(self) -> dict[str, Any]:
        """Parameters, sizes and, of a fitted model, how fitting went."""
        check_is_fitted(self)
        return {
            "name": type(self).__name__,
            "parameters": sum(parameter.numel() for parameter in self.network_.parameters()),
            "sequence_length": self.shape_[0],
            "features": self.shape_[1],
            "classes": self.classes_.tolist(),
            "epochs": self.n_iter_,
            "best_validation_loss": min(self.history_.validation),
            "settings": self._settings(),
        }

    def save(self, path: str | Path) -> None:
        """Write weights (safetensors) and description (JSON) into the folder `path`."""
        check_is_fitted(self)
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"network.{name}": tensor for name, tensor in self.network_.state_dict().items()}
        tensors |= {"mean": torch.from_numpy(self.mean_), "std": torch.from_numpy(self.std_)}
        save_tensors(folder / WEIGHTS, tensors)
        learnt = {"n_features_in": self.n_features_in_, "shape": self.shape_, "classes": self.classes_.tolist()}
        losses = {"train": self.history_.train, "validation": self.history_.validation}
        write_json(folder / DESCRIPTION, {"schema": SCHEMA, "settings": self._settings(), **learnt, "history": losses})

    @classmethod
    def load(cls, path: str | Path) -> ConvLSTMFloodModel:
        """The fitted model that was saved in the folder `path`.

        Raises:
            MissingInputError: no model there.
            BadDataError: files that are broken, or of another version.
        """
        folder = Path(path)
        if not (folder / DESCRIPTION).is_file():
            raise MissingInputError(f"{folder}: no saved model; make one with ConvLSTMFloodModel.save")
        found = read_json(folder / DESCRIPTION)
        try:
            if found["schema"] != SCHEMA:
                raise BadDataError(f"{folder}: of schema {found['schema']}, this version reads {SCHEMA}; save it again")
            return cls(**found["settings"])._restored(found, load_file(folder / WEIGHTS))
        except (OSError, SafetensorError, KeyError, TypeError, RuntimeError, ConfigError) as error:
            raise BadDataError(f"{folder}: its files do not read ({reason(error)}); save it again") from None

    def _restored(self, found: dict[str, Any], tensors: dict[str, Tensor]) -> ConvLSTMFloodModel:
        self.mean_, self.std_ = (tensors.pop(name).numpy() for name in ("mean", "std"))
        self.n_features_in_, self.shape_ = found["n_features_in"], tuple(found["shape"])
        self.classes_ = np.array(found["classes"])
        self.history_ = History(**found["history"])
        self.n_iter_ = len(self.history_.train)
        self.network_ = self._build().eval()
        self.network_.load_state_dict({name.removeprefix("network."): tensor for name, tensor in tensors.items()})
        return self

    def _settings(self) -> dict[str, Any]:
        """The constructor's arguments as JSON types; a random state that is no number is left out."""
        settings: dict[str, Any] = self.get_params(deep=False)
        number = isinstance(self.random_state, int | np.integer)
        return settings | {"random_state": int(settings["random_state"]) if number else None}

    def _split(self, codes: Array, random: np.random.RandomState) -> tuple[Array, Array]:
        """Which cases train and which validate; every case does both where a class is too small to be divided."""
        everything, held = np.arange(len(codes)), round(self.validation_split * len(codes))
        if np.bincount(codes).min() < 2 or not 2 <= held <= len(codes) - 2:
            return everything, everything
        train, validation = train_test_split(everything, test_size=held, stratify=codes, random_state=random)
        return train, validation

    def _build(self) -> SequenceClassifier:
        names = ("base_features", "lstm_hidden", "lstm_layers", "attention", "heads", "dropout")
        config = parse(CNNConvLSTM, {name: getattr(self, name) for name in names}, at=type(self).__name__)
        return config.network(self.shape_[1])

    def _loss(self) -> Loss:
        """The loss on (B,) logits and targets."""
        config = parse_member(LOSSES, self.loss, at="loss")
        if not type(config).logits:
            raise ConfigError(f"loss: {config.kind} does not read logits; take for example binary-focal")
        module: LossModule = config.build(Weights(scale=torch.ones(1), variable=torch.ones(1), rows=torch.ones(1)))

        def loss(logits: Tensor, target: Tensor) -> Tensor:
            fields = [each.view(-1, 1, 1, 1, 1) for each in (logits, target, torch.ones_like(target) > 0)]
            value: Tensor = module(*fields)
            return value

        return loss

    def _normalised(self, sequences: Array) -> Tensor:
        return torch.from_numpy((sequences - self.mean_) / self.std_)

    def _parts(self, X: Array) -> Iterator[Tensor]:
        """Checked and normalised cases, some at a time."""
        check_is_fitted(self)
        sequences = _sequences(validate_data(self, X, reset=False, allow_nd=True, dtype=np.float32))
        if sequences.shape[1:] != self.shape_:
            got, known = (
                f"{steps} steps of {features} features" for steps, features in (sequences.shape[1:], self.shape_)
            )
            raise ValueError(f"X has {got}, the model was fitted to {known}; give it alike")
        cases = self._normalised(sequences)
        for first in range(0, len(cases), BATCH):
            yield cases[first : first + BATCH]


def _sequences(X: Array) -> Array:
    """(n, S, F) as it is, (n, F) as one step."""
    if X.ndim not in (2, 3):
        raise ValueError(f"X has {X.ndim} dimensions; give (cases, steps, features), or (cases, features)")
    return X if X.ndim == 3 else X[:, None]
