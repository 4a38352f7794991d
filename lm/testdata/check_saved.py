"""Edit a tiny model of each family, save it, and read it in transformers. Usage: check_saved.py KEYHOLE FAMILIES.json [NAME]

FAMILIES.json is what make_families.py wrote; run with the version of transformers that it names, or another. KEYHOLE is the program.
Each model gets a tokenizer of capital letters, so that few of the prompts for drift are long. Three things are compared: that no weight is missing or too many and only some differ from the
base's, the probability of the target, and ten greedy tokens."""
import json, math, os, subprocess, sys, tempfile
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, __version__
sys.argv, args = ["make_families.py", os.devnull], sys.argv[1:]
exec(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "make_families.py")).read().replace("\nmain(sys.argv[1])", ""))

LETTERS = ["<eos>"] + list("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456") + [f"<{i}>" for i in range(26)] + ["Ġ"]
PROMPT, TARGET = "ABCDEF", "GHI"

def tokenizer(d):
    json.dump(dict(version="1.0", added_tokens=[dict(id=0, content="<eos>", single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)], normalizer=None, post_processor=None,
                   pre_tokenizer=dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True), decoder=dict(type="ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True),
                   model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None, fuse_unk=False, byte_fallback=False, vocab={t: i for i, t in enumerate(LETTERS)}, merges=[])),
              open(d + "/tokenizer.json", "w"))
    json.dump(dict(tokenizer_class="PreTrainedTokenizerFast", eos_token="<eos>"), open(d + "/tokenizer_config.json", "w"))

def ids(text): return [LETTERS.index(c if c != " " else "Ġ") for c in text]

def run(*command):
    p = subprocess.run(command, capture_output=True, text=True)
    if p.returncode: raise SystemExit(f"{' '.join(command)}\n{p.stdout}{p.stderr}")
    return p.stdout

def check(keyhole, case, d):
    base, out = d + "/base", d + "/edited"
    os.mkdir(base)
    json.dump(case["config"], open(base + "/config.json", "w")); tokenizer(base)
    shifted = case["name"].startswith("gemma")
    weights = {t["name"]: torch.from_numpy(fill(t["name"], tuple(t["shape"]), shifted)) for t in case["tensors"]}
    save_file(weights, base + "/model.safetensors", metadata={"format": "pt"})
    made = json.loads(run(keyhole, "edit", "--editor", "ft", "--set", "lr=0.05", "--model", base, "--prompt", PROMPT, "--target", TARGET, "--join", "none", "--save", out, "--force", "--threads", "1", "--json"))
    model, info = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True, attn_implementation="eager")
    assert not any(info[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    model = model.float().eval()
    changed = [n for n, p in model.named_parameters() if n in weights and not torch.equal(p.data, weights[n])]
    assert 0 < len(changed) < len(weights) / 2, changed
    prompt, target = ids(PROMPT), ids(TARGET)
    with torch.no_grad():
        logits = model(torch.tensor([prompt + target]), use_cache=False).logits[0].double().log_softmax(-1)
        p = math.exp(sum(logits[len(prompt) - 1 + i, t].item() for i, t in enumerate(target)))
        text = list(prompt)
        for _ in range(10): text.append(int(model(torch.tensor([text]), use_cache=False).logits[0, -1].argmax()))
    theirs = "".join(LETTERS[t] for t in text[len(prompt):]).split("<eos>")[0].replace("Ġ", " ")
    said = json.loads(run(keyhole, "generate", out, "--prompt", PROMPT, "--tokens", "10", "--json"))["text"]
    ours = made["edits"][0]["prob_after"]
    assert abs(ours - p) <= 1e-4 * max(p, 1e-3), (ours, p)
    assert said == theirs, (said, theirs)
    return len(changed), ours, p, theirs

def main_check(keyhole, families, only=""):
    cases = [c for c in json.load(open(families))["cases"] if only in c["name"]]
    print("transformers", __version__)
    for case in cases:
        with tempfile.TemporaryDirectory() as d:
            n, ours, p, text = check(os.path.abspath(keyhole), case, d)
        print(f"{case['name']}: {n} weights differ; p(target) here {ours:.6f}, there {p:.6f}; both go on with {text!r}", flush=True)
    print(len(cases), "read back")

main_check(*args)
