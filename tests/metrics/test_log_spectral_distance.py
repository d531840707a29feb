"""Spectra of known waves, and the distance of known ratios."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from weatherml.metrics.log_spectral_distance import (
    LogSpectralDistance,
    detrend,
    fast_lengths,
    mean_power,
    power_spectrum,
    radial_sum,
)
from weatherml.metrics.once import once

N = 32
METRIC = LogSpectralDistance()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def known(field: torch.Tensor) -> torch.Tensor:
    return torch.ones(field.shape[0], *field.shape[-2:], dtype=torch.bool)


def distance(forecast: torch.Tensor, truth: torch.Tensor) -> float:
    return float(METRIC.value(METRIC.statistics(forecast, truth, known(truth), torch.ones(truth.shape[-2]))))


@pytest.mark.parametrize("axis", [-1, -2])
def test_a_wave_stands_at_its_wavenumber(axis: int) -> None:
    ramp = torch.arange(N) * (2 * torch.pi * 6 / N)
    wave = ramp.sin().expand(N, N) if axis == -1 else ramp.sin().unsqueeze(-1).expand(N, N)
    spectrum = power_spectrum(wave.unsqueeze(0).contiguous(), known(wave.unsqueeze(0)))
    assert spectrum.shape == (1, N // 2)
    assert int(spectrum.argmax()) == 5  # wavenumber 6 is the sixth bin
    assert float(spectrum[0, 4:7].sum() / spectrum.sum()) > 0.99  # the window spreads a line over three bins


def test_rings_hold_the_power_of_the_whole_plane() -> None:
    field = noise(24, 31).double().numpy()
    whole = np.abs(np.fft.fft2(field)) ** 2
    k_y, k_x = np.fft.fftfreq(24) * 24, np.fft.fftfreq(31) * 24
    ring = np.hypot(k_y[:, None], k_x).round()
    expected = [whole[ring == k].sum() for k in range(1, 13)]
    np.testing.assert_allclose(radial_sum(np.abs(np.fft.rfft2(field)) ** 2, 31, 24), expected)


def test_padding_to_fast_lengths_keeps_the_spectrum() -> None:
    """151 x 157 cells, both prime, become 160 x 160: rings of the same width, sampled more finely."""
    assert fast_lengths(151, 157) == (160, 160)
    fields = np.random.default_rng(0).normal(size=(20, 151, 157))
    window = np.outer(*(np.hanning(size + 2)[1:-1] for size in fields.shape[1:]))
    bare = np.mean([radial_sum(np.abs(np.fft.rfft2(detrend(field) * window)) ** 2, 157, 151) for field in fields], 0)
    (found,) = mean_power(fields[None], np.ones((1, *fields.shape[1:]), dtype=bool))
    assert found.sum() == pytest.approx(bare.sum(), rel=5e-3)
    # how many waves fall into one ring, of about 2 pi k, differs; not how many into fifteen
    np.testing.assert_allclose(found.reshape(5, 15).sum(1), bare.reshape(5, 15).sum(1), rtol=0.03)


def test_twice_the_amplitude_is_six_decibels() -> None:
    truth = noise(1, N, N)
    # 10 log10(2^2) = 6.0206 dB in every bin
    assert distance(2 * truth.unsqueeze(1), truth) == pytest.approx(6.0206, abs=1e-4)


def test_a_plane_and_a_shift_do_not_count() -> None:
    truth = noise(1, N, N)
    tilted = truth + 100 + torch.linspace(0, 5, N) + torch.linspace(0, 9, N).unsqueeze(-1)
    assert distance(tilted.unsqueeze(1), truth) < 1e-3
    plane = np.linspace(0, 5, N) + np.linspace(-3, 9, 20)[:, None]
    assert np.abs(detrend(plane)).max() < 1e-12


def test_members_keep_the_power_that_their_mean_loses() -> None:
    truth, members = noise(1, 64, 64), noise(1, 8, 64, 64, seed=1)
    assert distance(members, truth) < 1.5
    assert distance(members.mean(1, keepdim=True), truth) > 7  # 1/8 of the power: 9 dB


def test_no_power() -> None:
    truth, flat = noise(1, N, N), torch.full((1, N, N), 290.3)
    assert distance(flat.unsqueeze(1), truth) == pytest.approx(60.0)  # the limit in every bin
    assert torch.tensor(distance(flat.unsqueeze(1), flat)).isnan()


def test_mostly_unknown_cases_are_left_out() -> None:
    truth = noise(2, N, N)
    mask = known(truth)
    mask[1, : N // 2 + 1] = False
    value = METRIC.value(METRIC.statistics(2 * truth.unsqueeze(1), truth, mask, torch.ones(N)))
    assert value.isnan().tolist() == [False, True]


def test_once_computes_once_a_tensor_and_forgets_it() -> None:
    calls = []

    @once
    def double(field: torch.Tensor, factor: float) -> torch.Tensor:
        calls.append(factor)
        return field * factor

    field = noise(3)
    assert double(field, 2.0) is double(field, 2.0)
    double(field, 3.0)
    double(field.clone(), 2.0)
    assert calls == [2.0, 3.0, 2.0]
