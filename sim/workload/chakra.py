"""MLCommons Chakra execution traces (`.et`, schema 0.0.4), read and written without the protobuf package.

A file is a sequence of length-prefixed protobuf messages: one GlobalMetadata, then Nodes.  Wire format: protobuf
encoding guide; message fields: MLCommons Chakra, `et_def.proto`.  Integer widths are interchangeable in practice, so
any is accepted; 64-bit signed is written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Final, TypeAlias, cast

from sim.errors import InputError, Problem
from sim.records import dataclass

Value: TypeAlias = (
    bool | int | float | str | bytes | tuple[bool, ...] | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]
)

NODE_KINDS: Final = (
    "invalid", "metadata", "mem_load", "mem_store", "comp", "comm_send", "comm_recv", "comm_coll",
)  # fmt: skip
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
SIGNED: Final = frozenset((7, 9))  # int32, int64: two's complement in 64 bits
ZIGZAG: Final = frozenset((15, 17))
FLOATS: Final = {3: "<d", 5: "<f"}
FIXED: Final = {19: "<I", 21: "<Q", 23: "<i", 25: "<q"}
BOOL, TEXT, RAW = 27, 29, 31


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the trace; `offset` is where its message starts in the file."""

    id: int
    name: str = ""
    kind: str = "comp"
    control: tuple[int, ...] = ()
    data: tuple[int, ...] = ()
    start_us: int = 0
    duration_us: int = 0
    attributes: Mapping[str, Value] = field(default_factory=dict)
    offset: int = field(default=0, compare=False)
    types: str = ""  # of what the node reads, as its framework writes them (IOInfo.types)


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace of one rank."""

    nodes: tuple[Node, ...]
    version: str = "0.0.4"
    attributes: Mapping[str, Value] = field(default_factory=dict)


class _BrokenError(Exception):
    """A message that cannot be read: what is wrong and at which byte of the file."""

    def __init__(self, rule: str, offset: int) -> None:
        super().__init__(rule)
        self.rule = rule
        self.offset = offset


def read_trace(path: Path) -> Trace:
    """The trace in `path`, dependencies checked."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", file=str(path))) from None
    trace = decode(data, str(path))
    in_order(trace, str(path))
    return trace


def write_trace(trace: Trace, path: Path) -> None:
    """Write `trace` to `path`."""
    path.write_bytes(encode(trace))


def decode(data: bytes, file: str = "") -> Trace:
    """The trace that `data` encodes; a broken file is an InputError with node number and byte offset."""
    nodes: list[Node] = []
    version, attributes = "", dict[str, Value]()
    position, index = 0, -1
    try:
        while position < len(data):
            start = position
            size, position = _varint(data, position, len(data))
            if position + size > len(data):
                raise _BrokenError(f"is truncated: {size} bytes announced, {len(data) - position} left", start)
            if index < 0:
                version, attributes = _metadata(data, position, position + size)
            else:
                nodes.append(_node(data, position, position + size, start))
            position += size
            index += 1
    except _BrokenError as broken:
        where = "global metadata" if index < 0 else f"node {index}"
        rule = f"{broken.rule} (byte {broken.offset})"
        raise InputError(Problem(rule, where, file=file)) from None
    if index < 0:
        raise InputError(Problem("holds no trace: no global metadata (byte 0)", file=file))
    return Trace(tuple(nodes), version, attributes)


def in_order(trace: Trace, file: str = "") -> tuple[Node, ...]:
    """Nodes so that each comes after those it depends on, smallest id first; unknown and cyclic ones are refused."""
    by_id: dict[int, Node] = {}
    problems: list[Problem] = []
    for node in trace.nodes:
        if node.id in by_id:
            problems.append(_at(node, "is a second node of this id", file))
        by_id[node.id] = node
    waiting: dict[int, int] = {}
    followers: dict[int, list[int]] = {}
    for node in by_id.values():
        before = {*node.control, *node.data}
        unknown = sorted(before - by_id.keys())
        if unknown:
            problems.append(_at(node, f"depends on node {unknown[0]}, which is not in the trace", file))
        waiting[node.id] = len(before)
        for dependency in before:
            followers.setdefault(dependency, []).append(node.id)
    if problems:
        raise InputError(*problems)
    ready = [key for key, count in waiting.items() if count == 0]
    heapify(ready)
    order: list[Node] = []
    while ready:
        key = heappop(ready)
        order.append(by_id[key])
        for follower in followers.get(key, ()):
            waiting[follower] -= 1
            if waiting[follower] == 0:
                heappush(ready, follower)
    if len(order) < len(by_id):
        raise InputError(_cycle({key for key, count in waiting.items() if count > 0}, by_id, file))
    return tuple(order)


def _cycle(stuck: set[int], by_id: Mapping[int, Node], file: str) -> Problem:
    """The problem that names one cycle: walk dependencies among the stuck nodes until one repeats."""
    seen: list[int] = []
    key = min(stuck)
    while key not in seen:
        seen.append(key)
        key = min(d for d in (*by_id[key].control, *by_id[key].data) if d in stuck)
    ring = seen[seen.index(key) :]
    return _at(by_id[key], f"depends on itself: {' -> '.join(map(str, [*ring, key]))}", file)


def _at(node: Node, rule: str, file: str) -> Problem:
    return Problem(f"{rule} (byte {node.offset})", f"node {node.id}", file=file)


# ---- reading


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """A base-128 number and the position after it."""
    value = shift = 0
    start = position
    while True:
        if position >= end:
            raise _BrokenError("is truncated inside a number", start)
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, position
        shift += 7
        if shift > 63:
            raise _BrokenError("has a number of more than ten bytes", start)


def _fields(data: bytes, position: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """(field, wire type, value or first byte, past the last byte, offset) of every field of a message."""
    while position < end:
        start = position
        key, position = _varint(data, position, end)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, position = _varint(data, position, end)
            yield number, wire, value, position, start
            continue
        if wire == BYTES:
            size, position = _varint(data, position, end)
        elif wire in (FIXED32, FIXED64):
            size = 4 if wire == FIXED32 else 8
        else:
            raise _BrokenError(f"has wire type {wire}, which the format does not know", start)
        if position + size > end:
            raise _BrokenError(f"is truncated in field {number}", start)
        yield number, wire, position, position + size, start
        position += size


def _text(data: bytes, first: int, last: int) -> str:
    try:
        return data[first:last].decode("utf-8")
    except UnicodeDecodeError:
        raise _BrokenError("has text that is not UTF-8", first) from None


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _numbers(data: bytes, wire: int, first: int, last: int) -> list[int]:
    """A repeated whole number, packed or single."""
    if wire == VARINT:
        return [first]
    found = []
    while first < last:
        value, first = _varint(data, first, last)
        found.append(value)
    return found


def _metadata(data: bytes, position: int, end: int) -> tuple[str, dict[str, Value]]:
    version, attributes = "", {}
    for number, wire, first, last, start in _fields(data, position, end):
        if number == 1:
            _need(wire == BYTES, "version", start)
            version = _text(data, first, last)
        elif number == 2:
            _need(wire == BYTES, "attribute", start)
            name, value = _attribute(data, first, last)
            attributes[name] = value
    return version, attributes


def _need(right: bool, what: str, offset: int) -> None:
    if not right:
        raise _BrokenError(f"has a {what} of the wrong wire type", offset)


def _node(data: bytes, position: int, end: int, offset: int) -> Node:
    identity, name, kind = 0, "", 0
    deps: dict[int, list[int]] = {4: [], 5: []}
    times = {6: 0, 7: 0}
    attributes: dict[str, Value] = {}
    types = ""
    for number, wire, first, last, start in _fields(data, position, end):
        if number in (1, 3, 6, 7):
            _need(wire == VARINT, ("", "id", "", "type", "", "", "start", "duration")[number], start)
            identity = first if number == 1 else identity
            kind = first if number == 3 else kind
            if number in times:
                times[number] = first
        elif number == 2:
            _need(wire == BYTES, "name", start)
            name = _text(data, first, last)
        elif number in deps:
            _need(wire in (VARINT, BYTES), "dependency", start)
            deps[number] += _numbers(data, wire, first, last)
        elif number == 8:
            _need(wire == BYTES, "list of inputs", start)
            types = next(
                (_text(data, a, b) for n, w, a, b, _ in _fields(data, first, last) if (n, w) == (3, BYTES)), ""
            )
        elif number == 10:
            _need(wire == BYTES, "attribute", start)
            key, value = _attribute(data, first, last)
            attributes[key] = value
    if kind >= len(NODE_KINDS):
        raise _BrokenError(f"has node type {kind}, which the schema does not know", offset)
    return Node(
        identity, name, NODE_KINDS[kind], tuple(deps[4]), tuple(deps[5]), times[6], times[7], attributes, offset, types
    )


def _attribute(data: bytes, position: int, end: int) -> tuple[str, Value]:
    """Name and value; a list is a message with one repeated field."""
    name: str = ""
    value: Value = 0
    for number, wire, first, last, _start in _fields(data, position, end):
        if number == 1:
            name = _text(data, first, last)
        elif number >= 3:
            value = _value(data, number, wire, first, last)
    return name, value


def _value(data: bytes, number: int, wire: int, first: int, last: int) -> Value:
    if number % 2 == 0 and wire == BYTES:
        return _list(data, number - 1, first, last)
    if wire == VARINT:
        return _whole(number, first)
    if number in FLOATS and last - first == struct.calcsize(FLOATS[number]):
        return float(struct.unpack(FLOATS[number], data[first:last])[0])
    if number in FIXED and last - first == struct.calcsize(FIXED[number]):
        return int(struct.unpack(FIXED[number], data[first:last])[0])
    if number == TEXT and wire == BYTES:
        return _text(data, first, last)
    if number == RAW and wire == BYTES:
        return data[first:last]
    raise _BrokenError(f"has an attribute of field {number} with wire type {wire}", first)


def _whole(number: int, value: int) -> bool | int:
    if number == BOOL:
        return bool(value)
    if number in ZIGZAG:
        return (value >> 1) ^ -(value & 1)
    return _signed(value) if number in SIGNED else value


def _list(data: bytes, element: int, position: int, end: int) -> Value:
    """A repeated value: texts one by one, numbers packed or one by one."""
    found: list[Value] = []
    size = struct.calcsize(FLOATS.get(element) or FIXED.get(element) or "<B")
    for _number, wire, first, last, _start in _fields(data, position, end):
        if wire != BYTES or element in (TEXT, RAW):
            found.append(_value(data, element, wire, first, last))
        elif element in FLOATS or element in FIXED:
            wires = FIXED32 if size == 4 else FIXED64
            found += [_value(data, element, wires, at, at + size) for at in range(first, last, size)]
        else:
            found += [_whole(element, value) for value in _numbers(data, wire, first, last)]
    return cast(Value, tuple(found))


# ---- writing


def encode(trace: Trace) -> bytes:
    """The bytes of a trace file."""
    head = _bytes(1, trace.version.encode()) + b"".join(_bytes(2, _pack(k, v)) for k, v in trace.attributes.items())
    return b"".join(_number(len(m)) + m for m in (head, *map(_encode_node, trace.nodes)))


def _encode_node(node: Node) -> bytes:
    packed = [(number, b"".join(map(_number, deps))) for number, deps in ((4, node.control), (5, node.data)) if deps]
    return b"".join(
        (
            _key(1, VARINT) + _number(node.id),
            _bytes(2, node.name.encode()),
            _key(3, VARINT) + _number(NODE_KINDS.index(node.kind)),
            *(_bytes(number, deps) for number, deps in packed),
            _key(6, VARINT) + _number(node.start_us),
            _key(7, VARINT) + _number(node.duration_us),
            _bytes(8, _bytes(3, node.types.encode())) if node.types else b"",
            *(_bytes(10, _pack(name, value)) for name, value in node.attributes.items()),
        )
    )


def _pack(name: str, value: Value) -> bytes:
    """An AttributeProto."""
    return _bytes(1, name.encode()) + _packed(value)


def _packed(value: Value) -> bytes:
    if isinstance(value, bool):
        return _key(BOOL, VARINT) + _number(int(value))
    if isinstance(value, int):
        return _key(9, VARINT) + _number(value)
    if isinstance(value, float):
        return _key(3, FIXED64) + struct.pack("<d", value)
    if isinstance(value, str):
        return _bytes(TEXT, value.encode())
    if isinstance(value, bytes):
        return _bytes(RAW, value)
    return _packed_list(value)


def _packed_list(values: Iterable[Value]) -> bytes:
    items = list(values)
    if items and all(isinstance(v, str) for v in items):
        return _bytes(TEXT + 1, b"".join(_bytes(1, str(v).encode()) for v in items))
    if items and all(isinstance(v, float) for v in items):
        return _bytes(4, _bytes(1, b"".join(struct.pack("<d", v) for v in items)))
    number = BOOL + 1 if all(isinstance(v, bool) for v in items) else 10
    return _bytes(number, _bytes(1, b"".join(_number(int(v)) for v in items if isinstance(v, int))))


def _number(value: int) -> bytes:
    """Base 128; negative numbers as 64-bit two's complement."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _key(number: int, wire: int) -> bytes:
    return _number(number << 3 | wire)


def _bytes(number: int, payload: bytes) -> bytes:
    return _key(number, BYTES) + _number(len(payload)) + payload
