"""How the small exam set in `tests/data/exam` was made from the pictures that the full set names.

    python tests/exam_set.py HDR_DIR PAIRS_DIR tests/data/exam

Scenes are the exam's own straight views, 320 x 192, as half floats; pairs are averaged in linear
light to 336 px and cut to multiples of 8 px (SDR as PNG, HDR as lossless HEVC with 10 bits, PQ).
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from av.video.frame import VideoFrame

from sdr2hdr.colour.channels import apply_matrix
from sdr2hdr.colour.primaries import rgb_to_rgb_matrix
from sdr2hdr.colour.transfer import bt1886_eotf, srgb_inverse_eotf
from sdr2hdr.media.reading.still_images import write_png
from sdr2hdr.signal import Primaries
from sdr2hdr.training.randomness import generator
from sdr2hdr.training.scenes import find_scenes
from sdr2hdr.training.synthesis import PairFiles, SceneStore, read_pair
from sdr2hdr.training.validation import frames_of_pairs
from sdr2hdr.training.views import look_straight

SCENES = (
    "st_peters_square_night",
    "dancing_hall",
    "chinese_garden",
    "potsdamer_platz",
    "rainforest_trail",
    "leadenhall_market",
    "oexr_StillLife",
    "oexr_GoldenGate",
)
HEIGHT_PX, WIDTH_PX = 192, 320
LONGEST_PAIR_PX = 340


def write_exr(path: Path, light: torch.Tensor) -> None:
    """Write (1, 3, H, W) BT.709 light as half floats, ZIP-compressed."""
    pixels = light[0].permute(1, 2, 0).clamp(max=65000.0).numpy()
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels, np.float32), format="gbrpf32le")
    encoder = av.CodecContext.create("exr", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "gbrpf32le"
    encoder.time_base = Fraction(1)
    encoder.options = {"format": "half", "compression": "zip16"}
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    path.write_bytes(b"".join(bytes(packet) for packet in packets))


def write_pq(path: Path, pq: torch.Tensor) -> None:
    """Write (1, 3, H, W) PQ R'G'B' as one lossless picture of 10 bits."""
    codes = (pq[0].clamp(0, 1) * 1023.0).round().permute(1, 2, 0).numpy().astype(np.uint16)
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx265", rate=1)
        stream.width, stream.height, stream.pix_fmt = codes.shape[1], codes.shape[0], "gbrp10le"
        stream.options = {
            "preset": "veryslow",
            "x265-params": "lossless=1:log-level=none:info=0:colorprim=9:transfer=16"
            ":colormatrix=0:range=full",
        }
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = 9, 16, 0
        context.color_range = 2
        frame = VideoFrame.from_ndarray(codes, format="gbrp10le")
        frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range = 9, 16, 0, 2
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main(hdr: Path, pairs: Path, out: Path) -> None:
    (out / "sdr").mkdir(parents=True, exist_ok=True)
    (out / "hdr").mkdir(exist_ok=True)
    (out / "scenes").mkdir(exist_ok=True)
    scenes = {scene.name: scene for scene in find_scenes(hdr)}
    to_709 = rgb_to_rgb_matrix(Primaries.BT2020, Primaries.BT709)
    for name in SCENES:
        picture = SceneStore([scenes[name]]).pictures(0)[0]
        yaw = 360.0 * float(generator(20_446, name).random())
        view = look_straight(picture, HEIGHT_PX, WIDTH_PX, yaw)
        # The darkest half float of full precision is 6e-5: keep the picture's middle well above.
        middle = float(view.median())
        gain = 2.0 ** round(float(np.log2(0.18 / max(middle, 1e-6))))
        write_exr(out / "scenes" / f"{name}.exr", apply_matrix(to_709, view * gain))
    for sdr in sorted(pairs.glob("uhdr_*")):
        found = read_pair(PairFiles(sdr, hdr / "display" / f"{sdr.stem}.exr"))
        (frame,) = frames_of_pairs([sdr.stem], found, LONGEST_PAIR_PX, 1)
        rows, columns = (side // 8 * 8 for side in frame.pair.sdr.shape[2:])
        signal = frame.pair.sdr[:, :, :rows, :columns]
        # The reader takes PNG as sRGB.
        coded = srgb_inverse_eotf(bt1886_eotf(signal))[0].permute(1, 2, 0)
        write_png(out / "sdr" / f"{sdr.stem}.png", (coded * 255).round().byte().numpy())
        write_pq(out / "hdr" / f"{sdr.stem}.mkv", frame.pair.hdr[:, :, :rows, :columns])


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
