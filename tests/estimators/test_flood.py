from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from weatherml.errors import BadDataError, ConfigError, MissingInputError
from weatherml.estimators import ConvLSTMFloodModel

SMALL = {"base_features": 16, "lstm_hidden": 8, "lstm_layers": 1, "heads": 2, "learning_rate": 0.01}


def make_model(**settings: object) -> ConvLSTMFloodModel:
    return ConvLSTMFloodModel(**{**SMALL, "epochs": 12, "random_state": 0, **settings})  # type: ignore[arg-type]


def make_cases(cases: int = 160, days: int = 8) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(cases, days, 3)) * [1, 10, 100] + [0, 5, 1000]
    return X, (X[:, :, 1].mean(axis=1) > 5).astype(int)


@pytest.fixture(scope="module")
def fitted() -> ConvLSTMFloodModel:
    return make_model(epochs=25).fit(*make_cases())


@parametrize_with_checks([make_model()])
def test_scikit_learns_own_checks(estimator: ConvLSTMFloodModel, check: Callable[[ConvLSTMFloodModel], None]) -> None:
    check(estimator)


def test_the_founding_defaults() -> None:
    settings = ConvLSTMFloodModel().get_params()
    assert {name: settings[name] for name in ("validation_split", "patience", "clip")} == {
        "validation_split": 0.2,
        "patience": 10,
        "clip": 1.0,
    }
    model = ConvLSTMFloodModel(epochs=1).fit(np.zeros((8, 30, 37)), np.arange(8) % 2)
    assert model.get_model_info()["parameters"] == 105_793


def test_it_learns(fitted: ConvLSTMFloodModel) -> None:
    X, y = make_cases()
    probability = fitted.predict_proba(X)
    assert probability.shape == (160, 2)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert (fitted.predict(X) == y).mean() > 0.9
    assert set(fitted.predict(X)) == {0, 1}


def test_attention_weights(fitted: ConvLSTMFloodModel) -> None:
    X, y = make_cases()
    weights = fitted.get_attention_weights(X[:5])
    assert weights.shape == (5, 8, 8)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    with pytest.raises(ConfigError, match="attention: False, so there are no attention weights"):
        make_model(attention=False, epochs=1).fit(X, y).get_attention_weights(X)


def test_the_same_state_gives_the_same_model_and_leaves_torchs_alone(fitted: ConvLSTMFloodModel) -> None:
    X, y = make_cases()
    np.testing.assert_array_equal(clone(fitted).fit(X, y).predict_proba(X), fitted.predict_proba(X))
    other = clone(fitted).set_params(random_state=1).fit(X, y)
    assert not np.array_equal(other.predict_proba(X), fitted.predict_proba(X))


def test_saved_and_loaded(fitted: ConvLSTMFloodModel, tmp_path: Path) -> None:
    fitted.save(tmp_path / "flood")
    loaded = ConvLSTMFloodModel.load(tmp_path / "flood")
    X, _ = make_cases()
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert loaded.get_model_info() == fitted.get_model_info()
    assert sorted(path.name for path in (tmp_path / "flood").iterdir()) == ["model.json", "weights.safetensors"]


def test_broken_files_are_refused(fitted: ConvLSTMFloodModel, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no saved model"):
        ConvLSTMFloodModel.load(tmp_path / "nothing")
    fitted.save(tmp_path)
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(BadDataError, match="its files do not read"):
        ConvLSTMFloodModel.load(tmp_path)
    (tmp_path / "model.json").write_text('{"schema": 9}')
    with pytest.raises(BadDataError, match="of schema 9"):
        ConvLSTMFloodModel.load(tmp_path)


def test_patience_ends_fitting_with_the_best_weights() -> None:
    X = np.random.default_rng(0).normal(size=(60, 4, 2))
    y = np.random.default_rng(1).integers(0, 2, 60)  # nothing to learn: the validation loss soon rises
    model = make_model(epochs=100, patience=3).fit(X, y)
    losses = model.history_.validation
    assert model.n_iter_ == len(losses) == losses.index(min(losses)) + 1 + 4 < 100


def test_shapes_are_checked(fitted: ConvLSTMFloodModel) -> None:
    X, y = make_cases()
    with pytest.raises(ValueError, match="X has 8 steps of 2 features, the model was fitted to 8 steps of 3 features"):
        fitted.predict(X[:, :, 1:])
    with pytest.raises(ValueError, match="expecting 8 features"):  # scikit-learn's own words for the second axis
        fitted.predict(X[:, 1:])
    with pytest.raises(ValueError, match="X has 4 dimensions"):
        make_model().fit(X[..., None], y)
    with pytest.raises(ConfigError, match="loss: mse does not read logits"):
        make_model(loss="mse").fit(X, y)
