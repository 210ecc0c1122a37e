"""AAC as broadcasts wrap it, in LATM inside LOAS, given ADTS headers instead: the AAC stays.

No muxer here writes LATM, and libavformat has no filter that unwraps it. Sections are those of
ISO/IEC 14496-3. Of what LATM can hold this reads what broadcasts have: one frame of AAC a packet,
in one layer of one program.
"""

from __future__ import annotations

from dataclasses import dataclass

from sdr2hdr.media.bitstreams.bits import BitReader, EndOfBitsError

__all__ = ["LatmReader"]

_LOAS_SYNC, _LOAS_SYNC_BITS, _LOAS_LENGTH_BITS = 0x2B7, 11, 13
"""Section 1.7.2."""
_SBR, _PS = 5, 29
"""Audio object types that name what is added to the AAC that follows (1.5.1.1)."""
_AAC = range(1, 5)
"""Main, LC, SSR and LTP: audio object types for which ADTS has its two bits (1.A.2.2)."""
_OBJECT_TYPE_ESCAPE, _RATE_ESCAPE = 31, 15
"""Codes behind which the type, or the rate in Hz, is written out (1.6.2.1)."""
_LISTED_RATES = 13
"""Sampling rates that have an index (1.6.3.4)."""
_ADTS_HEADER_BYTES = 7


class _UnreadableError(ValueError):
    """Another kind of LATM than broadcasts have, or none."""


@dataclass(frozen=True)
class _AacForm:
    """What an ADTS header says of the AAC behind it."""

    object_type: int
    rate_index: int
    channels: int


class LatmReader:
    """Reads the packets of one stream in their order: most lean on what an earlier one has said."""

    def __init__(self) -> None:
        self._form: _AacForm | None = None

    def adts_frame(self, packet: bytes) -> bytes:
        """The AAC of a packet with an ADTS header (1.A.2.2).

        That SBR or PS is in the AAC is not said there; decoders find it, as in all ADTS.

        Args:
            packet: One AudioSyncStream (1.7.2).

        Returns:
            Nothing if it is damaged, of a kind that broadcasts do not have, or if no packet before
            it has said how to read it.
        """
        try:
            return self._read(packet)
        except (_UnreadableError, EndOfBitsError):
            return b""

    def _read(self, packet: bytes) -> bytes:
        bits = BitReader(packet)
        _require(bits.unsigned(_LOAS_SYNC_BITS) == _LOAS_SYNC)
        length_bytes = bits.unsigned(_LOAS_LENGTH_BITS)
        _require(length_bytes <= len(packet) - 3)
        uses_same_mux = bits.flag()
        if not uses_same_mux:
            self._form = None
            self._form = _stream_mux_config(bits)
        if self._form is None:
            raise _UnreadableError
        count = _payload_bytes(bits)
        _require(count > 0)  # libavformat's muxers fail at a header alone.
        payload = bits.unsigned(8 * count).to_bytes(count, "big")
        return _adts_header(self._form, count) + payload


def _stream_mux_config(bits: BitReader) -> _AacForm:
    """StreamMuxConfig (1.7.3)."""
    version = bits.unsigned(1)
    if version:
        _require(not bits.flag())  # audioMuxVersionA
        _latm_value(bits)  # taraBufferFullness
    bits.skip(1)  # allStreamsSameTimeFraming says nothing where there is one stream.
    _require(bits.unsigned(6) == 0)  # numSubFrames, less 1
    _require(bits.unsigned(4) == 0)  # numProgram, less 1
    _require(bits.unsigned(3) == 0)  # numLayer, less 1
    if version:
        count = _latm_value(bits)
        padding = -count % 8
        config = (bits.unsigned(count) << padding).to_bytes((count + padding) // 8, "big")
        form = _audio_specific_config(BitReader(config))
    else:
        form = _audio_specific_config(bits)
    _require(bits.unsigned(3) == 0)  # frameLengthType: each packet says its length.
    bits.skip(8)  # latmBufferFullness
    if bits.flag():  # otherDataPresent: it comes behind the AAC.
        if version:
            _latm_value(bits)
        else:
            while bits.flag():  # otherDataLenEsc
                bits.skip(8)
            bits.skip(8)
    if bits.flag():  # crcCheckPresent
        bits.skip(8)
    return form


def _latm_value(bits: BitReader) -> int:
    """LatmGetValue (1.7.3)."""
    return bits.unsigned(8 * (1 + bits.unsigned(2)))


def _audio_specific_config(bits: BitReader) -> _AacForm:
    """AudioSpecificConfig (1.6.2.1), with GASpecificConfig (4.4.1) inside."""
    object_type, rate_index = _object_type(bits), _rate_index(bits)
    channels = bits.unsigned(4)
    if object_type in (_SBR, _PS):
        _rate_index(bits)
        object_type = _object_type(bits)
    _require(object_type in _AAC)
    # Rates without an index, and channels that a list in the AAC would have to name.
    _require(rate_index < _LISTED_RATES and 0 < channels < 8)
    _require(not bits.flag())  # frameLengthFlag: 960 samples, which ADTS cannot say.
    if bits.flag():  # dependsOnCoreCoder
        bits.skip(14)
    _require(not bits.flag())  # extensionFlag is 0 for these types.
    return _AacForm(object_type, rate_index, channels)


def _object_type(bits: BitReader) -> int:
    code = bits.unsigned(5)
    return 32 + bits.unsigned(6) if code == _OBJECT_TYPE_ESCAPE else code


def _rate_index(bits: BitReader) -> int:
    index = bits.unsigned(4)
    if index == _RATE_ESCAPE:
        bits.skip(24)
    return index


def _payload_bytes(bits: BitReader) -> int:
    """PayloadLengthInfo (1.7.3) of a single stream."""
    count = 0
    while (part := bits.unsigned(8)) == 0xFF:
        count += part
    return count + part


def _adts_header(form: _AacForm, payload_bytes: int) -> bytes:
    """adts_fixed_header and adts_variable_header without a checksum (1.A.2.2)."""
    fields = (
        (0xFFF, 12),  # syncword
        (0, 1),  # ID: MPEG-4
        (0, 2),  # layer
        (1, 1),  # protection_absent
        (form.object_type - 1, 2),
        (form.rate_index, 4),
        (0, 1),  # private_bit
        (form.channels, 3),
        (0, 4),  # original_copy, home and the two of copyright identification
        (_ADTS_HEADER_BYTES + payload_bytes, 13),
        (0x7FF, 11),  # adts_buffer_fullness: of a variable bit rate
        (0, 2),  # number_of_raw_data_blocks_in_frame, less 1
    )
    header = 0
    for value, width in fields:
        header = header << width | value
    return header.to_bytes(_ADTS_HEADER_BYTES, "big")


def _require(holds: bool) -> None:
    if not holds:
        raise _UnreadableError
