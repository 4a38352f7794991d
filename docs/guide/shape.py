"""Write a Llama of random weights, to measure what a size costs. Usage: shape.py SIZE MODEL.gguf TOKENIZER.gguf

SIZE is 0.5b (Qwen2.5-0.5B's shape), 1b (Llama-3.2-1B's, with SmolLM2's vocabulary) or 8b (Llama-3-8B's), the tokenizer that of any
GGUF file of llama.cpp, such as SmolLM2's. Needs `pip install gguf`. Weights are Q8_0, of the 8b Q4_0; their values mean nothing."""
import sys
import numpy as np
from gguf import GGMLQuantizationType as Q, GGUFReader, GGUFWriter

SHAPES = {"0.5b": (24, 896, 4864, 14, 2, 151936, True), "1b": (16, 2048, 8192, 32, 8, 49152, True), "8b": (32, 4096, 14336, 32, 8, 128256, False)}
size, out, tokens = sys.argv[1:]
layers, width, ffn, heads, kv, vocab, tied = SHAPES[size]
head, rng = width // heads, np.random.default_rng(1)
quant, block = (Q.Q4_0, 18) if size == "8b" else (Q.Q8_0, 34)
w = GGUFWriter(out, "llama")
w.add_block_count(layers); w.add_embedding_length(width); w.add_feed_forward_length(ffn); w.add_head_count(heads); w.add_head_count_kv(kv)
w.add_context_length(2048); w.add_layer_norm_rms_eps(1e-5); w.add_rope_freq_base(500000.0); w.add_rope_dimension_count(head)
for name, f in GGUFReader(tokens).fields.items():
    if name.startswith("tokenizer."): w.add_key_value(name, f.contents(), f.types[0], f.types[1] if len(f.types) > 1 else None)

def matrix(name, rows, cols):
    data = np.frombuffer(rng.bytes(rows * cols // 32 * block), np.uint8).reshape(-1, block).copy()
    data[:, :2] = np.frombuffer(np.float16(0.02 / (73 if quant == Q.Q8_0 else 4.6)).tobytes(), np.uint8)  # deviation 0.02
    w.add_tensor(name, data.reshape(rows, cols // 32 * block), raw_dtype=quant)

def gain(name): w.add_tensor(name, np.ones(width, np.float32))

matrix("token_embd.weight", vocab, width)
for i in range(layers):
    p = f"blk.{i}."
    gain(p + "attn_norm.weight"); gain(p + "ffn_norm.weight")
    matrix(p + "attn_q.weight", width, width); matrix(p + "attn_k.weight", kv * head, width); matrix(p + "attn_v.weight", kv * head, width); matrix(p + "attn_output.weight", width, width)
    matrix(p + "ffn_gate.weight", ffn, width); matrix(p + "ffn_up.weight", ffn, width); matrix(p + "ffn_down.weight", width, ffn)
gain("output_norm.weight")
if not tied: matrix("output.weight", vocab, width)
w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
