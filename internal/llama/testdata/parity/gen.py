#!/usr/bin/python3
"""Freezes PyTorch's numbers for parity_test.go. Made with torch 1.13 (Debian python3-torch).

Tiny decoders of every family and with every switch of config.json that the engine honours,
each with grouped heads or odd sizes and three sequences of different lengths with masked
targets: weights, logits, loss, every gradient, and of two of them ten AdamW steps. Float
arrays are little-endian float32, base64 in JSON.

The model is written here from the definitions of the families, in plain PyTorch."""
import base64, json, math, os, struct
import torch, torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))

def pack(t):
    x = t.detach().contiguous().view(-1).tolist()
    return base64.b64encode(struct.pack("<%df" % len(x), *x)).decode()

def names(c):
    kind = c["model_type"]
    qkv_bias = kind == "qwen2" or c.get("attention_bias")
    out = ["model.embed_tokens.weight"]
    for i in range(c["num_hidden_layers"]):
        p = "model.layers.%d." % i
        out += [p + "input_layernorm.weight"] + [p + "self_attn.%s_proj.weight" % x for x in "qkvo"]
        out += [p + "self_attn.%s_proj.bias" % x for x in "qkv" if qkv_bias] + [p + "self_attn.o_proj.bias"] * bool(c.get("attention_bias"))
        out += [p + "self_attn.%s_norm.weight" % x for x in "qk" if kind == "qwen3"]
        out += [p + "post_attention_layernorm.weight"] + [p + "mlp.%s_proj.weight" % x for x in ("gate", "up", "down")]
    out.append("model.norm.weight")
    if not c["tie_word_embeddings"]:
        out.append("lm_head.weight")
    return out

def shape(c, name):
    d, f, v, hd = c["hidden_size"], c["intermediate_size"], c["vocab_size"], c["head_dim"]
    q, kv = c["num_attention_heads"] * hd, c["num_key_value_heads"] * hd
    if "q_norm" in name or "k_norm" in name:
        return (hd,)
    for key, s in (("embed", (v, d)), ("lm_head", (v, d)), ("q_proj", (q, d)), ("k_proj", (kv, d)), ("v_proj", (kv, d)),
                   ("o_proj", (d, q)), ("gate", (f, d)), ("up", (f, d)), ("down", (d, f))):
        if key in name:
            return s[:1] if name.endswith("bias") else s
    return (d,)

def rms(x, w, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * w

def frequencies(c, n):
    """Radians per position of each pair, and the factor of cosine and sine, for a text of n tokens."""
    hd, base, s = c["head_dim"], c["rope_theta"], c.get("rope_scaling") or {"rope_type": "default"}
    kind, factor, longest = s.get("rope_type", s.get("type")), s.get("factor"), c["max_position_embeddings"]
    if kind == "dynamic":
        base *= (factor * max(n, longest) / longest - (factor - 1)) ** (hd / (hd - 2))
    freq = base ** (-torch.arange(0, hd, 2, dtype=torch.float64) / hd)
    if kind == "linear":
        return freq / factor, 1.0
    if kind == "llama3":
        old, low, high = s["original_max_position_embeddings"], s["low_freq_factor"], s["high_freq_factor"]
        out = []
        for f in freq.tolist():
            length = 2 * math.pi / f
            if length < old / high:
                out.append(f)
            elif length > old / low:
                out.append(f / factor)
            else:
                smooth = (old / length - low) / (high - low)
                out.append((1 - smooth) * f / factor + smooth * f)
        return torch.tensor(out, dtype=torch.float64), 1.0
    if kind == "yarn":
        old = s.get("original_max_position_embeddings", longest)
        def pair(turns):
            return hd * math.log(old / (turns * 2 * math.pi)) / (2 * math.log(base))
        lo, hi = pair(s.get("beta_fast", 32)), pair(s.get("beta_slow", 1))
        if s.get("truncate", True):
            lo, hi = math.floor(lo), math.ceil(hi)
        lo, hi = max(lo, 0), min(hi, hd - 1)
        ramp = ((torch.arange(hd // 2, dtype=torch.float64) - lo) / (hi - lo)).clamp(0, 1)
        def scale(m):
            return 0.1 * m * math.log(factor) + 1 if factor > 1 else 1.0
        magnitude = s.get("attention_factor")
        if magnitude is None:
            both = "mscale" in s and "mscale_all_dim" in s
            magnitude = scale(s["mscale"]) / scale(s["mscale_all_dim"]) if both else scale(1)
        return freq / factor * ramp + freq * (1 - ramp), magnitude
    return freq, 1.0

def window(c, layer):
    """How many keys a query of the layer sees, or None."""
    if c["model_type"] == "mistral":
        return c.get("sliding_window")
    if not c.get("use_sliding_window"):
        return None
    kinds = c.get("layer_types")
    slides = kinds[layer] == "sliding_attention" if kinds else layer >= c["max_window_layers"]
    return c["sliding_window"] if slides else None

def linear(w, name, x):
    y = x @ w[name + ".weight"].T
    return y + w[name + ".bias"] if name + ".bias" in w else y

def forward(c, w, ids):
    n, hd, h, hk = len(ids), c["head_dim"], c["num_attention_heads"], c["num_key_value_heads"]
    freq, magnitude = frequencies(c, n)
    angle = torch.outer(torch.arange(n, dtype=torch.float64), freq)
    cos, sin = (torch.cat([t * magnitude] * 2, -1).float() for t in (angle.cos(), angle.sin()))
    def rot(x):
        a, b = x.chunk(2, -1)
        return x * cos + torch.cat([-b, a], -1) * sin
    x = w["model.embed_tokens.weight"][ids]
    for i in range(c["num_hidden_layers"]):
        p = "model.layers.%d." % i
        mask = torch.full((n, n), float("-inf")).triu(1)
        if window(c, i):
            mask += torch.full((n, n), float("-inf")).tril(-window(c, i))
        y = rms(x, w[p + "input_layernorm.weight"], c["rms_norm_eps"])
        q, k, v = (linear(w, p + "self_attn.%s_proj" % s, y).view(n, -1, hd).transpose(0, 1) for s in "qkv")
        if p + "self_attn.q_norm.weight" in w:
            q, k = (rms(t, w[p + "self_attn.%s_norm.weight" % s], c["rms_norm_eps"]) for s, t in (("q", q), ("k", k)))
        q, k = rot(q), rot(k)
        k, v = k.repeat_interleave(h // hk, 0), v.repeat_interleave(h // hk, 0)
        a = F.softmax(q @ k.transpose(1, 2) * hd ** -0.5 + mask, -1) @ v
        x = x + linear(w, p + "self_attn.o_proj", a.transpose(0, 1).reshape(n, h * hd))
        y = rms(x, w[p + "post_attention_layernorm.weight"], c["rms_norm_eps"])
        x = x + (F.silu(y @ w[p + "mlp.gate_proj.weight"].T) * (y @ w[p + "mlp.up_proj.weight"].T)) @ w[p + "mlp.down_proj.weight"].T
    x = rms(x, w["model.norm.weight"], c["rms_norm_eps"])
    head = w["model.embed_tokens.weight"] if c["tie_word_embeddings"] else w["lm_head.weight"]
    return x @ head.T

def loss_of(c, w, seqs):
    total, n = 0.0, 0
    for s in seqs:
        lg = forward(c, w, torch.tensor(s["tokens"][:-1]))
        m = torch.tensor(s["loss"][1:])
        nll = F.cross_entropy(lg, torch.tensor(s["tokens"][1:]), reduction="none")
        total, n = total + nll[m].sum(), n + int(m.sum())
    return total / n

def fixture(name, seed, steps=0, lengths=(19, 8, 33), **changes):
    torch.manual_seed(seed)
    c = dict(model_type="llama", vocab_size=61, hidden_size=20, intermediate_size=37, num_hidden_layers=2, num_attention_heads=6,
             num_key_value_heads=2, head_dim=6, max_position_embeddings=64, rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=True)
    c.update(changes)
    def draw(k):
        t = torch.randn(shape(c, k))
        return t * 0.2 if t.dim() == 2 else t * 0.3 if k.endswith("bias") else 1 + 0.3 * t
    w = {k: draw(k).requires_grad_() for k in names(c)}
    seqs = []
    for n in lengths:
        seqs.append(dict(tokens=torch.randint(0, c["vocab_size"], (n,)).tolist(), loss=[False] + (torch.rand(n - 1) < 0.7).tolist()))
    for s in seqs:
        s["loss"][-1] = True
    out = dict(torch=torch.__version__, config=c, sequences=seqs, weights={k: pack(v) for k, v in w.items()},
               logits=[pack(forward(c, w, torch.tensor(s["tokens"]))) for s in seqs])
    loss = loss_of(c, w, seqs)
    loss.backward()
    out["loss"] = loss.item()
    out["gradients"] = {k: pack(v.grad) for k, v in w.items()}
    if steps:
        opt = torch.optim.AdamW([dict(params=[v for v in w.values() if v.dim() == 2], weight_decay=0.1),
                                 dict(params=[v for v in w.values() if v.dim() == 1], weight_decay=0.0)], lr=3e-3, betas=(0.9, 0.99), eps=1e-8)
        out["losses"] = []
        for _ in range(steps):
            opt.zero_grad()
            l = loss_of(c, w, seqs)
            l.backward()
            torch.nn.utils.clip_grad_norm_(w.values(), 0.5)
            opt.step()
            out["losses"].append(l.item())
        out["final"] = {k: pack(v) for k, v in w.items()}
    with open(os.path.join(HERE, name + ".json"), "w") as f:
        json.dump(out, f, indent=0, sort_keys=True)

fixture("untied", 1, steps=10, tie_word_embeddings=False)
fixture("tied", 2, steps=10)

small = dict(vocab_size=31, hidden_size=18, intermediate_size=23)
wide = dict(small, num_attention_heads=3, num_key_value_heads=1, head_dim=16)  # heads of eight pairs, whose frequencies differ
fixture("llama2", 3, **dict(small, num_attention_heads=3, num_key_value_heads=3, tie_word_embeddings=False))
fixture("llama_bias", 4, **small, attention_bias=True)
fixture("llama3", 5, **wide, lengths=(19, 8, 90), max_position_embeddings=128, rope_scaling=dict(
    rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=40))
fixture("linear", 6, **wide, lengths=(19, 8, 90), rope_scaling=dict(type="linear", factor=2.5))
fixture("dynamic", 7, **wide, lengths=(19, 8, 64), rope_scaling=dict(type="dynamic", factor=2.0))
fixture("yarn", 8, **wide, lengths=(19, 8, 90), max_position_embeddings=32, rope_scaling=dict(type="yarn", factor=4.0))
fixture("yarn_scaled", 9, **wide, lengths=(19, 8, 90), max_position_embeddings=128, rope_scaling=dict(
    rope_type="yarn", factor=4.0, original_max_position_embeddings=32, beta_fast=4.0, beta_slow=0.5, mscale=1.0, mscale_all_dim=0.7, truncate=False))
fixture("yarn_factor", 10, **wide, lengths=(19, 8, 90), max_position_embeddings=32, rope_scaling=dict(rope_type="yarn", factor=4.0, attention_factor=1.3))
fixture("mistral", 11, **small, lengths=(19, 8, 60), model_type="mistral", sliding_window=7, tie_word_embeddings=False)
fixture("qwen2", 12, **small, model_type="qwen2", use_sliding_window=False, sliding_window=7, max_window_layers=1)
fixture("qwen2_window", 13, **small, lengths=(19, 8, 60), model_type="qwen2", use_sliding_window=True, sliding_window=7, max_window_layers=1)
fixture("qwen3", 14, **dict(wide, hidden_size=20), model_type="qwen3", attention_bias=False)
fixture("qwen3_window", 15, **small, lengths=(19, 8, 60), model_type="qwen3", attention_bias=True, use_sliding_window=True, sliding_window=20,
        layer_types=["sliding_attention", "full_attention"], tie_word_embeddings=False)
