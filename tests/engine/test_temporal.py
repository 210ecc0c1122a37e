from __future__ import annotations

import pytest
import torch

from sdr2hdr.engine.temporal import ShotMemory, preroll_frames


def smoothed(memory: ShotMemory, vectors: torch.Tensor) -> torch.Tensor:
    """A single vector along frames, (N, K)."""
    results = []
    for vector in vectors:
        results.append(memory.smooth("gate", vector[None]))
        memory.end_frame()
    return torch.cat(results)


def chained(memory: ShotMemory, frames: torch.Tensor) -> torch.Tensor:
    """Two vectors, the second made of what the first one became, as in IRNet-2."""
    results = []
    for frame in frames:
        first = memory.smooth("first", torch.sigmoid(frame[None]))
        second = memory.smooth("second", torch.tanh(frame[None] * first * 3))
        results.append(torch.cat((first, second), 1))
        memory.end_frame()
    return torch.cat(results)


def test_average_of_the_last_frames():
    vectors = torch.rand((20, 5), generator=torch.Generator().manual_seed(1))
    result = smoothed(ShotMemory(6), vectors)
    for frame in range(20):
        expected = vectors[max(0, frame - 5) : frame + 1].double().mean(0)
        torch.testing.assert_close(result[frame].double(), expected, atol=1e-7, rtol=0)
    assert torch.equal(result[0], vectors[0])


def test_a_shot_forgets_the_one_before():
    vectors = torch.rand((12, 3), generator=torch.Generator().manual_seed(2))
    memory = ShotMemory(6)
    smoothed(memory, vectors[:7])
    memory.begin_shot()
    assert torch.equal(smoothed(memory, vectors[7:]), smoothed(ShotMemory(6), vectors[7:]))


def test_constant_vectors_stay_as_they_are():
    vector = torch.rand((1, 64), generator=torch.Generator().manual_seed(3))
    result = smoothed(ShotMemory(16), vector.repeat(40, 1))
    assert torch.equal(result, vector.repeat(40, 1))


def test_length_one_changes_nothing():
    vectors = torch.rand((9, 4), generator=torch.Generator().manual_seed(4))
    assert torch.equal(smoothed(ShotMemory(1), vectors), vectors)


@pytest.mark.parametrize("length", [1, 2, 5, 16])
def test_preroll_is_enough_to_the_bit_and_not_too_much(length: int):
    frames = torch.randn((90, 8), generator=torch.Generator().manual_seed(5))
    whole = chained(ShotMemory(length), frames)
    preroll = preroll_frames(2, length)
    for start in (preroll, 50):
        part = chained(ShotMemory(length), frames[start - preroll :])
        assert torch.equal(part[preroll:], whole[start:])
    if preroll:
        part = chained(ShotMemory(length), frames[50 - preroll + 1 :])
        assert not torch.equal(part[preroll - 1], whole[50])


def test_a_chain_of_none_needs_no_preroll():
    assert preroll_frames(0) == 0


def test_memory_of_a_backend_may_be_used_again():
    memory = ShotMemory(4)
    buffer = torch.ones((1, 2))
    memory.smooth("prior", buffer)
    memory.end_frame()
    buffer.fill_(3.0)
    assert torch.equal(memory.smooth("prior", buffer), torch.full((1, 2), 2.0))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="1 or more"):
        ShotMemory(0)
    memory = ShotMemory(4)
    with pytest.raises(ValueError, match="one frame"):
        memory.smooth("gate", torch.zeros((2, 3)))
    memory.smooth("gate", torch.zeros((1, 3)))
    with pytest.raises(ValueError, match="twice"):
        memory.smooth("gate", torch.zeros((1, 3)))
