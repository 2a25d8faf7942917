"""The peer of stargate's engine: config S in eager PyTorch, one measurement a process.

    python3 internal/bench/peer_torch.py version
    python3 internal/bench/peer_torch.py train [steps]          prints tokens per second
    python3 internal/bench/peer_torch.py forward [passes]
    python3 internal/bench/peer_torch.py decode BATCH [runs]
    python3 internal/bench/peer_torch.py sgemm M K N            prints GFLOP/s of OpenBLAS

PEER_THREADS is the number of threads (2); PEER_CLOCK=cpu counts the processor's time and
not the wall's. Package bench runs this in turns with stargate's engine. What a newer PyTorch
has (scaled_dot_product_attention) is used where it is there.
"""
import ctypes
import os
import sys
import time

THREADS = os.environ.get("PEER_THREADS", "2")
os.environ.setdefault("OMP_NUM_THREADS", THREADS)
os.environ.setdefault("OPENBLAS_NUM_THREADS", THREADS)

clock = time.process_time if os.environ.get("PEER_CLOCK") == "cpu" else time.perf_counter

VOCAB, DIM, LAYERS, HEADS, KV_HEADS, FFN, LENGTH, BATCH = 2048, 256, 6, 8, 4, 688, 256, 16
HEAD = DIM // HEADS
PROMPT = 64  # tokens of a sequence before it is continued to LENGTH


def openblas():
    blas = ctypes.CDLL("libopenblas.so.0")
    blas.openblas_get_corename.restype = ctypes.c_char_p
    blas.openblas_get_config.restype = ctypes.c_char_p
    blas.openblas_set_num_threads(int(THREADS))
    return blas


def sgemm(m, k, n, seconds=0.4):
    """y = x Wᵀ, the product of a forward pass; a wrong result is an error, not a speed."""
    import numpy as np

    blas, rng = openblas(), np.random.default_rng(1)
    x = rng.standard_normal((m, k), dtype=np.float32)
    w = rng.standard_normal((n, k), dtype=np.float32)
    y = np.zeros((m, n), np.float32)
    f, p = ctypes.c_float, lambda a: a.ctypes.data_as(ctypes.c_void_p)
    row_major, plain, transposed = 101, 111, 112

    def call():
        blas.cblas_sgemm(row_major, plain, transposed, m, n, k, f(1), p(x), k, p(w), k, f(0), p(y), n)

    call()
    error = np.abs(y - x.astype(np.float64) @ w.T.astype(np.float64)).max()
    if not error < 1e-5 * k:
        sys.exit(f"this OpenBLAS ({blas.openblas_get_corename().decode()}) computes wrongly: error {error}")
    best, calls, start = float("inf"), 0, clock()
    before = start
    while before < start + seconds:
        call()
        now = clock()
        best, before, calls = min(best, now - before), now, calls + 1
    if clock is time.process_time:  # too coarse for one call
        best = (clock() - start) / calls
    return 2 * m * n * k / best / 1e9


def model():
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.set_num_threads(int(THREADS))
    torch.manual_seed(0)
    inverse = 10000.0 ** (-torch.arange(0, HEAD, 2) / HEAD)
    angle = torch.outer(torch.arange(LENGTH).float(), inverse).repeat(1, 2)
    cos, sin = angle.cos(), angle.sin()
    fused = hasattr(F, "scaled_dot_product_attention")

    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(DIM))

        def forward(self, x):
            return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * self.weight

    def rotate(x, start):
        n = x.shape[2]
        a, b = x.chunk(2, -1)
        return x * cos[start:start + n] + torch.cat((-b, a), -1) * sin[start:start + n]

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            linear = lambda i, o: nn.Linear(i, o, bias=False)
            self.norm1, self.norm2 = Norm(), Norm()
            self.q, self.o = linear(DIM, DIM), linear(DIM, DIM)
            self.k, self.v = linear(DIM, KV_HEADS * HEAD), linear(DIM, KV_HEADS * HEAD)
            self.gate, self.up, self.down = linear(DIM, FFN), linear(DIM, FFN), linear(FFN, DIM)

        def attend(self, q, k, v, mask):
            batch, _, n, _ = q.shape
            if fused:
                k, v = (t.repeat_interleave(HEADS // KV_HEADS, 1) for t in (k, v))
                y = F.scaled_dot_product_attention(q, k, v, is_causal=mask is not None)
            else:  # the heads of a group are rows of one product
                q = q.reshape(batch, KV_HEADS, -1, HEAD)
                score = (q @ k.transpose(-1, -2)).view(batch, HEADS, n, -1) * HEAD ** -0.5
                if mask is not None:
                    score = score + mask
                y = F.softmax(score, -1).view(batch, KV_HEADS, HEADS // KV_HEADS * n, -1) @ v
                y = y.view(batch, HEADS, n, HEAD)
            return y.transpose(1, 2).reshape(batch, n, DIM)

        def forward(self, x, mask, cache, start):
            batch, n, _ = x.shape
            split = lambda t, heads: t.view(batch, n, heads, HEAD).transpose(1, 2)
            h = self.norm1(x)
            q, k = rotate(split(self.q(h), HEADS), start), rotate(split(self.k(h), KV_HEADS), start)
            v = split(self.v(h), KV_HEADS)
            if cache is not None:
                keys, values = cache
                keys[:, :, start:start + n], values[:, :, start:start + n] = k, v
                k, v = keys[:, :, :start + n], values[:, :, :start + n]
            x = x + self.o(self.attend(q, k, v, mask))
            h = self.norm2(x)
            return x + self.down(F.silu(self.gate(h)) * self.up(h))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(VOCAB, DIM)
            self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
            self.norm, self.head = Norm(), nn.Linear(DIM, VOCAB, bias=False)
            for p in self.parameters():
                if p.dim() > 1:
                    nn.init.normal_(p, std=0.02)

        def forward(self, ids, mask=None, caches=None, start=0):
            x = self.embed(ids)
            for i, layer in enumerate(self.layers):
                x = layer(x, mask, caches[i] if caches else None, start)
            return self.head(self.norm(x))

    mask = torch.full((LENGTH, LENGTH), float("-inf")).triu(1)
    return torch, Model(), mask


def rate(f, times, tokens):
    f()
    start = clock()
    for _ in range(times):
        f()
    return times * tokens / (clock() - start)


def train(steps):
    torch, m, mask = model()
    ids, targets = torch.randint(0, VOCAB, (2, BATCH, LENGTH))
    loss_mask = (torch.rand(BATCH * LENGTH) < 0.9).float()
    opt = torch.optim.AdamW(m.parameters(), lr=1e-3, weight_decay=0.01)

    def step():
        losses = torch.nn.functional.cross_entropy(m(ids, mask).view(-1, VOCAB), targets.view(-1), reduction="none")
        loss = (losses * loss_mask).sum() / loss_mask.sum()
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        return loss.item()

    return rate(step, steps, BATCH * LENGTH)


def forward(passes):
    torch, m, mask = model()
    ids = torch.randint(0, VOCAB, (BATCH, LENGTH))
    with torch.no_grad():
        return rate(lambda: m(ids, mask), passes, BATCH * LENGTH)


def decode(batch, runs):
    """Greedy continuation of `batch` prompts; the time of the prompts does not count."""
    torch, m, mask = model()
    spent = 0
    with torch.no_grad():
        for run in range(runs + 1):
            caches = [torch.zeros(2, batch, KV_HEADS, LENGTH, HEAD) for _ in range(LAYERS)]
            prompt = torch.randint(0, VOCAB, (batch, PROMPT))
            logits = m(prompt, mask[:PROMPT, :PROMPT], caches)[:, -1]
            start = clock()
            for position in range(PROMPT, LENGTH if run else PROMPT + 8):  # the first run warms up
                logits = m(logits.argmax(-1, keepdim=True), None, caches, position)[:, -1]
            if run:
                spent += clock() - start
    return runs * batch * (LENGTH - PROMPT) / spent


def version():
    import torch

    try:
        blas = openblas()
        config, core = blas.openblas_get_config().decode().split(), blas.openblas_get_corename().decode()
        return f"PyTorch {torch.__version__}, {config[0]} {config[1]} ({core})"
    except OSError:
        return f"PyTorch {torch.__version__}, no OpenBLAS"


what, numbers = sys.argv[1], [int(a) for a in sys.argv[2:]]
print({"version": version, "train": train, "forward": forward, "decode": decode, "sgemm": sgemm}[what](*numbers))
