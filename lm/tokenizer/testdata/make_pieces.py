"""A small SentencePiece model and transformers' ids of texts. Usage: make_pieces.py pieces.json
Needs sentencepiece and transformers 4.36.2."""
import base64, json, os, sys, tempfile
import sentencepiece as spm
from transformers import AutoTokenizer

WORDS = ["The capital of France is Paris.", "Ray Charles, the piano player.", "El Alicante come pájaros. ¿Qué come?", "司马光 编纂 《资治通鉴》。",
         "    def f(x):\n        return x + 1"] * 20
TEXTS = ["", " ", "  ", "a", "The capital of France is", " The capital", "the  end ", "<s>The", "The</s> capital", "Paris\n", "\n\n", "\t tab", "12345", "pájaros", "pa\u0301jaros",
         "《资治通鉴》", "ﬁne ½ ①", "日本語", "🙂", "a\u00a0b", "x\u3000y", "<unk>", "▁", "▁The", "def f(x):\n    return", "¿Qué?"]
with tempfile.TemporaryDirectory() as d:
    open(d + "/t.txt", "w").write("\n".join(WORDS))
    spm.SentencePieceTrainer.train(input=d + "/t.txt", model_prefix=d + "/tokenizer", vocab_size=360, model_type="bpe", byte_fallback=True,
                                   character_coverage=1.0, normalization_rule_name="identity", minloglevel=2)
    os.remove(d + "/t.txt")
    config = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    json.dump(config, open(d + "/tokenizer_config.json", "w"))
    tok = AutoTokenizer.from_pretrained(d)
    assert tok.is_fast
    json.dump(dict(config=config, model=base64.b64encode(open(d + "/tokenizer.model", "rb").read()).decode(),
                   cases=[dict(text=t, ids=tok(t)["input_ids"]) for t in TEXTS]), open(sys.argv[1], "w"), ensure_ascii=False)
