"""Spectra of known waves, and the distance of known ratios."""

from __future__ import annotations

import pytest
import torch

from weatherml.metrics.log_spectral_distance import (
    LogSpectralDistance,
    detrend,
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
    field = noise(2, 24, 31).double()
    half = torch.fft.rfft2(field).abs().square()
    whole = torch.fft.fft2(field).abs().square()
    k_y, k_x = torch.fft.fftfreq(24) * 24, torch.fft.fftfreq(31) * 24
    ring = (k_y.unsqueeze(-1).square() + k_x.square()).sqrt().round()
    expected = torch.stack([whole[:, ring == k].sum(-1) for k in range(1, 13)], -1)
    torch.testing.assert_close(radial_sum(half, 31), expected)


def test_twice_the_amplitude_is_six_decibels() -> None:
    truth = noise(1, N, N)
    # 10 log10(2^2) = 6.0206 dB in every bin
    assert distance(2 * truth.unsqueeze(1), truth) == pytest.approx(6.0206, abs=1e-4)


def test_a_plane_and_a_shift_do_not_count() -> None:
    truth = noise(1, N, N)
    tilted = truth + 100 + torch.linspace(0, 5, N) + torch.linspace(0, 9, N).unsqueeze(-1)
    assert distance(tilted.unsqueeze(1), truth) < 1e-3
    plane = torch.linspace(0, 5, N).double() + torch.linspace(-3, 9, 20, dtype=torch.float64).unsqueeze(-1)
    assert detrend(plane).abs().max() < 1e-6  # linspace in float32


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
