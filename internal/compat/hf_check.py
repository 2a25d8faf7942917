"""Holds Hugging Face's transformers to what stargate wrote and computed.

    go run ./internal/compat -out DIR
    python3 internal/compat/hf_check.py DIR

With transformers installed, each directory is loaded with AutoConfig, AutoTokenizer and
AutoModelForCausalLM; ids, decodings, renderings, log-probabilities and logits must agree.
Without it, a decoder of 40 lines in float64 reads config.json and model.safetensors with
nothing of stargate's and must agree too (Llama and Mistral without a sliding window or
rope_scaling), and the files are read by PyTorch where that is installed.
"""
import json
import pathlib
import sys

import numpy as np

LIMIT = 1e-3  # of log-probabilities and logits, absolute


def read_safetensors(path):
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header, body = json.loads(raw[8:8 + size]), raw[8 + size:]
    metadata = header.pop("__metadata__", {})
    assert metadata.get("format") == "pt", "transformers wants to know the format"
    tensors, end = {}, 0
    for name, t in sorted(header.items(), key=lambda x: x[1]["data_offsets"]):
        start, stop = t["data_offsets"]
        assert start == end, f"{name}: a hole in the file"
        end = stop
        dtype = {"F16": np.float16, "F32": np.float32, "F64": np.float64}.get(t["dtype"])
        data = np.frombuffer(body[start:stop], dtype or np.uint16)
        if dtype is None:
            assert t["dtype"] == "BF16", f"{name}: {t['dtype']}"
            data = (data.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = data.reshape(t["shape"])
    assert end == len(body), "bytes after the last tensor"
    return tensors


def logits_in_numpy(config, tensors, ids):
    """All logits of one sequence, in float64."""
    w = {k: v.astype(np.float64) for k, v in tensors.items()}
    n, heads = len(ids), config["num_attention_heads"]
    groups = heads // config.get("num_key_value_heads", heads)
    size = config.get("head_dim") or config["hidden_size"] // heads
    angle = np.outer(np.arange(n), config.get("rope_theta", 10000.0) ** (-np.arange(0, size, 2) / size))
    cos, sin = np.cos(np.hstack([angle, angle])), np.sin(np.hstack([angle, angle]))

    def norm(x, weight):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + config["rms_norm_eps"]) * weight

    def rotate(x):  # (heads, n, size)
        return x * cos + np.concatenate([-x[..., size // 2:], x[..., :size // 2]], -1) * sin

    def split(x):
        return x.reshape(n, -1, size).transpose(1, 0, 2)

    x = w["model.embed_tokens.weight"][ids]
    for layer in range(config["num_hidden_layers"]):
        of = lambda name: w[f"model.layers.{layer}.{name}.weight"]
        h = norm(x, of("input_layernorm"))
        q, k = rotate(split(h @ of("self_attn.q_proj").T)), rotate(split(h @ of("self_attn.k_proj").T))
        v = split(h @ of("self_attn.v_proj").T)
        k, v = np.repeat(k, groups, 0), np.repeat(v, groups, 0)
        score = q @ k.transpose(0, 2, 1) / np.sqrt(size) + np.triu(np.full((n, n), -np.inf), 1)
        score = np.exp(score - score.max(-1, keepdims=True))
        y = score / score.sum(-1, keepdims=True) @ v
        x = x + y.transpose(1, 0, 2).reshape(n, -1) @ of("self_attn.o_proj").T
        h = norm(x, of("post_attention_layernorm"))
        gate = h @ of("mlp.gate_proj").T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ of("mlp.up_proj").T)) @ of("mlp.down_proj").T
    head = w["model.embed_tokens.weight" if config.get("tie_word_embeddings") else "lm_head.weight"]
    return norm(x, w["model.norm.weight"]) @ head.T


def compare_logits(expected, logits_of):
    """The largest difference in log-probabilities and logits."""
    worst = [0.0, 0.0]
    for case in expected["texts"]:
        if "logits" not in case:
            continue
        ids = case["ids"]
        logits = logits_of(ids)
        top = logits.max(-1, keepdims=True)
        log_probs = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
        theirs = log_probs[np.arange(len(ids) - 1), ids[1:]]
        worst[0] = max(worst[0], np.abs(theirs - case["log_probs"]).max())
        worst[1] = max(worst[1], np.abs(logits[-1] - case["logits"]).max())
    assert max(worst) < LIMIT, f"log-probabilities and logits differ by {worst}"
    return "largest difference: %.1e in log-probabilities, %.1e in logits" % tuple(worst)


def with_transformers(directory, expected):
    import torch
    import transformers

    tok = transformers.AutoTokenizer.from_pretrained(directory)
    for case in expected["texts"]:
        ids = tok(case["text"])["input_ids"]
        assert ids == case["ids"], (case["text"], ids, case["ids"])
        decoded = tok.decode(ids, skip_special_tokens=True)
        assert decoded == case["decoded"], (case["text"], decoded, case["decoded"])
    for case in expected["chats"]:
        text = tok.apply_chat_template(case["messages"], tokenize=False, add_generation_prompt=case["generate"])
        assert text == case["text"], (text, case["text"])
        ids = tok(text, add_special_tokens=False)["input_ids"]
        assert ids == case["ids"], (text, ids, case["ids"])
    model = transformers.AutoModelForCausalLM.from_pretrained(directory).float().eval()

    def logits_of(ids):
        with torch.no_grad():
            return model(torch.tensor([ids])).logits[0].double().numpy()

    return (f"transformers {transformers.__version__}, {type(model).__name__}: {len(expected['texts'])} texts and "
            f"{len(expected['chats'])} renderings equal; {compare_logits(expected, logits_of)}")


def without_transformers(directory, expected):
    config = json.loads((directory / "config.json").read_text())
    if config["model_type"] not in ("llama", "mistral") or config.get("sliding_window") or config.get("rope_scaling"):
        return "a kind of model that only transformers can check here"
    tensors = read_safetensors(directory / "model.safetensors")
    count = sum(t.size for t in tensors.values())
    return (f"numpy {np.__version__}: {len(tensors)} tensors, {count} numbers; "
            + compare_logits(expected, lambda ids: logits_in_numpy(config, tensors, ids)))


def in_pytorch(directory):
    import torch

    kinds = {"F16": torch.float16, "F32": torch.float32, "BF16": torch.bfloat16}
    raw = (directory / "model.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    numpy = read_safetensors(directory / "model.safetensors")
    for name, t in header.items():
        start, stop = (8 + size + o for o in t["data_offsets"])
        tensor = torch.frombuffer(bytearray(raw[start:stop]), dtype=kinds[t["dtype"]]).reshape(t["shape"])
        assert torch.equal(tensor.float(), torch.from_numpy(numpy[name].astype(np.float32))), name
        assert torch.isfinite(tensor.float()).all(), name
    return f"PyTorch {torch.__version__}: the same {len(header)} tensors, all finite"


def importable(name):
    try:
        __import__(name)
        return True
    except ImportError:
        return False


def main():
    root = pathlib.Path(sys.argv[1])
    expected = json.loads((root / "expected.json").read_text())
    for directory in (root / "given", root / "saved"):
        print(directory.name)
        print("  " + without_transformers(directory, expected))
        if importable("torch"):
            print("  " + in_pytorch(directory))
        if importable("transformers"):
            print("  " + with_transformers(str(directory), expected))
        else:
            print("  transformers is not installed: not checked with it")


main()
