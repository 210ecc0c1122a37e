"""Decide each property of the colour: option, tag, the codec's rule, a guess, in this order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from sdr2hdr.errors import InputError, Notice
from sdr2hdr.media.bitstreams.bits import HeaderColour
from sdr2hdr.media.pixel_formats import Arrangement
from sdr2hdr.media.signalling.colour_codes import (
    MATRICES,
    NEAREST_SITINGS,
    PRIMARIES,
    TRANSFERS,
    matrix_name,
    primaries_name,
    transfer_name,
)
from sdr2hdr.media.signalling.colour_facts import D10_SIZE_625, ColourTags, PictureFacts, Tag
from sdr2hdr.media.source import Origin
from sdr2hdr.options import ColourOverrides
from sdr2hdr.signal import ChromaSiting, ColourRange, Matrix, Primaries, Subsampling, Transfer

__all__ = ["SITING_WORDS", "ColourDecision"]

DEFAULT_SITINGS = {
    "av1": ChromaSiting.LEFT,
    "dvvideo": ChromaSiting.TOP_LEFT,
    "h263": ChromaSiting.CENTRE,
    "h264": ChromaSiting.LEFT,
    "hevc": ChromaSiting.LEFT,
    "mjpeg": ChromaSiting.CENTRE,
    "mpeg1video": ChromaSiting.CENTRE,
    "mpeg2video": ChromaSiting.LEFT,
    "mpeg4": ChromaSiting.LEFT,
    "theora": ChromaSiting.CENTRE,
    "vc1": ChromaSiting.LEFT,
    "vp9": ChromaSiting.LEFT,
}
"""Where 4:2:0 chroma lies by the codec's own rule when the stream is silent."""

LIMITED_UNLESS_SAID = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vc1"})
"""Codecs whose standard says limited range where no flag is sent."""


class ColourDecision:
    """Collects the origin of each property, and what is to be said about it."""

    def __init__(self, facts: PictureFacts, overrides: ColourOverrides) -> None:
        self._facts = facts
        self._overrides = overrides
        self.origins: dict[str, Origin] = {}
        self.notices: list[Notice] = []

    def matrix(self, tag: Tag | None) -> Matrix | None:
        """Matrix by option or tag; None leaves it to the primaries."""
        if self._facts.layout.is_rgb:
            self.origins["matrix"] = "stream"
            return Matrix.RGB
        if self._overrides.matrix is not None:
            self.origins["matrix"] = "option"
            return self._overrides.matrix
        if tag is None:
            return None
        if tag.code not in MATRICES:
            raise InputError(
                f"The video's matrix is {matrix_name(tag.code)}; expected BT.709 or BT.601. "
                "--matrix says how to read it."
            )
        self.origins["matrix"] = tag.origin
        if self._facts.codec == "vp8" and self._facts.is_hd and tag.origin == "codec default":
            self._warn(
                "VP8 can name no other matrix than BT.601, so that is how this HD picture is "
                "read, though many such files were made as BT.709; --matrix changes this."
            )
        return MATRICES[tag.code]

    def primaries(self, tag: Tag | None) -> Primaries | None:
        """Primaries by option or tag; None leaves them to the matrix."""
        if self._overrides.primaries is not None:
            self.origins["primaries"] = "option"
            return self._overrides.primaries
        if tag is None:
            return None
        if tag.code not in PRIMARIES:
            raise InputError(
                f"The video's primaries are {primaries_name(tag.code)}; expected BT.709 or "
                "BT.601. --primaries says how to read them."
            )
        if tag.code == 22:
            self._warn(
                "The primaries are tagged EBU Tech 3213 (P22 phosphors) and read as BT.601 "
                "(525 lines), which differ little; --primaries changes this."
            )
        self.origins["primaries"] = tag.origin
        return PRIMARIES[tag.code]

    def matrix_from_primaries(self, primaries: Primaries | None) -> Matrix:
        """Matrix nobody names: what goes with the primaries, else with the picture size."""
        self.origins["matrix"] = "guess"
        if primaries is None:
            return Matrix.BT709 if self._facts.is_hd else Matrix.BT601
        return Matrix.BT709 if primaries is Primaries.BT709 else Matrix.BT601

    def primaries_from_matrix(self, matrix: Matrix) -> Primaries:
        """Primaries nobody names: those that usually come with the matrix at this size.

        A BT.601 matrix on an HD picture is what screen recorders and VP8 make of BT.709 light.
        """
        self.origins["primaries"] = "guess"
        if matrix is not Matrix.BT601 or self._facts.is_hd:
            return Primaries.BT709
        return _sd_primaries(self._facts.height_px, self._facts.rate)

    def transfer(self, tag: Tag | None) -> Transfer:
        """Display transfer by option or tag, else BT.1886."""
        if self._overrides.transfer is not None:
            self.origins["transfer"] = "option"
            return self._overrides.transfer
        if tag is None:
            self.origins["transfer"] = "guess"
            return Transfer.BT1886
        if tag.code not in TRANSFERS:
            raise InputError(
                f"The video's transfer is {transfer_name(tag.code)}; expected a display-referred "
                "SDR transfer. --transfer says how to read it."
            )
        self.origins["transfer"] = tag.origin
        return TRANSFERS[tag.code]

    def colour_range(self, sources: Iterable[tuple[Origin, ColourTags]]) -> ColourRange:
        """Range by option, tag, pixel format or codec, else limited, but full for grey.

        Stills of grey (TIFF, JPEG 2000, PGM) and cameras' raw grey cannot say it, and are full.
        """
        layout = self._facts.layout
        if self._overrides.colour_range is not None:
            self.origins["colour_range"] = "option"
            return self._overrides.colour_range
        for origin, tags in sources:
            if tags.colour_range:
                self.origins["colour_range"] = origin
                return ColourRange.FULL if tags.colour_range == 2 else ColourRange.LIMITED
        if layout.is_full_range or layout.is_rgb:
            self.origins["colour_range"] = "stream" if layout.is_full_range else "codec default"
            return ColourRange.FULL
        known = self._facts.codec in LIMITED_UNLESS_SAID
        self.origins["colour_range"] = "codec default" if known else "guess"
        is_full = layout.arrangement is Arrangement.GREY and not known
        return ColourRange.FULL if is_full else ColourRange.LIMITED

    def siting(self, header: HeaderColour | None) -> ChromaSiting:
        """Chroma siting by option, header, container or codec, else left."""
        if self._overrides.siting is not None:
            self.origins["siting"] = "option"
            return self._overrides.siting
        codec, layout = self._facts.codec, self._facts.layout
        if layout.arrangement is Arrangement.GREY or layout.subsampling is not Subsampling.YUV420:
            # 4:2:2 chroma is co-sited (Rec. ITU-R BT.601-7, 2.5.2), and 4:1:1 (SMPTE ST 314), but
            # in JPEG; 4:4:4 always is.
            self.origins["siting"] = "codec default"
            is_jpeg = codec == "mjpeg" and layout.subsampling in (
                Subsampling.YUV422,
                Subsampling.YUV411,
            )
            return ChromaSiting.CENTRE if is_jpeg else ChromaSiting.LEFT
        said = header.siting if header is not None else None
        origin: Origin = "stream"
        if said is None:
            said, origin = self._facts.siting, "container"
        if said is not None and said in NEAREST_SITINGS:
            if said > 2:
                step = "column" if said == 3 else "row"
                self._warn(
                    f"Chroma sample location type {said} is read as the nearest of types 0 to 2, "
                    f"{SITING_WORDS[NEAREST_SITINGS[said]]}, half a {step} of luma away; --siting "
                    "changes this."
                )
            self.origins["siting"] = origin
            return NEAREST_SITINGS[said]
        self.origins["siting"] = "codec default" if codec in DEFAULT_SITINGS else "guess"
        return DEFAULT_SITINGS.get(codec, ChromaSiting.LEFT)

    def tell_guesses(
        self,
        matrix: Matrix,
        primaries: Primaries,
        transfer: Transfer,
        colour_range: ColourRange,
        siting: ChromaSiting,
    ) -> None:
        """One warning for all that had to be guessed, so that none of them is overlooked."""
        readings: Mapping[str, tuple[str, str, str]] = {
            "matrix": ("matrix", matrix_name(matrix.value), "--matrix"),
            "primaries": ("primaries", primaries_name(primaries.value), "--primaries"),
            "transfer": ("transfer", TRANSFER_WORDS[transfer], "--transfer"),
            "colour_range": ("range", colour_range.value, "--range"),
            "siting": ("chroma siting", SITING_WORDS[siting], "--siting"),
        }
        guessed = [reading for key, reading in readings.items() if self.origins[key] == "guess"]
        if not guessed:
            return
        size = f"{self._facts.width_px}x{self._facts.height_px}"
        missing = " or ".join(name for name, _, _ in guessed)
        taken = ", ".join(f"{name} {value}" for name, value, _ in guessed)
        options = ", ".join(option for _, _, option in guessed)
        change = "change" if len(guessed) > 1 else "changes"
        self._warn(f"No tag for {missing}; {size} is taken as {taken}. {options} {change} this.")

    def _warn(self, text: str) -> None:
        self.notices.append(Notice("warning", text))


TRANSFER_WORDS = {
    Transfer.BT1886: "BT.1886",
    Transfer.GAMMA22: "gamma 2.2",
    Transfer.GAMMA28: "gamma 2.8",
    Transfer.SRGB: "sRGB",
    Transfer.PQ: "PQ",
}
SITING_WORDS = {
    ChromaSiting.LEFT: "left",
    ChromaSiting.CENTRE: "centre",
    ChromaSiting.TOP_LEFT: "top-left",
}


def _sd_primaries(height_px: int, rate: Fraction | None) -> Primaries:
    """BT.601 primaries by the size of the raster, or by the rate where the size is neither's."""
    if height_px in (288, 576, D10_SIZE_625[1]):
        return Primaries.BT601_625
    if height_px in (240, 243, 480, 486):
        return Primaries.BT601_525
    return Primaries.BT601_625 if rate in (25, 50) else Primaries.BT601_525
