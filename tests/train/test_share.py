"""What each process computes of a step: all of it once, alike much for each."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weatherml.errors import ConfigError
from weatherml.fields import Batch
from weatherml.train.share import Share


@given(batch=st.integers(1, 6), accumulate=st.integers(1, 6), size=st.integers(1, 6), step=st.integers(0, 9))
def test_the_processes_compute_every_case_once(batch: int, accumulate: int, size: int, step: int) -> None:
    if batch * accumulate % size:
        with pytest.raises(ConfigError, match=f"{size} processes: do not divide a step"):
            Share.of(batch, accumulate, size=size)
        return
    shares = [Share.of(batch, accumulate, rank=rank, size=size) for rank in range(size)]
    dealt = [[(n, p) for n, pieces in share.microbatches(step) for p in pieces] for share in shares]
    assert len({len(each) for each in dealt}) == 1
    numbers = range(step * accumulate, (step + 1) * accumulate)
    assert sorted(unit for each in dealt for unit in each) == [(n, p) for n in numbers for p in range(shares[0].pieces)]
    assert sum(len(each) * shares[0].weight for each in dealt) == pytest.approx(size)  # a mean over the processes


def test_pieces_are_added_until_each_is_one_case() -> None:
    share, counts = Share.of(6, 1), []
    while share is not None:
        counts.append(share.pieces)
        share = share.smaller()  # type: ignore[assignment]
    assert counts == [1, 2, 3, 6]


def test_the_pieces_of_a_batch_are_the_batch() -> None:
    batch = Batch(
        history=torch.arange(4.0).view(4, 1, 1, 1, 1),
        forcing=torch.zeros(4, 1, 0, 1, 1),
        static=torch.zeros(2, 1, 1),
        valid_time=torch.arange(4).view(4, 1),
    )
    share = Share.of(4, 1, pieces=2)
    pieces = [share.cut(batch, piece) for piece in range(2)]
    assert torch.equal(torch.cat([piece.history for piece in pieces]), batch.history)
    assert torch.equal(torch.cat([piece.valid_time for piece in pieces]), batch.valid_time)
    assert all(piece.static is batch.static for piece in pieces)
