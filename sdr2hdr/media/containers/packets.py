"""Packets made of other packets."""

from __future__ import annotations

from av.packet import Packet

__all__ = ["with_data"]


def with_data(packet: Packet, data: bytes) -> Packet:
    """A packet with other bytes and the same times, and without stream and side data."""
    changed = Packet(data)
    changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
    changed.duration, changed.is_keyframe = packet.duration, packet.is_keyframe
    return changed
