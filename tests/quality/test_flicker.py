from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction

import pytest
import torch
from torch.nn import functional

from sdr2hdr.curves.bt2446a import bt2446a
from sdr2hdr.errors import GateError
from sdr2hdr.frames import FrameTime, RgbBatch, Timeline
from sdr2hdr.quality.flicker import (
    FlickerMeter,
    FlickerTally,
    ShotFlicker,
    check_flicker,
    joined_flicker,
    shot_flicker,
)
from sdr2hdr.signal import BT709_DISPLAY, HDR_DISPLAY

SIZE = (72, 128)
Method = Callable[[torch.Tensor], torch.Tensor]


def batch(pixels: torch.Tensor, *, hdr: bool = False) -> RgbBatch:
    times = tuple(FrameTime(number, 1) for number in range(len(pixels)))
    signal = HDR_DISPLAY if hdr else BT709_DISPLAY
    return RgbBatch(pixels, signal, Timeline(Fraction(1, 25), times))


def scene(seed: int, width: int = SIZE[1]) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((1, 3, 9, width // 8), generator=generator)
    return functional.interpolate(coarse, (SIZE[0], width), mode="bilinear")[0]


def eight_bits(frames: list[torch.Tensor]) -> torch.Tensor:
    return (torch.stack(frames).clamp(0, 1) * 255).round() / 255


def measured(sdr: torch.Tensor, method: Method) -> ShotFlicker:
    meter = FlickerMeter()
    meter.begin_shot(0)
    meter.add(batch(sdr), batch(method(sdr), hdr=True))
    return shot_flicker(meter.tallies()[0])


def pumping(sdr: torch.Tensor) -> torch.Tensor:
    """BT.2446-A, every other frame 1% brighter in PQ."""
    hdr = bt2446a(sdr)
    hdr[1::2] *= 1.01
    return hdr


def noise(count: int = 12, deviation: float = 4 / 255) -> torch.Tensor:
    generator = torch.Generator().manual_seed(9)
    return eight_bits(
        [scene(1) + deviation * torch.randn((3, *SIZE), generator=generator) for _ in range(count)]
    )


def test_over_noise_a_curve_flickers_by_its_slope():
    found = measured(noise(), bt2446a)
    assert found.frames == 11
    assert found.ratio is not None
    assert 1.0 < found.ratio < 3.0
    assert found.source_codes is not None
    assert found.source_codes > 0.1


def test_a_method_that_pumps_is_told():
    still = eight_bits([scene(1)] * 8)
    steady, restless = measured(still, bt2446a), measured(still, pumping)
    assert (steady.converted_codes, steady.ratio) == (0.0, 0.0)
    assert (steady.worst_codes, steady.worst_frame) == (0.0, 1)
    assert restless.still_share == 1.0
    assert restless.converted_codes == pytest.approx(876 * 0.01 * 0.45, rel=0.4)
    assert restless.converted_codes is not None
    assert restless.ratio == pytest.approx(restless.converted_codes / 0.1)
    over_noise = [measured(noise(), method).ratio or 0.0 for method in (bt2446a, pumping)]
    assert over_noise[1] > 2 * over_noise[0] > 0.0


def test_one_jump_is_found_at_its_frame():
    still = eight_bits([scene(1)] * 8)

    def jumping(sdr: torch.Tensor) -> torch.Tensor:
        hdr = bt2446a(sdr)
        hdr[5:] += 10 / 876
        return hdr

    found = measured(still, jumping)
    assert found.worst_frame == 5
    assert found.worst_codes == pytest.approx(10, abs=0.3)
    assert found.converted_codes == pytest.approx(10 / 7**0.5, abs=0.2)


def test_what_moves_is_no_flicker():
    wide = scene(2, 400)
    pan = eight_bits([wide[:, :, 6 * number : 6 * number + SIZE[1]] for number in range(12)])
    assert measured(pan, bt2446a).still_share < 0.35
    entering = []
    for number in range(10):
        frame = scene(1)
        frame[:, 10:60, : 8 * number] = 0.9
        entering.append(frame)
    found = measured(eight_bits(entering), bt2446a)
    assert found.converted_codes == 0.0
    assert 0.6 < found.still_share < 1.0


def test_what_a_network_does_beside_a_moving_edge_is_no_flicker():
    """A blur stands for a network: it mixes in what is a pixel away, and is steady else."""
    room, thing = scene(1), scene(2)
    frames = []
    for number in range(8):
        frame = room.clone()
        frame[..., : 6 * number] = thing[..., : 6 * number]
        frames.append(frame)
    sdr = eight_bits(frames)

    def blurred(pixels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(pixels, 3, stride=1, padding=1)

    shot = measured(sdr, lambda pixels: blurred(pixels))
    assert 0.5 < shot.still_share < 1.0
    assert shot.converted_codes == 0.0


def test_an_exposure_ramp_counts_in_both():
    frames = eight_bits([0.8 * (0.5 + 0.004 * number) * scene(3) for number in range(20)])
    steady, restless = measured(frames, bt2446a), measured(frames, pumping)
    assert steady.still_share > 0.9
    assert steady.ratio is not None
    assert 0.8 < steady.ratio < 2.5
    assert restless.ratio is not None
    assert restless.ratio > 1.5 * steady.ratio


def test_a_fade_is_change_and_no_flicker():
    frames = eight_bits([0.8 * (1.0 - number / 19) * scene(3) for number in range(20)])
    assert measured(frames, bt2446a).still_share < 0.1


def test_a_cut_is_no_flicker():
    frames = eight_bits([scene(1)] * 4 + [scene(2)] * 4)
    meter = FlickerMeter()
    for first in (0, 4):
        part = frames[first : first + 4]
        meter.begin_shot(first)
        meter.add(batch(part), batch(bt2446a(part), hdr=True))
    assert [tally.pairs for tally in meter.tallies()] == [3, 3]
    assert [shot_flicker(tally).converted_codes for tally in meter.tallies()] == [0.0, 0.0]


def test_parts_of_a_shot_join_to_the_whole():
    sdr = noise()
    hdr = pumping(sdr)
    whole = FlickerMeter()
    whole.begin_shot(7)
    whole.add(batch(sdr), batch(hdr, hdr=True))
    first, second = FlickerMeter(), FlickerMeter()
    first.begin_shot(7)
    first.add(batch(sdr[:5]), batch(hdr[:5], hdr=True))
    second.begin_shot(7, at_frame=10)
    second.add(batch(sdr[3:5]), batch(hdr[3:5], hdr=True), is_preroll=True)
    for number in range(5, len(sdr)):
        one = slice(number, number + 1)
        second.add(batch(sdr[one]), batch(hdr[one], hdr=True))
    (joined,) = joined_flicker((*first.tallies(), *second.tallies()))
    assert asdict(joined) == pytest.approx(asdict(whole.tallies()[0]))


def test_the_size_of_the_conversion_does_not_matter():
    sdr = noise(4)

    def larger(pixels: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(bt2446a(pixels), scale_factor=2.0, mode="nearest")

    assert measured(sdr, larger).converted_codes == pytest.approx(
        measured(sdr, bt2446a).converted_codes, rel=1e-3
    )


def test_the_gate_names_the_worst_shot():
    still = eight_bits([scene(1)] * 4)
    shots = [measured(still, bt2446a), measured(still, pumping)]
    nothing = shot_flicker(FlickerTally(9))
    assert nothing.ratio is None
    check_flicker(shots[:1], 1.5)
    check_flicker([nothing], 0.1)
    with pytest.raises(GateError, match="--max-flicker") as raised:
        check_flicker([*shots, nothing], 1.5)
    assert raised.value.exit_code == 9


def test_what_does_not_belong_together_is_refused():
    sdr = noise(2)
    with pytest.raises(ValueError, match="expected"):
        FlickerMeter().add(batch(sdr, hdr=True), batch(sdr, hdr=True))
    with pytest.raises(ValueError, match="as many"):
        FlickerMeter().add(batch(sdr), batch(sdr[:1], hdr=True))
