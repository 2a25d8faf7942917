"""Times package kernel against OpenBLAS's sgemm on the same shapes.

    go test -c -o kernel.test ./internal/kernel
    /usr/bin/python3 internal/kernel/openblas_bench.py ./kernel.test [rounds]

Both run in turns, and the fastest single call of each counts, so that the ratio holds on a
machine that does other work too. OpenBLAS (Debian: libopenblas-dev) is called directly;
"nt" is y = x Wᵀ as in a forward pass, "tn" the gradient of a weight.
"""
import ctypes
import os
import re
import subprocess
import sys
import time

import numpy as np

SHAPES = [(512, 512, 512), (1024, 1024, 1024), (4096, 256, 2048), (4096, 256, 688),
          (1, 256, 2048), (2, 512, 2048), (8, 512, 2048), (32, 256, 688)]
ROW_MAJOR, NO_TRANS, TRANS = 101, 111, 112

blas = ctypes.CDLL("libopenblas.so.0")
blas.openblas_get_corename.restype = ctypes.c_char_p
blas.openblas_get_config.restype = ctypes.c_char_p


def sgemm(ta, tb, m, n, k, a, lda, b, ldb, beta, c):
    f, p = ctypes.c_float, lambda x: x.ctypes.data_as(ctypes.c_void_p)
    blas.cblas_sgemm(ROW_MAJOR, ta, tb, m, n, k, f(1), p(a), lda, p(b), ldb, f(beta), p(c), n)


def openblas(kind, m, k, n, threads, seconds=0.4):
    blas.openblas_set_num_threads(threads)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((m, k), dtype=np.float32)
    w = rng.standard_normal((n, k), dtype=np.float32)
    c = np.zeros((m, n), np.float32)
    g = np.zeros((k, n), np.float32)

    def call():
        if kind == "tn":
            sgemm(TRANS, NO_TRANS, k, n, m, x, k, c, n, 1, g)
        else:
            sgemm(NO_TRANS, TRANS, m, n, k, x, k, w, k, 0, c)

    call()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return 2 * m * n * k / best / 1e9


def ours(binary, kind, m, k, n, workers):
    out = subprocess.run(
        [binary, "-test.run=^$", f"-test.bench=^BenchmarkMul$/^{kind}$/^{m}x{k}x{n}$/^workers={workers}$",
         "-test.benchtime=0.4s"], capture_output=True, text=True, check=True).stdout
    return float(re.search(r"([\d.]+) best-GFLOP/s", out).group(1))


def main():
    binary = os.path.abspath(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print(blas.openblas_get_config().decode(), "core", blas.openblas_get_corename().decode())
    print(f"{'m x k x n':>15} thr | {'OpenBLAS nt':>11} {'unpacked':>9} {'ratio':>5} {'packed':>7} {'ratio':>5} |"
          f" {'OpenBLAS tn':>11} {'gradient':>8} {'ratio':>5}   GFLOP/s")
    for m, k, n in SHAPES:
        for threads in (1, 2):
            best = {}
            for _ in range(rounds):
                for name, f in {
                    "nt": lambda: openblas("nt", m, k, n, threads),
                    "unpacked": lambda: ours(binary, "unpacked", m, k, n, threads),
                    "packed": lambda: ours(binary, "packed", m, k, n, threads),
                    "tn": lambda: openblas("tn", m, k, n, threads) if m >= 512 else 0,
                    "gradient": lambda: ours(binary, "gradient", m, k, n, threads) if m >= 512 else 0,
                }.items():
                    best[name] = max(best.get(name, 0), f())
            line = (f"{m:5}x{k:4}x{n:4} {threads:3} | {best['nt']:11.1f} {best['unpacked']:9.1f}"
                    f" {best['unpacked'] / best['nt']:5.2f} {best['packed']:7.1f} {best['packed'] / best['nt']:5.2f} |")
            if m >= 512:
                line += f" {best['tn']:11.1f} {best['gradient']:8.1f} {best['gradient'] / best['tn']:5.2f}"
            print(line, flush=True)


main()
