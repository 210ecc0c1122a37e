"""sdr2hdr: from SDR video to HDR10."""

__version__ = "0.1.0"
