"""Containers as bytes: MP4 boxes, Matroska elements, OpenEXR headers; and what each can hold."""
