"""Freezes reference.safetensors, written from the format's description with numpy's and
PyTorch's own conversions (Debian: python3-torch). The elements are spread over all bit
patterns: element i has the bits i * 2654435761 mod 2^32, and is 1 where those are NaN.

    python3 gen.py

`python3 gen.py FILE` prints what a file holds, without any library.
"""
import json
import pathlib
import struct
import sys


def read(path):
    data = pathlib.Path(path).read_bytes()
    (n,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + n])
    print(header.pop("__metadata__", {}))
    for name, e in header.items():
        raw = data[8 + n + e["data_offsets"][0] : 8 + n + e["data_offsets"][1]]
        if e["dtype"] == "BF16":
            values = [struct.unpack("<f", b"\0\0" + raw[i : i + 2])[0] for i in range(0, len(raw), 2)]
        else:
            code = {"F32": "f", "F16": "e"}[e["dtype"]]
            values = struct.unpack(f"<{len(raw) // struct.calcsize(code)}{code}", raw)
        print(name, e["dtype"], e["shape"], *values[:6], "..." if len(values) > 6 else "")


def write(path):
    import numpy
    import torch

    x = (numpy.arange(2048, dtype=numpy.uint64) * 2654435761 % 2**32).astype(numpy.uint32).view(numpy.float32).copy()
    x[numpy.isnan(x)] = 1
    with numpy.errstate(over="ignore"):
        half = x.astype(numpy.float16)
    brain = torch.from_numpy(x).to(torch.bfloat16).view(torch.int16).numpy()
    scalar = numpy.array(0.5, dtype=numpy.float32)
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, dtype, shape, data in [("f32", "F32", [2, 1024], x), ("f16", "F16", [2048], half), ("bf16", "BF16", [1, 2, 1024], brain), ("scalar", "F32", [], scalar)]:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + data.nbytes]}
        body += data.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + body)


if len(sys.argv) > 1:
    read(sys.argv[1])
else:
    write(pathlib.Path(__file__).parent / "reference.safetensors")
