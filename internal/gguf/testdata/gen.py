"""Writes blocks.json and tiny.gguf: blocks of every type with the values they stand for, and a
small file with every kind of metadata value, both made from the format's definition (docs/gguf.md
and ggml-common.h of github.com/ggml-org/ggml), one value at a time.

    apt-get install python3-numpy
    python3 gen.py [libggml-base.so]

Given ggml's own library, its values are compared bit by bit, and the blocks that it makes of
weights are taken along.
"""
import ctypes
import json
import pathlib
import struct
import sys

import numpy as np

here = pathlib.Path(__file__).parent
rng = np.random.default_rng(7)
weights = np.random.default_rng(11)
f32 = np.float32


def half(b):
    return f32(np.frombuffer(bytes(b[:2]), "<f2")[0])


def q8_0(b):
    return [half(b) * f32(np.int8(q)) for q in np.frombuffer(b[2:34], np.int8)]


def q4_0(b):
    low = [half(b) * f32(int(q & 15) - 8) for q in b[2:18]]
    high = [half(b) * f32(int(q >> 4) - 8) for q in b[2:18]]
    return low + high


def q4_k(b):
    d, dmin, packed, qs = half(b), half(b[2:]), b[4:16], b[16:144]
    # Twelve bytes hold eight scales and eight minima of six bits.
    scales = [packed[j] & 63 for j in range(4)] + [packed[8 + j] & 15 | packed[j] >> 6 << 4 for j in range(4)]
    minima = [packed[4 + j] & 63 for j in range(4)] + [packed[8 + j] >> 4 | packed[4 + j] >> 6 << 4 for j in range(4)]
    out = []
    for j in range(8):
        for i in range(32):
            byte = qs[32 * (j // 2) + i]
            q = byte & 15 if j % 2 == 0 else byte >> 4
            out.append((d * f32(scales[j])) * f32(q) - dmin * f32(minima[j]))
    return out


def q6_k(b):
    low, high, scales, d = b[:128], b[128:192], np.frombuffer(b[192:208], np.int8), half(b[208:])
    out = []
    for n in range(256):
        h, within = divmod(n, 128)
        byte = low[64 * h + within % 64]
        four = byte & 15 if within < 64 else byte >> 4
        two = high[32 * h + within % 32] >> 2 * (within // 32) & 3
        out.append((d * f32(scales[n // 16])) * f32(int(four | two << 4) - 32))
    return out


types = {
    "F32": (0, 1, 4, lambda b: [np.frombuffer(b, "<f4")[0]]),
    "F16": (1, 1, 2, lambda b: [half(b)]),
    "BF16": (30, 1, 2, lambda b: [np.frombuffer(b"\0\0" + bytes(b), "<f4")[0]]),
    "Q4_0": (2, 32, 18, q4_0),
    "Q8_0": (8, 32, 34, q8_0),
    "Q4_K": (12, 256, 144, q4_k),
    "Q6_K": (14, 256, 210, q6_k),
}
# Where the halves with scales are in a block.
scales_at = {"F16": [0], "Q4_0": [0], "Q8_0": [0], "Q4_K": [0, 2], "Q6_K": [208]}


def blocks(name, count):
    """Random bytes, with halves that are numbers: large, small, negative, subnormal, zero."""
    _, _, size, _ = types[name]
    data = bytearray(rng.integers(0, 256, count * size, np.uint8).tobytes())
    choices = np.array([0.0123, -0.5, 1.0, 3e-6, 6.1e-5, 0.0, 100.0, -6e-8], "<f2")
    for i in range(count):
        for at in scales_at.get(name, []):
            data[i * size + at : i * size + at + 2] = choices[rng.integers(len(choices))].tobytes()
        if name in ("F32", "BF16"):
            data[i * size : (i + 1) * size] = f32(rng.normal()).tobytes()[-size:]
    return bytes(data)


ggml = ctypes.CDLL(sys.argv[1]) if len(sys.argv) > 1 else None


def check(name, data, values):
    """Compares with ggml, where it has a function for the type."""
    if not ggml or "Q" not in name:
        return
    out = (ctypes.c_float * len(values))()
    getattr(ggml, "dequantize_row_" + name.lower().replace("_k", "_K"))(data, out, ctypes.c_int64(len(values)))
    assert np.array_equal(np.array(out, f32).view(np.uint32), np.array(values, f32).view(np.uint32)), name
    print(f"{name}: {len(values)} values are bit-equal to ggml's")


def quantised(name, values):
    """The blocks that ggml makes of weights."""
    _, n, size, _ = types[name]
    out = ctypes.create_string_buffer(len(values) // n * size)
    getattr(ggml, f"quantize_row_{name.lower().replace('_k', '_K')}_ref")((ctypes.c_float * len(values))(*values), out, ctypes.c_int64(len(values)))
    return out.raw


rows, kept = {}, {}
if (here / "blocks.json").exists():
    kept = json.loads((here / "blocks.json").read_text())
for name, (kind, n, size, decode) in types.items():
    data = blocks(name, 6 if n > 1 else 64)
    if n > 1 and ggml:
        data += quantised(name, weights.normal(0, 0.05, 2 * n).astype(f32).tolist())
    elif n > 1 and name in kept:
        data += bytes.fromhex(kept[name]["data"])[-2 * size :]
    values = [f32(v) for i in range(0, len(data), size) for v in decode(data[i : i + size])]
    check(name, data, values)
    rows[name] = {"type": kind, "data": data.hex(), "bits": np.array(values, f32).tobytes().hex()}
(here / "blocks.json").write_text(json.dumps(rows, indent=1) + "\n")


def string(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def array(kind, items):
    return struct.pack("<IQ", kind, len(items)) + b"".join(items)


def pack(code):
    return lambda v: struct.pack("<" + code, v)


metadata = [
    ("general.architecture", 8, string("llama")),
    ("general.alignment", 4, struct.pack("<I", 64)),
    ("a.uint8", 0, b"\xff"),
    ("a.int8", 1, b"\xff"),
    ("a.uint16", 2, struct.pack("<H", 65535)),
    ("a.int16", 3, struct.pack("<h", -2)),
    ("a.uint32", 4, struct.pack("<I", 4294967295)),
    ("a.int32", 5, struct.pack("<i", -3)),
    ("a.float32", 6, struct.pack("<f", 0.5)),
    ("a.bool", 7, b"\x01"),
    ("a.string", 8, string("naïve 你好")),
    ("a.uint64", 10, struct.pack("<Q", 2**64 - 1)),
    ("a.int64", 11, struct.pack("<q", -(2**63))),
    ("a.float64", 12, struct.pack("<d", 0.1)),
    ("an.array", 9, array(8, [string("a"), string(""), string("c")])),
    ("an.empty", 9, array(4, [])),
    ("an.int32", 9, array(5, [struct.pack("<i", i) for i in (-1, 0, 1)])),
    ("an.float32", 9, array(6, [struct.pack("<f", i / 4) for i in range(3)])),
    ("an.bool", 9, array(7, [b"\0", b"\1"])),
    ("an.uint8", 9, array(0, [b"\x07"])),
    ("nested", 9, array(9, [array(4, [struct.pack("<I", 1)]), array(8, [string("x")])])),
]
tensors = [
    ("scalar", 0, [], struct.pack("<f", 1.5)),
    ("matrix", 0, [3, 2], struct.pack("<6f", *range(6))),  # innermost first: two rows of three
    ("blocks", 8, [32, 2], bytes.fromhex(rows["Q8_0"]["data"])[:68]),
    ("other", 13, [256, 1], b"\0" * 176),  # Q5_K, which is not read
]
head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
for key, kind, value in metadata:
    head += string(key) + struct.pack("<I", kind) + value
body = b""
for name, kind, dims, data in tensors:
    body += b"\0" * (-len(body) % 64)
    head += string(name) + struct.pack("<I", len(dims)) + b"".join(struct.pack("<Q", d) for d in dims) + struct.pack("<IQ", kind, len(body))
    body += data
(here / "tiny.gguf").write_bytes(head + b"\0" * (-len(head) % 64) + body)
