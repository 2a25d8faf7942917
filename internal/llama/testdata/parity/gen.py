#!/usr/bin/python3
"""Freezes PyTorch's numbers for parity_test.go. Made with torch 1.13 (Debian python3-torch).

A tiny decoder with grouped heads and odd sizes, two sequences of different lengths with
masked targets, tied and untied head: weights, logits, loss, every gradient, and ten AdamW
steps. Float arrays are little-endian float32, base64 in JSON."""
import base64, json, os, struct
import torch, torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))

def pack(t):
    x = t.detach().contiguous().view(-1).tolist()
    return base64.b64encode(struct.pack("<%df" % len(x), *x)).decode()

def names(c):
    out = ["model.embed_tokens.weight"]
    for i in range(c["num_hidden_layers"]):
        p = "model.layers.%d." % i
        out += [p + "input_layernorm.weight"] + [p + "self_attn.%s_proj.weight" % x for x in "qkvo"]
        out += [p + "post_attention_layernorm.weight"] + [p + "mlp.%s_proj.weight" % x for x in ("gate", "up", "down")]
    out.append("model.norm.weight")
    if not c["tie_word_embeddings"]:
        out.append("lm_head.weight")
    return out

def shape(c, name):
    d, f, v, hd = c["hidden_size"], c["intermediate_size"], c["vocab_size"], c["head_dim"]
    q, kv = c["num_attention_heads"] * hd, c["num_key_value_heads"] * hd
    for key, s in (("embed", (v, d)), ("lm_head", (v, d)), ("q_proj", (q, d)), ("k_proj", (kv, d)), ("v_proj", (kv, d)),
                   ("o_proj", (d, q)), ("gate", (f, d)), ("up", (f, d)), ("down", (d, f))):
        if key in name:
            return s
    return (d,)

def rms(x, w, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * w

def forward(c, w, ids):
    n, hd, h, hk = len(ids), c["head_dim"], c["num_attention_heads"], c["num_key_value_heads"]
    freq = c["rope_theta"] ** (-torch.arange(0, hd, 2, dtype=torch.float64) / hd)
    angle = torch.outer(torch.arange(n, dtype=torch.float64), freq)
    cos, sin = torch.cat([angle.cos()] * 2, -1).float(), torch.cat([angle.sin()] * 2, -1).float()
    def rot(x):
        a, b = x.chunk(2, -1)
        return x * cos + torch.cat([-b, a], -1) * sin
    mask = torch.full((n, n), float("-inf")).triu(1)
    x = w["model.embed_tokens.weight"][ids]
    for i in range(c["num_hidden_layers"]):
        p = "model.layers.%d." % i
        y = rms(x, w[p + "input_layernorm.weight"], c["rms_norm_eps"])
        q, k, v = ((y @ w[p + "self_attn.%s_proj.weight" % s].T).view(n, -1, hd).transpose(0, 1) for s in "qkv")
        q, k = rot(q), rot(k)
        k, v = k.repeat_interleave(h // hk, 0), v.repeat_interleave(h // hk, 0)
        a = F.softmax(q @ k.transpose(1, 2) * hd ** -0.5 + mask, -1) @ v
        x = x + a.transpose(0, 1).reshape(n, h * hd) @ w[p + "self_attn.o_proj.weight"].T
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

def fixture(name, tied, seed):
    torch.manual_seed(seed)
    c = dict(model_type="llama", vocab_size=61, hidden_size=20, intermediate_size=37, num_hidden_layers=2, num_attention_heads=6,
             num_key_value_heads=2, head_dim=6, max_position_embeddings=64, rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=tied)
    w = {k: (torch.randn(shape(c, k)) * 0.2 if len(shape(c, k)) == 2 else 1 + 0.3 * torch.randn(shape(c, k))).requires_grad_() for k in names(c)}
    seqs = []
    for n in (19, 1 + 7, 33):
        seqs.append(dict(tokens=torch.randint(0, 61, (n,)).tolist(), loss=[False] + (torch.rand(n - 1) < 0.7).tolist()))
    for s in seqs:
        s["loss"][-1] = True
    out = dict(torch=torch.__version__, config=c, sequences=seqs, weights={k: pack(v) for k, v in w.items()},
               logits=[pack(forward(c, w, torch.tensor(s["tokens"]))) for s in seqs])
    loss = loss_of(c, w, seqs)
    loss.backward()
    out["loss"] = loss.item()
    out["gradients"] = {k: pack(v.grad) for k, v in w.items()}
    opt = torch.optim.AdamW([dict(params=[v for v in w.values() if v.dim() == 2], weight_decay=0.1),
                             dict(params=[v for v in w.values() if v.dim() == 1], weight_decay=0.0)], lr=3e-3, betas=(0.9, 0.99), eps=1e-8)
    out["losses"] = []
    for _ in range(10):
        opt.zero_grad()
        l = loss_of(c, w, seqs)
        l.backward()
        torch.nn.utils.clip_grad_norm_(w.values(), 0.5)
        opt.step()
        out["losses"].append(l.item())
    out["final"] = {k: pack(v) for k, v in w.items()}
    with open(os.path.join(HERE, name + ".json"), "w") as f:
        json.dump(out, f, indent=0, sort_keys=True)

fixture("untied", False, 1)
fixture("tied", True, 2)
