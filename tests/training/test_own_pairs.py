"""Pairs of a user's own: what their files say, and what is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from exr_files import write_exr
from small_trainings import SMALL, job, silent

from sdr2hdr.cli import run
from sdr2hdr.colour.transfer import pq_eotf
from sdr2hdr.errors import InputError
from sdr2hdr.media.reading.still_images import write_png
from sdr2hdr.training.loop import train
from sdr2hdr.training.pictures import read_sdr_pictures
from sdr2hdr.training.synthesis import PairFiles, RealPairs, find_pair_files, read_pair


@pytest.mark.parametrize(("white_cd_m2", "light"), [(None, 2.0), (1.0, 406.0), (100.0, 4.06)])
def test_an_exr_says_how_bright_its_white_is(white_cd_m2, light, tmp_path):
    """Those that `convert` writes, 1.0 being 1 cd/m2, were learned 203 times too bright."""
    files = PairFiles(tmp_path / "shot.png", tmp_path / "shot.exr")
    write_png(files.sdr, np.full((4, 6, 3), 99, np.uint8))
    write_exr(files.hdr, np.full((4, 6, 3), light, np.float32), white_cd_m2=white_cd_m2)
    (pair,) = read_pair(files)
    expected = torch.full_like(pair.hdr, 406.0)
    torch.testing.assert_close(pq_eotf(pair.hdr), expected, rtol=1e-3, atol=0.0)


@pytest.mark.parametrize(("transfer_code", "code"), [(None, 42), (13, 42), (1, 30)])
def test_a_frame_of_a_video_kept_as_png_is_no_photograph(transfer_code, code, tmp_path):
    """Its tag was not asked for: what `convert` takes for BT.1886 was learned as sRGB."""
    path = tmp_path / "shot.png"
    write_png(path, np.full((4, 6, 3), 30, np.uint8))
    if transfer_code is not None:
        chunk = b"cICP" + bytes((1, transfer_code, 0, 1))
        chunk = struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        png = path.read_bytes()
        path.write_bytes(png[:33] + chunk + png[33:])
    (picture,) = read_sdr_pictures(path)
    assert round(float(picture[0, 0, 0, 0]) * 255) == code


def write_video(path: Path, pictures: int, transfer_code: int) -> None:
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p10le"
        stream.codec_context.color_trc = transfer_code
        for _ in range(pictures):
            frame = av.VideoFrame(48, 32, "yuv420p10le")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_videos_of_different_lengths_are_refused(tmp_path):
    """Pictures at the same share of each were taken for the same moment."""
    files = PairFiles(tmp_path / "sdr" / "shot.mkv", tmp_path / "hdr" / "shot.mkv")
    write_video(files.sdr, 12, 1)
    write_video(files.hdr, 12, 16)
    assert len(read_pair(files, 8)) == 8
    write_video(files.hdr, 11, 16)
    told = r"sdr/shot\.mkv has 12 pictures and .*hdr/shot\.mkv 11; .*\(--pairs\)"
    with pytest.raises(InputError, match=told):
        read_pair(files, 8)


def test_pairs_are_found_beside_what_file_managers_leave(tmp_path):
    """A pair was made of what macOS leaves in every folder, and then could not be read."""
    sdr, hdr = tmp_path / "sdr", tmp_path / "hdr"
    for folder, suffix in ((sdr, "png"), (hdr, "exr")):
        folder.mkdir()
        for name in (f"shot.{suffix}", f"._shot.{suffix}", ".DS_Store"):
            (folder / name).touch()
    assert find_pair_files(sdr, hdr) == (PairFiles(sdr / "shot.png", hdr / "shot.exr"),)


def test_a_pair_of_three_files_is_refused(tmp_path):
    """What came last in the alphabet was taken: of shot.exr and shot.xml the latter."""
    for name in ("sdr/shot.png", "hdr/shot.exr", "hdr/shot.xml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"shot\.exr and shot\.xml have one name.*--watch"):
        find_pair_files(tmp_path / "sdr", tmp_path / "hdr", "--watch")


@pytest.mark.parametrize("sdr_px", [48, 44])
def test_an_error_about_watched_pairs_names_their_option(sdr_px, data, tmp_path):
    """It named --pairs, which may not even be given."""
    files = PairFiles(tmp_path / "sdr" / "shot.png", tmp_path / "hdr" / "shot.mkv")
    write_video(files.hdr, 1 if sdr_px == 44 else 2, 16)
    files.sdr.parent.mkdir()
    write_png(files.sdr, np.zeros((32, sdr_px, 3), np.uint8))
    with pytest.raises(InputError, match=r"\(--watch\)"):
        train(job(data, tmp_path / "out", watch=(files,)), silent)


def test_files_without_a_partner_are_told(data, tmp_path, capsys):
    """A name that was misspelt was missed in silence."""
    for name in ("sdr/a.png", "hdr/a.exr", *(f"sdr/b{n}.png" for n in range(6)), "hdr/b.exr"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    folders = [str(tmp_path / "sdr"), str(tmp_path / "hdr")]
    command = ["train", "irnet1", "--data", str(data), "--out", str(tmp_path / "out")]
    assert run([*command, "--steps", "0", "--watch", *folders]) == 3
    sdr = tmp_path / "sdr"
    names = ", ".join(str(sdr / f"b{number}.png") for number in range(5))
    told = f"warning: Left out, without a partner of the same name (--watch): {names} and 2 more."
    assert told in capsys.readouterr().err


def test_pairs_are_kept_in_16_bits(tmp_path):
    """Those of 4K took 200 MB each."""
    files = PairFiles(tmp_path / "sdr" / "shot.mkv", tmp_path / "hdr" / "shot.mkv")
    write_video(files.sdr, 8, 1)
    write_video(files.hdr, 8, 16)
    kept = RealPairs([files], SMALL.data, 1)._pairs
    assert sum(each.nbytes for pair in kept for each in pair) == 8 * 2 * 3 * 48 * 32 * 2
