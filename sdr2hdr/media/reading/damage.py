"""Count what is broken in a stream, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

from sdr2hdr.errors import InputError

__all__ = ["Damage", "DamageCounter", "strict_error"]


@dataclass(frozen=True)
class Damage:
    """What was found broken while a stream was decoded.

    Attributes:
        packets_failed: Packets that the decoder or the demuxer could make nothing of.
        frames_corrupt: Frames that came, but with parts made up by the decoder.
        frames_lost: Frames that the container has and the decoder never gave.
        first_time_seconds: Of the first of these, from the start of the file; None without any.
    """

    packets_failed: int = 0
    frames_corrupt: int = 0
    frames_lost: int = 0
    first_time_seconds: float | None = None

    def __bool__(self) -> bool:
        return bool(self.packets_failed or self.frames_corrupt or self.frames_lost)

    def __str__(self) -> str:
        if not self:
            return "no damage"
        parts = [
            f"{count} {noun if count == 1 else nouns} {what}"
            for count, noun, nouns, what in (
                (self.packets_failed, "packet", "packets", "not decodable"),
                (self.frames_lost, "frame", "frames", "lost"),
                (self.frames_corrupt, "frame", "frames", "damaged but shown"),
            )
            if count
        ]
        when = ""
        if self.first_time_seconds is not None:
            when = f", first at {self.first_time_seconds:.3f} s"
        return ", ".join(parts) + when


class DamageCounter:
    """Adds up the damage; under `--strict` the first is an error.

    Args:
        is_strict: Whether it is.
        start_seconds: Damage before this time, from the start of the file, is not counted: frames
            there are decoded only to get to a range. None counts from the beginning.
        end_seconds: Nor is damage from this time on. None counts to the end.

    Attributes:
        met: How often damage was met, counted or not.
    """

    def __init__(
        self,
        *,
        is_strict: bool,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
    ) -> None:
        self._is_strict = is_strict
        self._start = start_seconds
        self._end = end_seconds
        self.met = 0
        self._packets_failed = 0
        self._frames_corrupt = 0
        self._frames_lost = 0
        self._first: float | None = None

    @property
    def damage(self) -> Damage:
        """What has been found so far."""
        return Damage(self._packets_failed, self._frames_corrupt, self._frames_lost, self._first)

    def forget(self) -> None:
        """Begin again from zero, for what was decoded only to get to the start of a range."""
        self._packets_failed = self._frames_corrupt = self._frames_lost = 0
        self._first = None

    def packet_failed(self, time_seconds: float | None) -> None:
        """Count a packet that cannot be decoded.

        Raises:
            InputError: Under `--strict`.
        """
        if self._counts(time_seconds):
            self._packets_failed += 1
            self._found("a packet cannot be decoded", time_seconds)

    def frame_corrupt(self, time_seconds: float | None) -> None:
        """Count a frame with parts made up by the decoder (raises as `packet_failed`)."""
        if self._counts(time_seconds):
            self._frames_corrupt += 1
            self._found("a frame is damaged", time_seconds)

    def frames_lost(self, count: int, time_seconds: float | None) -> None:
        """Count frames that never came (raises as `packet_failed`).

        Args:
            count: Frames.
            time_seconds: Of the first of them; all count if it does.
        """
        if count and self._counts(time_seconds):
            self._frames_lost += count
            self._found("a frame is missing", time_seconds)

    def _counts(self, time_seconds: float | None) -> bool:
        self.met += 1
        if time_seconds is None:
            return True
        return (self._start is None or time_seconds >= self._start) and (
            self._end is None or time_seconds < self._end
        )

    def _found(self, what: str, time_seconds: float | None) -> None:
        if self._first is None:
            self._first = time_seconds
        if self._is_strict:
            where = "" if time_seconds is None else f" at {time_seconds:.3f} s"
            raise strict_error(f"{where}: {what}")


def strict_error(what: str) -> InputError:
    """The error that damage is under `--strict`, to be raised.

    Args:
        what: Where it is and what, to go on with after "The video is damaged".
    """
    return InputError(
        f"The video is damaged{what}; expected none under --strict. Without --strict the damage is "
        "counted and the rest converted."
    )
