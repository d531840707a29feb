from __future__ import annotations

import torch

from weatherml.nn.embedding import FREQUENCIES, LevelEmbedding


def test_levels_that_a_sampler_tells_apart_stay_apart() -> None:
    c_noise = torch.linspace(-1.2, 1.1, 17)  # sixteen levels from 0.01 to 80, ln(sigma) / 4
    angles = c_noise[:, None] * LevelEmbedding(8).frequencies
    sines = torch.cat([angles.cos(), angles.sin()], dim=1)
    distance = torch.cdist(sines, sines) + 10 * torch.eye(17)
    assert distance.min() > 0.3  # of vectors of length sqrt(16) = 4


def test_one_vector_a_case() -> None:
    vectors = LevelEmbedding(64)(torch.tensor([0.01, 80.0]).log() / 4)
    assert vectors.shape == (2, 64, 1, 1)
    assert not torch.equal(vectors[0], vectors[1])


def test_the_frequencies_are_even_from_a_quarter_to_sixteen() -> None:
    frequencies = LevelEmbedding(8).frequencies
    assert len(frequencies) == FREQUENCIES
    torch.testing.assert_close(frequencies[[0, -1]], torch.tensor([0.25, 16.0]))
    ratios = frequencies[1:] / frequencies[:-1]
    torch.testing.assert_close(ratios, torch.full_like(ratios, 64 ** (1 / (FREQUENCIES - 1))))
    assert not LevelEmbedding(8).state_dict().keys() & {"frequencies"}
