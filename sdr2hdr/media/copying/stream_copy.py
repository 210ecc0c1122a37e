"""Carry the streams that are not converted from the source to the output, packet by packet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from fractions import Fraction
from functools import partial
from itertools import chain, pairwise
from math import lcm
from pathlib import Path
from typing import Self

import av.error
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream

from sdr2hdr.errors import InputError
from sdr2hdr.media.containers.codec_delay import delayed_stream
from sdr2hdr.media.containers.container_trial import (
    add_copied_stream,
    codec_name,
    is_attached_picture,
)
from sdr2hdr.media.containers.format_names import is_matroska
from sdr2hdr.media.containers.matroska_enabled import disabled_tracks
from sdr2hdr.media.containers.matroska_languages import full_languages, language_with_room
from sdr2hdr.media.containers.packets import with_data
from sdr2hdr.media.copying.display_sets import PGS_CODEC, whole_display_sets
from sdr2hdr.media.copying.latm_sound import latm_unwrapper, open_as_adts
from sdr2hdr.media.copying.linear_pcm import add_plain_pcm, plain_samples
from sdr2hdr.media.copying.metadata import stream_tags
from sdr2hdr.media.copying.packet_clock import PacketClock
from sdr2hdr.media.copying.shown_before import ShownBefore
from sdr2hdr.media.copying.sound_length import sound_seconds
from sdr2hdr.media.copying.stream_decision import COPIED_ACTIONS
from sdr2hdr.media.copying.stream_plan import PlannedStream, StreamPlan
from sdr2hdr.media.copying.subtitles import MOV_TEXT_HEADER, converted_cue, mov_text_is_empty
from sdr2hdr.media.opening import demuxed, open_input
from sdr2hdr.media.reading.later_streams import stream_under_way
from sdr2hdr.media.reading.spliced_clock import SplicedClock, streams_with

__all__ = ["StreamCopier"]

_LOOSE_INTERLEAVING_SECONDS = Fraction(10)
"""How far behind the end of a time range packets from before the end are still looked for."""
_COVERS = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
_NANOSECOND = Fraction(1, 1_000_000_000)
_COARSE_TIMESCALE = 1000
_MOST_TICKS = (1 << 31) - 1
"""Of a duration that libavformat writes into MP4 and MOV."""


class StreamCopier:
    """Copies the planned streams of a source; a context manager.

    Call `add_stream` for each stream in the order of the output, write the output's header, then
    `advance` as the video proceeds and `finish` behind it.

    Args:
        path: The source, which is opened a second time.
        plan: What becomes of its streams.

    Attributes:
        disabled: Indices of streams of the source that are not to be played.
        counts: Packets written, by stream index of the source.
        undecodable: Packets of sound that could not be made plain, or unwrapped, and are left out.
        damaged_cues: Subtitles converted as far as they could be read.
        damage: What ended reading early, None if nothing did.

    Raises:
        InputError: The source cannot be opened.
    """

    def __init__(self, path: Path, plan: StreamPlan) -> None:
        self._path = path
        self._plan = plan
        self._resources = ExitStack()
        self._source = self._resources.enter_context(open_input(path))
        self._full_languages = full_languages(path, self._source)
        reads_matroska = is_matroska(self._source.format.name)
        self.disabled = disabled_tracks(path) if reads_matroska else frozenset()
        self._targets: dict[int, tuple[OutputContainer, Stream]] = {}
        self._converting: set[int] = set()
        self._unwrappers: dict[int, Callable[[Packet], bytes]] = {}
        self._sounds: dict[int, AudioCodecContext] = {}
        self._clock = PacketClock(plan)
        self._packets: Generator[Packet] | None = None
        self._pending: Packet | None = None
        self.counts: Counter[int] = Counter()
        self.undecodable = 0
        self.damaged_cues = 0
        self.damage: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the source."""
        if self._packets is not None:
            self._packets.close()
        self._resources.close()

    @property
    def repaired(self) -> int:
        """Packets whose decoding time had to be moved: see `PacketClock`."""
        return self._clock.repaired

    @property
    def source_metadata(self) -> Mapping[str, str]:
        """The tags of the source as a whole."""
        return self._source.metadata

    def stream_metadata(self, index: int) -> Mapping[str, str]:
        """The tags of one of the source's streams, for the output's muxer.

        Matroska's full language tags come with room, for `write_full_languages`. The video's come
        with the reel of the timecode track, which libavformat makes anew of them.
        """
        tags: Mapping[str, str] = self._source.streams[index].metadata
        if self._source.streams[index].type == "video":
            tags = {**self._reel, **tags}
        if not self._is_matroska or index not in self._full_languages:
            return tags
        language = language_with_room(tags.get("language"), self._full_languages[index])
        return {**tags, "language": language}

    @property
    def _reel(self) -> Mapping[str, str]:
        """The tag of the reel that a timecode track names."""
        tracks = (stream.metadata for stream in self._source.streams if stream.type == "data")
        name = next((tags["reel_name"] for tags in tracks if "reel_name" in tags), None)
        return {} if name is None else {"reel_name": name}

    def stream_disposition(self, index: int) -> Disposition:
        """The disposition of one of the source's streams."""
        return self._source.streams[index].disposition

    def movie_timescale(self, timescale: int) -> int:
        """Ticks a second of the movie in an MP4 or MOV, in which edit lists and chapters count.

        Timestamps before 0 (B-frames, the priming of audio codecs) become edit lists: a common
        multiple of the tracks' clocks keeps all starts exact. But libavformat leaves out a chapter
        that lasts longer than 31 bits of ticks, and misplaces those behind it.

        Args:
            timescale: Ticks a second of the video track.
        """
        # Sound that nothing here decodes has no context, and is not copied into MP4.
        contexts = [stream.codec_context for stream in self._source.streams.audio]
        rates = {context.rate for context in contexts if context is not None and context.rate}
        chapters = [(first, last) for first, last, _ in self._chapters()]
        lengths = [last - first for first, last in chapters]
        lengths += [behind[0] - before[0] for before, behind in pairwise(chapters)]
        longest_seconds = max(lengths, default=Fraction(0))
        for movie in (lcm(timescale, *rates), timescale):
            if max(movie, movie * longest_seconds) <= _MOST_TICKS:
                return movie
        return _COARSE_TIMESCALE

    def add_stream(self, planned: PlannedStream, output: OutputContainer) -> None:
        """Add a stream to the output if the plan keeps it as one."""
        if planned.action not in COPIED_ACTIONS:
            return
        stream = self._source.streams[planned.source.index]
        if planned.action == "attach":
            self._attach(stream, output)
            return
        if planned.action in ("copy", "unwrap-audio"):
            template = self._template(planned, stream)
            target = add_copied_stream(output, template)
            if isinstance(template, AudioStream) and template.codec_context is not None:
                self._sounds[stream.index] = template.codec_context
        elif planned.action == "convert-audio":
            target, channels = add_plain_pcm(output, planned.codec, stream)
            self._unwrappers[stream.index] = partial(plain_samples, channels=channels)
            self._sounds[stream.index] = target.codec_context
        elif planned.codec == "mov_text":
            target = output.add_stream("mov_text")
            target.codec_context.subtitle_header = MOV_TEXT_HEADER
        else:
            target = output.add_mux_stream(planned.codec)
        if planned.action == "convert-subtitle":
            target.time_base = stream.time_base
            self._converting.add(stream.index)
        target.disposition = stream.disposition
        target.metadata.clear()
        target.metadata.update(
            stream_tags(
                self.stream_metadata(stream.index),
                self._plan.container_format,
                is_changed=self._is_cut,
            )
        )
        if stream.type != "attachment":
            self._targets[stream.index] = (output, target)

    def add_chapters(self, output: OutputContainer) -> None:
        """Give the output the source's chapters, as far as they lie in the time range."""
        output.set_chapters(
            [
                {
                    "id": number,
                    "start": round(first / _NANOSECOND),
                    "end": round(last / _NANOSECOND),
                    "time_base": _NANOSECOND,
                    "metadata": metadata,
                }
                for number, (first, last, metadata) in enumerate(self._chapters(), 1)
            ]
        )

    def _chapters(self) -> Iterator[tuple[Fraction, Fraction, dict[str, str]]]:
        """Start and end of each chapter in seconds of the output, and its tags."""
        shift, end = self._plan.shift_seconds, self._plan.end_seconds
        for chapter in self._source.chapters():
            time_base = chapter["time_base"] or _NANOSECOND
            first = chapter["start"] * time_base - shift
            last = chapter["end"] * time_base - shift
            first, last = max(first, Fraction(0)), last if end is None else min(last, end)
            if last > first or (last == first and not self._is_cut):
                yield first, last, chapter["metadata"]

    def advance(self, until_seconds: Fraction) -> None:
        """Copy what is to be decoded up to a time of the output.

        Raises:
            OSError: The output cannot be written (libav's errors among them).
        """
        while (packet := self._peek()) is not None:
            decoded_at = self._clock.seconds(
                packet.dts if packet.dts is not None else packet.pts, packet
            )
            if decoded_at is not None and decoded_at > until_seconds:
                return
            self._pending = None
            self._copy(packet)

    def finish(self) -> None:
        """Copy everything that is left.

        Raises:
            OSError: The output cannot be written (libav's errors among them).
        """
        while (packet := self._peek()) is not None:
            self._pending = None
            self._copy(packet)

    @property
    def _is_cut(self) -> bool:
        return self._plan.start_seconds is not None or self._plan.end_seconds is not None

    @property
    def _is_matroska(self) -> bool:
        return self._plan.container_format == "matroska"

    def _template(self, planned: PlannedStream, stream: Stream) -> Stream:
        """What the output's stream is modelled on."""
        if planned.action == "unwrap-audio":
            aac = self._resources.enter_context(open_as_adts(self._path, stream))
            if aac is None:
                raise InputError(
                    f"{self._path} has changed: stream {stream.index} is no longer AAC."
                )
            self._unwrappers[stream.index] = latm_unwrapper()
            stream = aac.stream
        else:
            stream = self._resources.enter_context(stream_under_way(self._path, stream))
        if (
            not isinstance(stream, AudioStream)
            or planned.priming_seconds <= 0
            or not self._is_matroska
            or stream.codec_context.delay
        ):
            return stream
        described = delayed_stream(stream, planned.priming_seconds)
        self._resources.callback(described.close)
        return described.streams[0]

    def _attach(self, stream: Stream, output: OutputContainer) -> None:
        """Cover art as an attachment of its own name, or of the one that players look for."""
        codec = codec_name(stream)
        name, mimetype = _COVERS.get(codec, (f"cover.{codec}", f"image/{codec}"))
        with open_input(self._path) as source:
            packets = demuxed(source, [source.streams[stream.index]])
            picture = next((bytes(packet) for packet in packets if packet.size), b"")
        tags = stream.metadata
        attachment = output.add_attachment(
            tags.get("filename", name), tags.get("mimetype", mimetype), picture
        )
        if "title" in tags:
            attachment.metadata["title"] = tags["title"]

    def _peek(self) -> Packet | None:
        """The packet to be copied next; it stays in `_pending` until it is."""
        if self._packets is None:
            self._packets = self._read()
        if self._pending is None:
            self._pending = next(self._packets, None)
        return self._pending

    def _read(self) -> Generator[Packet]:
        """The packets of all copied streams, up to the end of the time range."""
        copied = [stream for stream in self._source.streams if stream.index in self._targets]
        if not copied:
            return
        read = streams_with(self._source, copied)
        for stream in self._source.streams:
            if stream not in read:
                stream.discard = Discard.all
        start, end = self._plan.start_seconds, self._plan.end_seconds
        shown = None if start is None else ShownBefore(start + self._plan.shift_seconds)
        try:
            for packet in self._placed(copied):
                at = self._clock.seconds(packet.dts, packet)
                if end is not None and at is not None and at > end + _LOOSE_INTERLEAVING_SECONDS:
                    return
                if shown is not None and start is not None:
                    if shown.holds(packet):
                        continue
                    # Whatever else has come as far is interleaved behind what is on the screen.
                    if at is not None and at >= start:
                        yield from shown.released()
                yield packet
        except (av.error.FFmpegError, OSError) as error:
            self.damage = f"{self._path.name} cannot be read to its end: {error.strerror}"
        if shown is not None:
            yield from shown.released()

    def _placed(self, copied: list[Stream]) -> Iterator[Packet]:
        """The packets of the copied streams, on a clock that does not jump."""
        converted = (each for each in self._plan.streams if each.action == "convert")
        video = next((each.source.index for each in converted), -1)
        clock = SplicedClock(self._source, video)
        read = (packet for packet in clock.demuxed(copied) if packet.size)
        late = (each for each in clock.rest() if each.stream.index in self._targets)
        streams = (each.source for each in self._plan.streams)
        pgs = {each.index for each in streams if each.codec == PGS_CODEC}
        yield from whole_display_sets(chain(read, late), pgs)

    def _copy(self, packet: Packet) -> None:
        index = packet.stream.index
        output, target = self._targets[index]
        if (unwrap := self._unwrappers.get(index)) is not None:
            # Of packets outside the time range too: in LATM later ones lean on what they say.
            data = unwrap(packet)
            if not data:
                self.undecodable += self._clock.place(packet, target)
                return
            packet = _with_bytes(packet, data)
        if is_attached_picture(packet.stream):
            packet.pts = packet.dts = 0
        elif not self._clock.place(packet, target, sound_seconds(packet, self._sounds.get(index))):
            return
        if index in self._converting:
            cue = converted_cue(bytes(packet), self._plan.container_format)
            if cue is None:
                return
            self.damaged_cues += cue.is_damaged
            packet = _with_bytes(packet, cue.data)
        elif codec_name(packet.stream) == "mov_text" and mov_text_is_empty(bytes(packet)):
            return  # The muxer writes its own gaps between texts.
        packet.stream = target
        output.mux_one(packet)
        self.counts[index] += 1


def _with_bytes(packet: Packet, data: bytes) -> Packet:
    """A packet with other bytes, of the same stream and with the same times."""
    copy = with_data(packet, data)
    copy.stream = packet.stream
    copy.is_keyframe = True
    return copy
