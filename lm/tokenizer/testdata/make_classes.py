"""What each tokenizer class of transformers puts around a text. Usage: make_classes.py classes.json

Needs transformers (4.57.6 made the file; 4.36.2 gives the same where it knows the class). A case is a
tokenizer_config.json and, or not, a template in tokenizer.json; the tokenizer is one for all."""
import json, os, sys, tempfile
from tokenizers import Tokenizer, models, trainers, pre_tokenizers, decoders
from transformers import AutoTokenizer, __version__

WORDS = ["The capital of France is Paris.", "Paris is the capital of the land."] * 20
TEXTS = ["", "The capital of France is", "<s>The capital", "<s><s>x", "the end</s>"]
NAMES = ["<s>", "</s>", "<unk>", "<bos>", "<eos>", "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", "<|endoftext|>"]

def base():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    t.train_from_iterator(WORDS, trainers.BpeTrainer(vocab_size=290, special_tokens=NAMES, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    j = json.loads(t.to_str())
    j["model"]["merges"] = [m if isinstance(m, str) else " ".join(m) for m in j["model"]["merges"]]
    return j

def template(t):
    piece = lambda kind: [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": kind, "type_id": 0}}]
    return dict(t, post_processor={"type": "TemplateProcessing", "single": piece("A"), "pair": piece("A") + piece("B"),
        "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}})

def main(out):
    tok, cases = base(), []
    named = dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    for cls in ["LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizerFast", "GemmaTokenizerFast", "CohereTokenizerFast",
                "GPTNeoXTokenizerFast", "PreTrainedTokenizerFast", "GPT2TokenizerFast", "GPT2Tokenizer", "Qwen2TokenizerFast", "Qwen2Tokenizer"]:
        for with_template in (False, True):
            for flags in ({}, dict(add_bos_token=True), dict(add_bos_token=False), dict(add_bos_token=True, add_eos_token=True), dict(add_eos_token=True)):
                cases.append((dict(tokenizer_class=cls, **named, **flags), None, with_template))
        cases.append((dict(tokenizer_class=cls), None, False))
    for kind in ("llama", "mistral", "gpt2", "gemma"):
        cases.append((dict(named), kind, False))
        cases.append((dict(named), kind, True))
    kept, skipped = [], []
    for config, kind, with_template in cases:
        with tempfile.TemporaryDirectory() as d:
            t = template(tok) if with_template else tok
            json.dump(t, open(os.path.join(d, "tokenizer.json"), "w")); json.dump(config, open(os.path.join(d, "tokenizer_config.json"), "w"))
            if kind: json.dump(dict(model_type=kind), open(os.path.join(d, "config.json"), "w"))
            try: f = AutoTokenizer.from_pretrained(d)
            except Exception as e: skipped.append((config, kind, str(e)[:60])); continue
            kept.append(dict(config=config, model_type=kind, template=with_template, ids=[f(x)["input_ids"] for x in TEXTS]))
    for s in skipped: print("left out:", s)
    with open(out, "w") as f:
        json.dump(dict(transformers=__version__, tokenizer=tok, template=template(tok)["post_processor"], texts=TEXTS, cases=kept), f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")
    print(len(kept), "cases")

main(sys.argv[1])
