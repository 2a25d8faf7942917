"""The peer of stargate's engine: the same shapes in eager PyTorch, one measurement a process.

    python3 internal/bench/peer_torch.py version
    python3 internal/bench/peer_torch.py train [steps]          prints tokens per second
    python3 internal/bench/peer_torch.py forward [passes]
    python3 internal/bench/peer_torch.py decode BATCH [runs]
    python3 internal/bench/peer_torch.py sgemm M K N            prints GFLOP/s of OpenBLAS

and of shapes with many parameters, tokens per second of the median step

    python3 internal/bench/peer_torch.py prefill [times]        one prompt
    python3 internal/bench/peer_torch.py score [times]          log-probabilities of a batch
    python3 internal/bench/peer_torch.py steps BATCH [steps]    continuation of a batch
    python3 internal/bench/peer_torch.py lora [steps]           rank 16 on every projection
    python3 internal/bench/peer_torch.py whole [steps]          a train step of all weights

PEER_SHAPE is S, 135M or 0.5B; PEER_DTYPE is float32 or bfloat16. PEER_THREADS is the number
of threads (2); PEER_CLOCK=cpu counts the processor's time and not the wall's. Package bench runs this in turns with stargate's engine. What a newer PyTorch
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

VOCAB, DIM, LAYERS, HEADS, KV_HEADS, FFN, BATCH, TIED, BIAS = {
    "S": (2048, 256, 6, 8, 4, 688, 16, False, False),
    "135M": (49152, 576, 30, 9, 3, 1536, 4, True, False),
    "0.5B": (151936, 896, 24, 14, 2, 4864, 4, True, True),
}[os.environ.get("PEER_SHAPE", "S")]
DTYPE = os.environ.get("PEER_DTYPE", "float32")
LENGTH = 256
HEAD = DIM // HEADS
RANK = 16
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
    dtype = getattr(torch, DTYPE)
    cos, sin = angle.cos().to(dtype), angle.sin().to(dtype)
    fused = hasattr(F, "scaled_dot_product_attention")

    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(DIM))

        def forward(self, x):
            wide = x.float()  # the same x in float32
            return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + 1e-5)).to(x.dtype) * self.weight

    def rotate(x, start):
        n = x.shape[2]
        a, b = x.chunk(2, -1)
        return x * cos[start:start + n] + torch.cat((-b, a), -1) * sin[start:start + n]

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            linear = lambda i, o, bias=False: nn.Linear(i, o, bias=bias)
            self.norm1, self.norm2 = Norm(), Norm()
            self.q, self.o = linear(DIM, DIM, BIAS), linear(DIM, DIM)
            self.k, self.v = linear(DIM, KV_HEADS * HEAD, BIAS), linear(DIM, KV_HEADS * HEAD, BIAS)
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
            if TIED:
                self.head.weight = self.embed.weight
            for p in self.parameters():
                if p.dim() > 1:
                    nn.init.normal_(p, std=0.02)

        def forward(self, ids, mask=None, caches=None, start=0):
            x = self.embed(ids)
            for i, layer in enumerate(self.layers):
                x = layer(x, mask, caches[i] if caches else None, start)
            return self.head(self.norm(x))

    mask = torch.full((LENGTH, LENGTH), float("-inf"), dtype=dtype).triu(1)
    return torch, Model().to(dtype), mask


def add_low_rank(torch, m):
    """Freezes m and gives every projection a trained update B A (Hu et al., 2021)."""
    from torch import nn

    class LowRank(nn.Module):
        def __init__(self, base):
            super().__init__()
            self.base = base
            self.a = nn.Parameter(torch.randn(RANK, base.in_features).to(base.weight.dtype) * 0.02)
            self.b = nn.Parameter(torch.zeros(base.out_features, RANK, dtype=base.weight.dtype))

        def forward(self, x):
            return self.base(x) + x @ self.a.T @ self.b.T * 2.0

    m.requires_grad_(False)
    for layer in m.layers:
        for name in ("q", "k", "v", "o", "gate", "up", "down"):
            setattr(layer, name, LowRank(getattr(layer, name)))
    return [p for p in m.parameters() if p.requires_grad]


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


def median_rate(f, times, tokens):
    f()
    spent = []
    for _ in range(times):
        start = clock()
        f()
        spent.append(clock() - start)
    spent.sort()
    return tokens / ((spent[(times - 1) // 2] + spent[times // 2]) / 2)


def prefill(times):
    torch, m, mask = model()
    ids = torch.randint(0, VOCAB, (1, LENGTH))
    with torch.no_grad():

        def read():
            x = m.embed(ids)
            for layer in m.layers:
                x = layer(x, mask, None, 0)
            return m.head(m.norm(x[:, -1]))

        return median_rate(read, times, LENGTH)


def score(times):
    torch, m, mask = model()
    ids, targets = torch.randint(0, VOCAB, (2, BATCH, LENGTH))
    with torch.no_grad():
        return median_rate(lambda: m(ids, mask).float().log_softmax(-1).gather(-1, targets[..., None]), times, BATCH * LENGTH)


def steps(batch, count):
    torch, m, mask = model()
    with torch.no_grad():
        caches = [torch.zeros(2, batch, KV_HEADS, LENGTH, HEAD, dtype=mask.dtype) for _ in range(LAYERS)]
        prompt = torch.randint(0, VOCAB, (batch, PROMPT))
        state = [m(prompt, mask[:PROMPT, :PROMPT], caches)[:, -1], PROMPT]

        def step():
            state[0] = m(state[0].argmax(-1, keepdim=True), None, caches, state[1])[:, -1]
            state[1] += 1

        return median_rate(step, count, batch)


def train_median(count, low_rank):
    torch, m, mask = model()
    trained = add_low_rank(torch, m) if low_rank else list(m.parameters())
    ids, targets = torch.randint(0, VOCAB, (2, BATCH, LENGTH))
    opt = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.01)

    def step():
        loss = torch.nn.functional.cross_entropy(m(ids, mask).view(-1, VOCAB).float(), targets.view(-1))
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        return loss.item()

    return median_rate(step, count, BATCH * LENGTH)


def lora(count):
    return train_median(count, True)


def whole(count):
    return train_median(count, False)


def version():
    import torch

    try:
        blas = openblas()
        config, core = blas.openblas_get_config().decode().split(), blas.openblas_get_corename().decode()
        return f"PyTorch {torch.__version__}, {config[0]} {config[1]} ({core})"
    except OSError:
        return f"PyTorch {torch.__version__}, no OpenBLAS"


what, numbers = sys.argv[1], [int(a) for a in sys.argv[2:]]
measures = (version, train, forward, decode, sgemm, prefill, score, steps, lora, whole)
print({f.__name__: f for f in measures}[what](*numbers))
