"""Binary trees over nodes: the two complementary trees of Sanders, Speck & Träff (Parallel Computing 35, 2009)."""

from __future__ import annotations

import numpy as np

from sim.network.levels import Ints


def in_order_parent(n: int) -> Ints:
    """parent[r] of the in-order binary tree on 0 … n-1 with root 0 above it (−1: root).

    r's lowest set bit b is its height; its parent is (r without b) with 2b set, or r without b past the end.
    """
    rank = np.arange(n)
    bit = rank & -rank
    up = (rank ^ bit) | (bit << 1)
    parent = np.where(up >= n, rank ^ bit, up)
    parent[0] = -1
    return parent


def double_tree(n: int) -> tuple[Ints, Ints]:
    """Parents in two trees such that (almost) every inner node of one is a leaf of the other: mirrored for even n,
    shifted by one for odd n."""
    first = in_order_parent(n)
    rank = np.arange(n)
    image = (n - 1 - rank) if n % 2 == 0 else (rank + 1) % n
    second = np.full(n, -1, dtype=np.int64)
    inner = first >= 0
    second[image[inner]] = image[first[inner]]
    return first, second


def depth(parent: Ints) -> int:
    """Edges from the root to the deepest node."""
    steps, at = 0, parent.copy()
    while (at >= 0).any():
        at = np.where(at >= 0, parent[at], -1)
        steps += 1
    return steps
