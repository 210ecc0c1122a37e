from __future__ import annotations

import dataclasses

import pytest

from sdr2hdr.exam.sets import ExamSet, read_exam_set, small_set_folder


@pytest.fixture(scope="session")
def small_set() -> ExamSet:
    return read_exam_set(small_set_folder())


@pytest.fixture(scope="session")
def tiny_set(small_set: ExamSet) -> ExamSet:
    """One scene and one pair of the small set."""
    return dataclasses.replace(small_set, scenes=small_set.scenes[:1], pairs=small_set.pairs[:1])
