"""Logits of tiny models of each family. Usage: make_families.py OUT.json
Run with transformers 4.57 and 5: configs are spelt differently. Weights are not kept: both sides make them from
their names (see fill), and OUT.json lists names and shapes."""
import json, sys, zlib
import numpy as np, torch, transformers
from transformers import AutoConfig, AutoModelForCausalLM

def fill(name, shape, shifted):
    n = int(np.prod(shape))
    x = (np.uint32(zlib.crc32(name.encode())) + np.arange(n, dtype=np.uint32) * np.uint32(2654435761)).astype(np.uint32)
    for s in (16, 15): x ^= x >> np.uint32(s); x = (x * np.uint32(0x85ebca6b)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    v = (x.astype(np.float64) / 2 ** 32 - 0.5).astype(np.float32)
    if len(shape) == 1: v = v * np.float32(0.25) + np.float32(0 if shifted or not name.endswith("norm.weight") else 1)
    return v.reshape(shape)

BASE = dict(vocab_size=61, hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
            max_position_embeddings=64, bos_token_id=0, eos_token_id=0, pad_token_id=None)
CASES = [
    ("qwen3", dict(model_type="qwen3", head_dim=16)),
    ("qwen3 with a window", dict(model_type="qwen3", head_dim=8, use_sliding_window=True, sliding_window=5, max_window_layers=2, attention_bias=True, tie_word_embeddings=True)),
    ("smollm3", dict(model_type="smollm3")),
    ("smollm3 with a window", dict(model_type="smollm3", no_rope_layers=[1, 0, 1, 0], use_sliding_window=True, sliding_window=4, tie_word_embeddings=True)),
    ("ministral", dict(model_type="ministral", head_dim=16, sliding_window=4, layer_types=["full_attention", "sliding_attention"] * 2)),
    ("phi3", dict(model_type="phi3", partial_rotary_factor=0.5)),
    ("phi3 with longrope", dict(model_type="phi3", max_position_embeddings=64, original_max_position_embeddings=32, sliding_window=6,
        rope_scaling=dict(type="longrope", short_factor=[1.0, 1.25, 1.5, 2.0], long_factor=[1.0, 2.0, 3.0, 4.0]))),
    ("gemma3", dict(model_type="gemma3_text", head_dim=16, query_pre_attn_scalar=24, sliding_window=5, num_hidden_layers=7, hidden_activation="gelu_pytorch_tanh", rope_theta=1e6)),
    ("gemma3 with scaling", dict(model_type="gemma3_text", head_dim=8, query_pre_attn_scalar=8, sliding_window=5, layer_types=["sliding_attention", "full_attention"] * 2,
        rope_scaling=dict(rope_type="linear", factor=8.0), rope_local_base_freq=5000.0)),
    ("gemma3 with capped logits", dict(model_type="gemma3_text", head_dim=8, query_pre_attn_scalar=8, sliding_window=5, final_logit_softcapping=3.0)),
    ("gemma2", dict(model_type="gemma2", head_dim=16, query_pre_attn_scalar=24, sliding_window=5, attn_logit_softcapping=2.0, final_logit_softcapping=3.0)),
    ("gemma2 without caps", dict(model_type="gemma2", head_dim=8, query_pre_attn_scalar=8, sliding_window=5, num_hidden_layers=3, attn_logit_softcapping=None, final_logit_softcapping=None,
        tie_word_embeddings=False, rope_theta=5e5)),
    ("llama with yarn", dict(model_type="llama", rope_scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16))),
    ("qwen2 with yarn", dict(model_type="qwen2", rope_scaling=dict(rope_type="yarn", factor=2.0, original_max_position_embeddings=32, beta_fast=4.0, beta_slow=0.5, attention_factor=1.1))),
    ("llama with dynamic scaling", dict(model_type="llama", rope_scaling=dict(rope_type="dynamic", factor=2.0))),
    ("llama with llama3 scaling", dict(model_type="llama", rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16))),
    ("opt with norms behind", dict(model_type="opt", ffn_dim=48, do_layer_norm_before=False, word_embed_proj_dim=16, pad_token_id=1, activation_function="relu")),
    ("opt with narrow embeddings", dict(model_type="opt", ffn_dim=48, do_layer_norm_before=True, word_embed_proj_dim=16, pad_token_id=1)),
]
SIZES = {"opt": ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings", "bos_token_id", "eos_token_id")}

def main(out):
    kept = []
    for name, change in CASES:
        kind = change["model_type"]
        base = {k: v for k, v in BASE.items() if kind not in SIZES or k in SIZES[kind]}
        try: config = AutoConfig.for_model(**{**base, **change})
        except (KeyError, ValueError) as e: print("left out:", name, str(e)[:80]); continue
        config._attn_implementation = "eager"
        model = AutoModelForCausalLM.from_config(config).float().eval()
        tensors = []
        with torch.no_grad():
            for key, p in model.named_parameters():
                p.copy_(torch.from_numpy(fill(key, tuple(p.shape), kind.startswith("gemma"))))
                tensors.append(dict(name=key, shape=list(p.shape)))
            ids = [(7 * i * i + 3 * i + 5) % 61 for i in range(24)]
            logits = model(torch.tensor([ids]), use_cache=False).logits[0]
            text = list(ids[:6])
            for _ in range(12): text.append(int(model(torch.tensor([text]), use_cache=False).logits[0, -1].argmax()))
        c = json.loads(config.to_json_string(use_diff=False))
        c["architectures"] = [type(model).__name__]
        kept.append(dict(name=name, config=c, tensors=tensors, ids=ids, logits=[[float("%.6g" % v) for v in row] for row in logits[[0, 5, 11, 23]].tolist()],
                         rows=[0, 5, 11, 23], greedy=text[6:]))
        print(name, "largest logit %.2f" % logits.abs().max())
    json.dump(dict(transformers=transformers.__version__, cases=kept), open(out, "w"), separators=(",", ":"))

main(sys.argv[1])
