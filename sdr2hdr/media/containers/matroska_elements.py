"""Matroska's elements by name: their IDs, and the codes that some of them hold.

IDs are written with their length marker, as the standard prints them. Source: RFC 9559, in the
clauses named below. What every EBML file may hold has its ID in `ebml`.
"""

from __future__ import annotations

# The segment and its parts: 5.1 to 5.1.8.
SEGMENT = 0x18538067
SEEK_HEAD = 0x114D9B74
INFO = 0x1549A966
CLUSTER = 0x1F43B675
TRACKS = 0x1654AE6B
CUES = 0x1C53BB6B
ATTACHMENTS = 0x1941A469
CHAPTERS = 0x1043A770
TAGS = 0x1254C367

# In the information: 5.1.2.
TIMESTAMP_SCALE = 0x2AD7B1

# In a cluster: 5.1.3.
CLUSTER_TIMESTAMP = 0xE7
CLUSTER_POSITION = 0xA7
PREVIOUS_SIZE = 0xAB
SIMPLE_BLOCK = 0xA3
BLOCK_GROUP = 0xA0

# In the chapters: 5.1.7.
EDITION_ENTRY = 0x45B9
CHAPTER_ATOM = 0xB6
CHAPTER_DISPLAY = 0x80

# A track and its parts: 5.1.4.1.
TRACK_ENTRY = 0xAE
TRACK_NUMBER = 0xD7
TRACK_UID = 0x73C5
TRACK_TYPE = 0x83
FLAG_ENABLED = 0xB9
MAX_BLOCK_ADDITION_ID = 0x55EE
LANGUAGE = 0x22B59C
LANGUAGE_BCP47 = 0x22B59D
CODEC_ID = 0x86
CODEC_PRIVATE = 0x63A2
CODEC_DELAY = 0x56AA

VIDEO_TRACK, AUDIO_TRACK, SUBTITLE_TRACK, METADATA_TRACK = 1, 2, 17, 33
"""What `TRACK_TYPE` may say (5.1.4.1.3)."""

# A track's video: 5.1.4.1.28.
VIDEO = 0xE0
FLAG_INTERLACED = 0x9A
PIXEL_WIDTH, PIXEL_HEIGHT = 0xB0, 0xBA
CROP_LEFT, CROP_TOP, CROP_RIGHT, CROP_BOTTOM = 0x54CC, 0x54BB, 0x54DD, 0x54AA
DISPLAY_WIDTH, DISPLAY_HEIGHT, DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2

# The colour of a video: 5.1.4.1.28.16 to .29.
COLOUR = 0x55B0
MATRIX = 0x55B1
SITING_ACROSS, SITING_DOWN = 0x55B7, 0x55B8
RANGE = 0x55B9
TRANSFER = 0x55BA
PRIMARIES = 0x55BB
MAX_CLL, MAX_FALL = 0x55BC, 0x55BD

LIMITED_RANGE, FULL_RANGE = 1, 2
"""What `RANGE` may say (5.1.4.1.28.25)."""
COLLOCATED, HALF_WAY = 1, 2
"""Where chroma samples may lie: at the left or upper luma sample, or half-way on (.23, .24)."""
SITINGS = {
    (COLLOCATED, HALF_WAY): 0,
    (HALF_WAY, HALF_WAY): 1,
    (COLLOCATED, COLLOCATED): 2,
    (HALF_WAY, COLLOCATED): 3,
}
"""Both of them as H.273's chroma sample location type."""

# The mastering display of a colour: 5.1.4.1.28.30 to .40.
MASTERING = 0x55D0
MASTERING_VALUES = range(0x55D1, 0x55DB)
"""x and y of red, green, blue and white, then the greatest and the least luminance in cd/m²."""
