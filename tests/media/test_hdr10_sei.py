"""HDR10's messages inside HEVC and AV1: built, found, replaced, and nothing else touched."""

from __future__ import annotations

import struct

import pytest

from sdr2hdr.media.bitstreams.hdr10_obu import (
    av1_light_level_offsets,
    obus_in,
    with_hdr_obus,
)
from sdr2hdr.media.bitstreams.hdr10_sei import (
    HdrSei,
    SeiMessage,
    content_light_payload,
    join_units,
    light_level_offsets,
    record_length_size,
    record_unit_places,
    record_units,
    record_with,
    sei_messages,
    sei_unit,
    split_units,
    unit_places,
    with_emulation,
    with_hdr_sei,
)
from sdr2hdr.media.bitstreams.resignalling import ColourCodes, Resignaller
from sdr2hdr.media.mastering import P3_D65_1000

MASTERING = P3_D65_1000.mdcv_payload()
LIGHT = content_light_payload(1000, 203)
BOTH = HdrSei(MASTERING, LIGHT)
PLACEHOLDER_UNIT = bytes.fromhex("4e0190047f7f7f7f80")
VPS, SPS, PPS, AUD = b"\x40\x01vps", b"\x42\x01sps", b"\x44\x01pps", b"\x46\x01\x50"
SLICE, OTHER_SLICE = b"\x26\x01slice\x80", b"\x26\x01more\x80"
TIMING = SeiMessage(1, b"\x11\x22")


def test_content_light_unit_as_the_standard_spells_it():
    payload = content_light_payload(32639, 32639)
    assert sei_unit([SeiMessage(144, payload)]) == PLACEHOLDER_UNIT
    assert sei_messages(PLACEHOLDER_UNIT) == [SeiMessage(144, b"\x7f" * 4)]


@pytest.mark.parametrize(
    ("plain", "coded"),
    [
        ("00000000", "0000030000"),
        ("000001", "00000301"),
        ("000003", "00000303"),
        ("000004", "000004"),
        ("0000000000", "000003000003" + "00"),
    ],
)
def test_emulation_prevention(plain: str, coded: str):
    assert with_emulation(bytes.fromhex(plain)).hex() == coded


def test_messages_survive_emulation_prevention_and_long_payloads():
    messages = [SeiMessage(137, MASTERING), SeiMessage(300, bytes(600)), SeiMessage(144, LIGHT)]
    unit = sei_unit(messages)
    assert not any(bytes((0, 0, last)) in unit for last in (0, 1, 2))
    assert sei_messages(unit) == messages


@pytest.mark.parametrize("length_size", [0, 2, 4])
def test_units_are_split_and_joined(length_size: int):
    units = [VPS, SPS, PLACEHOLDER_UNIT, SLICE]
    packet = join_units(units, length_size)
    assert split_units(packet, length_size) == units
    (offset,) = light_level_offsets(packet, unit_places(packet, length_size))
    assert packet[offset : offset + 4] == b"\x7f" * 4


def test_start_codes_of_three_bytes_and_zeros_between():
    packet = b"\0\0\1" + SPS + b"\0\0\0\0\1" + SLICE
    assert split_units(packet, 0) == [SPS, SLICE]


def test_a_packet_cut_short_is_refused():
    with pytest.raises(ValueError, match="beyond the packet"):
        split_units(join_units([SLICE], 4)[:-1], 4)


def test_messages_are_inserted_before_the_first_slice():
    changed = with_hdr_sei([AUD, VPS, SPS, PPS, SLICE, OTHER_SLICE], BOTH)
    assert changed[:4] == [AUD, VPS, SPS, PPS]
    assert changed[6:] == [SLICE, OTHER_SLICE]
    assert [sei_messages(unit) for unit in changed[4:6]] == [
        [SeiMessage(137, MASTERING)],
        [SeiMessage(144, LIGHT)],
    ]


def test_messages_are_replaced_and_their_neighbours_kept():
    crowded = sei_unit([TIMING, SeiMessage(144, b"\x7f" * 4)])
    untouched = sei_unit([SeiMessage(5, bytes(16) + b"text")])
    changed = with_hdr_sei([crowded, untouched, PLACEHOLDER_UNIT, SLICE], BOTH)
    found = [message for unit in changed[:-1] for message in sei_messages(unit)]
    assert found == [
        TIMING,
        SeiMessage(5, bytes(16) + b"text"),
        SeiMessage(137, MASTERING),
        SeiMessage(144, LIGHT),
    ]
    assert changed[1] == untouched
    assert with_hdr_sei(changed, BOTH) == changed


def test_what_is_not_given_stays():
    old = sei_unit([SeiMessage(137, bytes(range(24)))])
    changed = with_hdr_sei([old, PLACEHOLDER_UNIT, SLICE], HdrSei(None, LIGHT))
    assert changed == [old, sei_unit([SeiMessage(144, LIGHT)]), SLICE]


def hvcc(units: list[bytes]) -> bytes:
    head = bytes((1,)) + bytes(20) + bytes((0xFF,))
    arrays = [struct.pack(">BHH", u[0] >> 1 | 0x80, 1, len(u)) + u for u in units]
    return head + bytes((len(arrays),)) + b"".join(arrays)


def test_configuration_record():
    record = hvcc([VPS, SPS, PPS, PLACEHOLDER_UNIT])
    assert record_length_size(record) == 4
    assert record_units(record) == [VPS, SPS, PPS, PLACEHOLDER_UNIT]
    assert record_with(record, record_units(record)) == record
    (offset,) = light_level_offsets(record, record_unit_places(record))
    assert record[offset : offset + 4] == b"\x7f" * 4
    changed = record_with(record, with_hdr_sei(record_units(record), BOTH))
    assert len(record_units(changed)) == 5
    assert [sei_messages(u)[0].kind for u in record_units(changed)[3:]] == [137, 144]
    with pytest.raises(ValueError, match="cut short"):
        record_units(record[:-3])


def test_a_record_s_arrays_keep_whether_they_are_complete():
    """ISO/IEC 14496-15, 8.3.3.1.2: `array_completeness` is the first bit before a unit's kind."""
    general = hvcc([])[:-1]
    kinds = ((0x80 | 32, VPS), (33, SPS), (0x80 | 34, PPS))
    arrays = b"".join(struct.pack(">BHH", head, 1, len(unit)) + unit for head, unit in kinds)
    record = general + bytes([len(kinds)]) + arrays
    assert record_with(record, record_units(record)) == record
    sei = sei_unit([SeiMessage(144, LIGHT)])
    added = record_with(record, [*record_units(record), sei])
    assert added == general + bytes([4]) + arrays + struct.pack(">BHH", 39, 1, len(sei)) + sei


def test_later_frames_are_left_alone_unless_they_would_contradict():
    record = hvcc([VPS, SPS, PPS])
    stream = Resignaller("hevc", record, HdrSei(None, LIGHT), None)
    quiet = join_units([sei_unit([TIMING]), OTHER_SLICE], 4)
    assert stream.packet(quiet, is_key=False) == quiet
    loud = join_units([PLACEHOLDER_UNIT, OTHER_SLICE], 4)
    ours = sei_unit([SeiMessage(144, LIGHT)])
    assert stream.packet(loud, is_key=False) == join_units([ours, OTHER_SLICE], 4)
    key = join_units([SLICE, OTHER_SLICE], 4)
    assert stream.packet(key, is_key=True) == join_units([ours, SLICE, OTHER_SLICE], 4)
    assert record_units(stream.extradata) == [VPS, SPS, PPS, ours]
    assert not stream.colour_added


def test_a_codec_without_messages_is_copied():
    stream = Resignaller("ffv1", b"header", BOTH, None)
    assert stream.packet(b"frame", is_key=True) == b"frame"
    assert stream.extradata == b"header"


@pytest.mark.parametrize(
    ("said", "then"),
    [((0, 2, 1), (9, 16, 1)), ((1, 1, 1), (1, 1, 1)), ((2, 16, 0), (9, 16, 9))],
)
def test_prores_is_told_only_the_colour_that_it_leaves_out(
    said: tuple[int, int, int], then: tuple[int, int, int]
):
    """SMPTE RDD 36:2022: 14 bytes into the frame header; codes 0 and 2 mean unknown."""
    before = b"\0\0\0\x40icpf\0\x94\0\0apl0\0\x80\0\x40\x80\0"
    after = b"\x20\0" + bytes(40)
    stream = Resignaller("prores", None, BOTH, ColourCodes(9, 16, 9))
    changed = stream.packet(before + bytes(said) + after, is_key=True)
    assert changed == before + bytes(then) + after
    assert stream.colour_added == (said != then)


def test_levels_split_by_emulation_prevention_are_not_offered_for_patching():
    unit = sei_unit([SeiMessage(144, content_light_payload(256, 1))])
    assert len(unit) == len(PLACEHOLDER_UNIT) + 1
    assert sei_messages(unit) == [SeiMessage(144, content_light_payload(256, 1))]
    packet = join_units([unit, SLICE], 4)
    assert light_level_offsets(packet, unit_places(packet, 4)) == []


def obu(kind: int, payload: bytes, *, sized: bool = True) -> bytes:
    if not sized:
        return bytes((kind << 3,)) + payload
    return bytes((kind << 3 | 2, len(payload))) + payload


DELIMITER, SEQUENCE, FRAME = obu(2, b""), obu(1, b"sequence"), obu(6, b"frame")
OLD_LIGHT = obu(5, b"\x01\x7f\x7f\x7f\x7f\x80")
TIMECODE = obu(5, b"\x05abc\x80")


def test_av1_metadata_goes_behind_the_sequence_header():
    changed = with_hdr_obus(DELIMITER + SEQUENCE + FRAME, BOTH)
    assert changed.startswith(DELIMITER + SEQUENCE) and changed.endswith(FRAME)
    assert [unit.kind for unit in obus_in(changed)] == [2, 1, 5, 5, 6]
    (offset,) = av1_light_level_offsets(changed)
    assert changed[offset : offset + 4] == LIGHT
    assert with_hdr_obus(changed, BOTH) == changed


def test_av1_mastering_display_in_fixed_point():
    changed = with_hdr_obus(SEQUENCE + FRAME, HdrSei(MASTERING, None))
    unit = next(unit for unit in obus_in(changed) if unit.kind == 5)
    numbers = struct.unpack(">8H2I", changed[unit.payload + 1 : unit.end - 1])
    expected = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329)
    assert [n / 65536 for n in numbers[:8]] == [pytest.approx(x, abs=1e-5) for x in expected]
    assert numbers[8] == 1000 * 256
    assert numbers[9] / (1 << 14) == pytest.approx(0.0001, abs=1 / (1 << 15))


def test_av1_metadata_is_replaced_and_other_kept_whatever_the_sizes():
    last = obu(6, b"frame", sized=False)
    changed = with_hdr_obus(SEQUENCE + OLD_LIGHT + TIMECODE + last, HdrSei(None, LIGHT))
    assert changed == SEQUENCE + OLD_LIGHT.replace(b"\x7f" * 4, LIGHT) + TIMECODE + last


def test_av1_configuration_record():
    record = b"\x81\x00\x0c\x00"
    changed = Resignaller("av1", record + SEQUENCE, BOTH, None).extradata
    assert changed.startswith(record + SEQUENCE)
    (offset,) = av1_light_level_offsets(changed, 4)
    assert changed[offset : offset + 4] == LIGHT


def test_av1_unit_cut_short_is_refused():
    with pytest.raises(ValueError, match="cut short"):
        list(obus_in(SEQUENCE[:-1]))
