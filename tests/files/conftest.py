"""A scenario of its own for the border's tests, on library parts that the paper fixes."""

from __future__ import annotations

import pytest

SCENARIO = """\
name: small
scaling: word-lm
workload:
  family: lstm_lm
  sizes: {hidden: 512, vocabulary: 10004}
  numerics: paper
cluster:
  name: ring of four
  accelerator: paper-2019
  levels:
    - {name: ring, topology: ring, size: 4, link: {bandwidth: 56 GB/s, latency: 0 s, efficiency: 1, base: 0 s}}
plan:
  sub_batch: 128
framework:
  bucket: 25 MB
"""


@pytest.fixture
def write(tmp_path):
    """Write a file of the test's folder; its path."""

    def put(text, name="a.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return put


@pytest.fixture
def small(write):
    """The path of a valid scenario."""
    return write(SCENARIO)
