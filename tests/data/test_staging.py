"""A buffer is lent to one at a time, and again only when the copy from it is done."""

from __future__ import annotations

import pytest
import torch

from weatherml.data.staging import Staging


class Event:
    """Stands for torch.cuda.Event; writes down what happens to it."""

    happened: list[str] = []  # noqa: RUF012 - shared by all, emptied by the fixture

    def record(self, stream: str) -> None:
        self.happened.append(f"record on {stream}")

    def synchronize(self) -> None:
        self.happened.append("wait")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Staging:
    """The buffers of a GPU that is not there."""
    Event.happened.clear()
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "the current stream")
    empty = torch.empty

    def pinned(shape: tuple[int, ...], *, dtype: torch.dtype, pin_memory: bool) -> torch.Tensor:
        assert pin_memory
        return empty(shape, dtype=dtype)

    monkeypatch.setattr(torch, "empty", pinned)
    return Staging(torch.device("cuda"))


def test_a_buffer_waits_for_its_copy(gpu: Staging) -> None:
    with gpu.lent((2, 3)) as one:
        assert Event.happened == []
    assert Event.happened == ["record on the current stream"]
    with gpu.lent((2, 3)) as again:
        assert again is one
        assert Event.happened[1:] == ["wait"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_buffer_comes_back_after_an_error(gpu: Staging, error: type[BaseException]) -> None:
    with pytest.raises(error), gpu.lent((2, 3)):
        raise error
    with gpu.lent((2, 3)):
        pass
    assert Event.happened == ["record on the current stream", "wait", "record on the current stream"]


def test_two_at_a_time_are_two_and_no_more() -> None:
    staging, seen = Staging(torch.device("cpu")), set()
    for _ in range(3):
        with staging.lent((4,)) as one, staging.lent((4,)) as other:
            assert one.data_ptr() != other.data_ptr()
            seen |= {one.data_ptr(), other.data_ptr()}
    assert len(seen) == 2


def test_another_shape_is_another_buffer() -> None:
    staging = Staging(torch.device("cpu"))
    for shape in ((2, 3), (4, 3), (2, 3)):
        with staging.lent(shape) as buffer:
            assert (buffer.shape, buffer.dtype) == (shape, torch.int16)
