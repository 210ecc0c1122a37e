"""What ffprobe and mediainfo say of every codec in every container it may go into."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from clips import ClipRecipe, make_clip

import sdr2hdr
from sdr2hdr.media.encoding.encoders import ENCODERS
from sdr2hdr.options import ConvertOptions, EncodeOptions

PAIRS = [
    (name, container)
    for name, spec in ENCODERS.items()
    if not spec.needs_gpu
    for container in spec.extensions
]
FAST = {"hevc": "ultrafast", "av1": "12"}


def reader(name: str) -> str:
    path = shutil.which(name)
    if path is None and not os.environ.get("SDR2HDR_REQUIRE_READERS"):
        pytest.skip(f"{name} is not installed")
    assert path is not None, f"{name} is not installed"
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    folder = tmp_path_factory.mktemp("readers")
    source = make_clip(
        folder / "source.mp4", ClipRecipe(width_px=256, height_px=144, pts=(0, 1, 2))
    )
    made = {}
    for codec, container in PAIRS:
        target = folder / f"{codec}{container}"
        encode = EncodeOptions(codec=codec, preset=FAST.get(codec))
        sdr2hdr.convert(source, target, ConvertOptions("bt2446a", encode=encode))
        made[codec, container] = target
    return made


@pytest.mark.parametrize(("codec", "container"), PAIRS)
def test_ffprobe_sees_hdr10(codec: str, container: str, files: dict):
    """MOV has no place for the range, and ProRes no full one: FFmpeg 7 says nothing of it."""
    arguments = [reader("ffprobe"), "-v", "error", "-select_streams", "v", "-of", "json"]
    arguments += ["-show_streams", "-show_frames", "-read_intervals", "%+#1"]
    said = json.loads(
        subprocess.run(
            [*arguments, files[codec, container]], capture_output=True, check=True
        ).stdout
    )
    stream, frame = said["streams"][0], said["frames"][0]
    for place in (stream, frame):
        assert place["color_primaries"] == "bt2020"
        assert place["color_transfer"] == "smpte2084"
        assert place["color_space"] == "bt2020nc"
        is_understood = codec.startswith("prores") and container == ".mov"
        assert place.get("color_range", "tv" if is_understood else None) == "tv"
    if "420" in stream["pix_fmt"]:
        assert stream["chroma_location"] == "topleft"
    side_data = {
        entry["side_data_type"]: entry
        for place in (stream, frame)
        for entry in place.get("side_data_list", [])
    }
    mastering = side_data["Mastering display metadata"]
    assert fraction(mastering["max_luminance"]) == pytest.approx(1000, rel=1e-3)
    assert fraction(mastering["red_x"]) == pytest.approx(0.68, abs=1e-4)
    levels = side_data["Content light level metadata"]
    assert 0 < levels["max_average"] <= levels["max_content"] <= 1004


def fraction(text: str) -> float:
    numerator, denominator = text.split("/")
    return int(numerator) / int(denominator)


@pytest.mark.parametrize(("codec", "container"), PAIRS)
def test_mediainfo_sees_hdr10(codec: str, container: str, files: dict):
    said = json.loads(
        subprocess.run(
            [reader("mediainfo"), "--Output=JSON", files[codec, container]],
            capture_output=True,
            check=True,
        ).stdout
    )
    video = next(track for track in said["media"]["track"] if track["@type"] == "Video")
    assert video["colour_primaries"] == "BT.2020"
    assert video["transfer_characteristics"] == "PQ"
    assert video["matrix_coefficients"] == "BT.2020 non-constant"
    assert video["MasteringDisplay_ColorPrimaries"] == "Display P3"
    assert "max: 1000 cd/m2" in video["MasteringDisplay_Luminance"]
    # The unit follows in some containers and not in others.
    max_cll, max_fall = (int(video[name].split()[0]) for name in ("MaxCLL", "MaxFALL"))
    assert 0 < max_fall <= max_cll <= 1004
