from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from tests.data.sequences.toy import DAY, START, Toy, ToyMask
from weatherml.data.loader import DataConfig
from weatherml.data.sequences.loader import SequenceLoader, normaliser
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.data.sequences.store import SequenceDataset
from weatherml.data.stores import open_data
from weatherml.errors import BadDataError
from weatherml.sources.sequences import complete_samples


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> SequenceDataset:
    return prepare_sequences(Toy(), [], tmp_path_factory.mktemp("toy") / "toy.zarr")


def loader(dataset: SequenceDataset, part: str = "train", **data: object) -> SequenceLoader:
    inputs = normaliser(dataset.inputs, dataset.statistics.select([0, 1]))
    targets = normaliser(dataset.targets, dataset.statistics.select([2]))
    config = DataConfig.model_validate(data)
    return SequenceLoader(dataset, part, config, inputs=inputs, targets=targets, batch=4, seed=0)


def test_samples_never_cross_a_gap_or_a_series() -> None:
    times = np.array([[START + n * DAY for n in (0, 1, 2, 4, 5, 6)]])
    times = np.concatenate([times, np.full((1, 6), np.datetime64("NaT"))])
    times[1, :3] = START + np.arange(3) * DAY
    found = complete_samples(times, length=2, lead=1, step=DAY)
    assert np.argwhere(found).tolist() == [[0, 2], [0, 5], [1, 2]]


def test_a_store_is_read_back_and_by_xarray(toy: SequenceDataset) -> None:
    opened = open_data(toy.path)
    assert isinstance(opened, SequenceDataset)
    assert (opened.task, opened.length, opened.series) == ("emulate", 3, ("a", "b", "c", "d"))
    made = Toy().build([])
    np.testing.assert_array_equal(opened.values["target"], made.values["target"])
    np.testing.assert_array_equal(opened.times, made.times)
    with xr.open_zarr(toy.path, consolidated=True, chunks=None) as found:
        assert found["target"].dims == ("series", "step", "y", "x")
        np.testing.assert_array_equal(found["first"].values, made.values["first"])


def test_statistics_are_of_the_training_samples_alone(toy: SequenceDataset) -> None:
    made = Toy().build([])
    mean = made.values["target"][:, 2:36].mean()  # targets from the third day to 60 % of 60 days
    assert toy.statistics.mean[2] == pytest.approx(mean, rel=1e-6)
    assert toy.statistics.std[0] == pytest.approx(made.values["first"][:, :36].std(), rel=1e-5)


def test_a_batch_holds_the_inputs_before_its_target(toy: SequenceDataset) -> None:
    batches = loader(toy, "test")
    batch = batches.cases(batches.samples[:2])
    assert batch.history.shape == (2, 3, 2, 6, 6)
    assert batch.target is not None
    states = batches.inputs.denormalise(batch.history)[:, :, 0]
    expected = 280 + 5 * (states[:, -1] + states[:, -2]) / 2
    torch.testing.assert_close(batches.targets.denormalise(batch.target)[:, 0, 0], expected, atol=1e-3, rtol=0)


def test_every_sample_comes_once_a_pass_and_order_follows_the_seed(toy: SequenceDataset) -> None:
    batches = loader(toy)
    passes = np.concatenate([batches.order(number) for number in range(len(batches) // 4)])
    assert sorted(passes) == list(range(len(batches)))
    np.testing.assert_array_equal(passes[:4], loader(toy).order(0))


def test_balance_draws_positives_at_their_share(tmp_path: Path) -> None:
    dataset = prepare_sequences(ToyMask(base_rate=0.004), [], tmp_path / "mask.zarr")
    batches = loader(dataset, balance=0.5)
    positive = batches.positive()
    drawn = np.concatenate([batches.order(number) for number in range(20)])
    assert positive.mean() < 0.3
    assert positive[drawn].mean() == 0.5


def test_flips_turn_inputs_and_target_together(tmp_path: Path) -> None:
    dataset = prepare_sequences(ToyMask(), [], tmp_path / "mask.zarr")
    plain, flipped = loader(dataset), loader(dataset, flips=True)
    turned = 0
    for number in range(8):
        one, other = plain.load(number), flipped.load(number)
        assert one.target is not None
        assert other.target is not None
        dims = [d for d in ([], [-2], [-1], [-2, -1]) if torch.equal(one.history.flip(d), other.history)]
        assert any(torch.equal(one.target.flip(d), other.target) for d in dims)
        turned += not torch.equal(one.history, other.history)
    assert 2 <= turned <= 8


def test_no_positive_is_refused_with_its_count(tmp_path: Path) -> None:
    class Nothing(ToyMask):
        def target(self, mean: np.ndarray) -> np.ndarray:
            return np.zeros_like(mean)

    dataset = prepare_sequences(Nothing(), [], tmp_path / "none.zarr")
    with pytest.raises(BadDataError, match=r"0 of 136 training samples hold a positive"):
        loader(dataset)


def test_labels_are_0_or_1(tmp_path: Path) -> None:
    class Wrong(ToyMask):
        def target(self, mean: np.ndarray) -> np.ndarray:
            return np.where(mean > 0, 2.0, 0.0)

    with pytest.raises(BadDataError, match=r"target is 2 somewhere; labels are 0 or 1"):
        prepare_sequences(Wrong(), [], tmp_path / "wrong.zarr")
    assert not (tmp_path / "wrong.zarr").exists()


def test_series_too_short_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=r"no training sample of 70 steps"):
        prepare_sequences(Toy(length=70), [], tmp_path / "short.zarr")
