"""Keep what a method takes from the whole frame steady along a shot.

A network's whole-frame vectors (IRNet's gates, GPGMNet's priors) follow every grain of noise and
every object that comes into view, and with them the whole picture pulses. So the vectors are
averaged over the last frames of the shot. The average is causal and of finite length, so that a
shot can be entered in the middle after a known number of frames, with the same bits.
"""

from __future__ import annotations

from collections import deque

import torch

__all__ = ["WINDOW_FRAMES", "ShotMemory", "preroll_frames"]

WINDOW_FRAMES = 16
"""Frames that are averaged, the present one among them.

Measured with irnet2's gates made to react thirty times as strongly: an object that fills half of a
still scene within half a second moves the rest by 0.014 codes of 10 bits a frame without memory, by
0.0085, 0.0066 and 0.0044 with 8, 16 and 24 frames. An exposure ramp of 16 frames lags by 0.4, 0.9
and 1.2 codes at most, a fade from black over 24 frames by 0.3, 0.4 and 0.5: not to be seen. With
the gates as they are all of these are a thirtieth. Longer windows cost pre-roll.
"""


class ShotMemory:
    """The vectors of the last frames of one shot.

    For each frame, in presentation order::

        if a shot begins here:
            memory.begin_shot()
        ... vector = memory.smooth(name, vector) for each whole-frame vector ...
        memory.end_frame()

    All taps weigh the same: of all filters of a length, that one passes the least noise and the
    smallest part of a sudden change to the next frame. At the start of a shot the average is over
    the frames that there are.
    """

    def __init__(self, length: int = WINDOW_FRAMES) -> None:
        """Begin a shot.

        Args:
            length: Frames that are averaged, 1 or more; 1 keeps nothing.

        Raises:
            ValueError: It is less than 1.
        """
        if length < 1:
            raise ValueError(f"The window is {length} frames; expected 1 or more.")
        self.length = length
        self._windows: dict[str, deque[torch.Tensor]] = {}
        self._smoothed: set[str] = set()

    def begin_shot(self) -> None:
        """Forget all frames."""
        self._windows.clear()
        self._smoothed.clear()

    def smooth(self, name: str, vector: torch.Tensor) -> torch.Tensor:
        """Take a vector of the present frame and give what the frame is computed with.

        The bits of the result depend on the frames in the window alone.

        Args:
            name: Of the vector; each comes once a frame.
            vector: (1, K), floating, finite.

        Returns:
            (1, K), in the dtype and on the device of `vector`; `vector` itself if it is alone.

        Raises:
            ValueError: The vector has come already in this frame, or is of several frames.
        """
        if vector.shape[0] != 1:
            raise ValueError(f'"{name}" is {tuple(vector.shape)}; expected one frame, (1, K).')
        if name in self._smoothed:
            raise ValueError(f'"{name}" came twice in one frame; expected `end_frame` between.')
        self._smoothed.add(name)
        window = self._windows.setdefault(name, deque(maxlen=self.length))
        # A copy, since a backend may use the memory again.
        window.append(vector.detach().to(torch.float64, copy=True))
        if len(window) == 1:
            return vector
        return torch.cat(tuple(window)).mean(0, keepdim=True).to(vector.dtype)

    def end_frame(self) -> None:
        """Say that the next vectors are the next frame's."""
        self._smoothed.clear()


def preroll_frames(vectors_in_chain: int, length: int = WINDOW_FRAMES) -> int:
    """How many frames of a shot must be computed before one, so that it is as from the start.

    Args:
        vectors_in_chain: How many smoothed vectors lie one behind the other: a vector that is
            measured on features which an earlier one has multiplied needs that one's whole window
            for each frame of its own. 0 for a method without any.
        length: Frames that are averaged.
    """
    return vectors_in_chain * (length - 1)
