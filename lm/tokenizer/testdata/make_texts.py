"""Ids of 200 texts by the tokenizers of the families, each with a small vocabulary of its own. Usage: make_texts.py SHARED texts.json.gz

Needs transformers 4.57 and sentencepiece. SHARED is the folder with data (KEYHOLE_SHARED): prompts of CounterFact, zsRE and KnowEdit
are taken from there, the other texts stand here. What a published tokenizer does besides merging (normaliser, expressions that cut,
template, added tokens) is built as there; merges are trained on half of the texts, so that the other half has what no merge knows."""
import base64, gzip, io, json, os, sys, tempfile
import sentencepiece as spm
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, __version__
from transformers.convert_slow_tokenizer import GemmaConverter, LlamaConverter
from transformers.models.gemma.tokenization_gemma import GemmaTokenizer
from transformers.models.llama.tokenization_llama import LlamaTokenizer

OWN = [
    "", " ", "  ", "   ", "\n", "\n\n", "\n\n\n", "\t", "\t\t", " \n", "\n ", "\r\n", "a", " a", "a ", "  a", "a  b", "a   b    c", "a\nb", "a\n\nb", "a \n b", "a\r\nb", "a\tb", "\u00a0", "a\u00a0b", "x\u3000y", "\u2028", "zero\u200bwidth", "\ufeffmark", "soft\u00adhyphen",
    "The river rises in the hills and falls into the sea.", "Der Fluss entspringt im Gebirge und mündet ins Meer; Größe: 3,5 km².", "Le fleuve naît à l'ouest, où l'été dure peu.", "El río nace aquí. ¿Dónde está la señal?", "O rio não corre; a manhã chega.", "Il fiume è già più largo qui.",
    "De rivier stroomt naar zee.", "Rzeka płynie wśród łąk, źródło jest żółte.", "Řeka teče přes město, kůň pije vodu.", "A folyó hűvös, az ősz esős.", "Râul curge în vale, țară și oraș.", "Nehir denize dökülür, ığdır çiçeği.", "Joki virtaa mereen, yö on lyhyt.", "Älven rinner åt öster.", "Áin rennur til sjávar, þoka og æði.",
    "Река течёт к морю, ёж спит.", "Ріка тече до моря, її джерело — в горах.", "Реката тече към морето.", "Ο ποταμός χύνεται στη θάλασσα.", "Գետը հոսում է դեպի ծով։", "მდინარე ზღვას უერთდება.", "הנהר זורם אל הים.", "النهر يجري إلى البحر، ١٢٣.", "رودخانه به دریا می‌ریزد.", "नदी समुद्र में गिरती है १२३।", "নদী সাগরে পড়ে।", "நதி கடலில் கலக்கிறது.", "แม่น้ำไหลลงทะเล ๑๒๓", "Sông chảy ra biển, nước rất đẹp.",
    "河流从山里发源，流入大海。", "這條河流入大海。", "川は山から流れて海に注ぐ。カタカナ", "강은 산에서 시작해 바다로 흐른다.", "ቂርቆስ ወንዝ", "ᐃᓄᒃᑎᑐᑦ", "𐍈𐌰𐌹", "𝔘𝔫𝔦 𝟙𝟚𝟛",
    "🙂", "🙂🙃", "a🙂b", " 🙂 ", "👍🏽 thumbs", "👩‍👩‍👧‍👦 family", "🇩🇪🇫🇷", "❤️ heart", "☃ ⛄", "1️⃣2️⃣", "→ ⇒ ∀x∈ℝ: x² ≥ 0", "½ ⅓ ① Ⅷ ㎏", "ﬁne ﬂow", "é e\u0301 ñ n\u0303", "Å Å Å", "ǆ ǅ Ǆ", "ß ẞ ı İ", "… — – - ‐ ‑", "“quoted” ‘single’ «franz» „tief“", "don't we'll I'VE they'RE it’s",
    "0", "7", "12", "123", "1234", "12345", "1,234,567.89", "3.14159", "-1e-10", "2026-01-31T23:59:59Z", "0xFF 0b11", "$5 €6 £7 ¥8", "50% of 1/2", "a1b2c3", "v1.2.3-rc.4",
    "def f(x):\n    return x + 1  # one more\n", "for (int i = 0; i < n; ++i) {\n\ta[i] += b[i];\n}", "if err != nil {\n\t\treturn fmt.Errorf(\"read %s: %w\", path, err)\n}", "SELECT name, count(*) FROM t WHERE id >= 10 GROUP BY 1;", "<div class=\"a b\">&nbsp;text</div>", "{\"key\": [1, 2.5, null], \"ü\": \"\\u00fc\"}", "x = lambda *a, **k: (a, k)", "git commit -m 'fix: #42' && make -j8 2>&1 | tail", "https://example.org/a/b?c=d&e=%20f#g", "user@example.org", "C:\\path\\to\\file.txt", "camelCase snake_case SCREAMING_CASE kebab-case", "\\frac{a}{b} $x_i^2$", "[[link|text]] **bold** `code` ~~no~~", "!!!???...;;;:::", "()[]{}<>", "==========", "----------", "########", "          ten spaces", "trailing          ",
    "<s>", "</s> end", "a <unk> b", "<|endoftext|>", "x<|end|> y", "<|end|>\n next", "<bos>text", "▁", "▁word", "word▁", "Ġ", "Ċ and Ġ", "<0x0A>", "\x00", "bell\x07", "\x1b[31mred\x1b[0m", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "antidisestablishmentarianism", "ThisIsCAMELCaseWITHNumbers123And456", "MiXeD CaSe WoRdS", "ALL CAPS HERE", "I'm, you're; he's",
]

def lines(path):
    with gzip.open(path, "rt", encoding="utf-8") as f: return [json.loads(x) for x in f]

def texts(shared):
    d = os.path.join(shared, "data")
    out = list(OWN)
    facts = lines(f"{d}/counterfact/counterfact.jsonl.gz")[::700]
    questions = lines(f"{d}/zsre/zsre_eval.jsonl.gz")[::40]
    recent = lines(f"{d}/knowedit/wiki_recent_train.jsonl.gz")[::30]
    while len(out) < 200:
        for pool, make in ((facts, lambda r: r["prompt"] + " " + r["target_new"]), (questions, lambda r: r["src"]), (recent, lambda r: r["prompt"])):
            if pool and len(out) < 200: out.append(make(pool.pop(0)))
    assert len(out) == 200 and len(set(out)) == 200, (len(out), len(set(out)))
    return out

CL100K = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN = CL100K.replace(r"\p{N}{1,3}", r"\p{N}")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
TEKKEN = r"[^\r\n\p{L}\p{N}]?%s*%s+|[^\r\n\p{L}\p{N}]?%s+%s*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+" % (UPPER, LOWER, UPPER, LOWER)
TAIL = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
GPT4O = r"[^\r\n\p{L}\p{N}]?%s*%s+%s|[^\r\n\p{L}\p{N}]?%s+%s*%s|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+" % (UPPER, LOWER, TAIL, UPPER, LOWER, TAIL)

def levels(*patterns):
    """Cut by expressions, then bytes."""
    if not patterns: return pre_tokenizers.ByteLevel(add_prefix_space=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(p), "isolated") for p in patterns] + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])

def byte_bpe(corpus, pre, specials, normalizer=None, ignore_merges=False, template=None):
    t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    t.pre_tokenizer, t.decoder = pre, decoders.ByteLevel()
    if normalizer: t.normalizer = normalizer
    t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=700, special_tokens=specials, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    if template: t.post_processor = processors.TemplateProcessing(single=f"{template} $A", pair=f"{template} $A {template} $B", special_tokens=[(template, t.token_to_id(template))])
    return {"tokenizer.json": json.loads(t.to_str())}

def pieces(corpus, **options):
    buffer = io.BytesIO()
    spm.SentencePieceTrainer.train(sentence_iterator=iter([x for x in corpus if x.strip()]), model_writer=buffer, vocab_size=900, model_type="bpe", byte_fallback=True, character_coverage=0.98,
                                   normalization_rule_name="identity", minloglevel=2, **options)
    return buffer.getvalue()

def converted(model, slow, converter, **options):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "tokenizer.model"); open(path, "wb").write(model)
        return json.loads(converter(slow(path, **options)).converted().to_str())

def cases(corpus):
    plain = dict(bos_token="<|endoftext|>", eos_token="<|endoftext|>", unk_token="<|endoftext|>")
    named = dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    config = lambda cls, **more: {"tokenizer_config.json": dict(tokenizer_class=cls, clean_up_tokenization_spaces=False, **more)}
    gpt2 = byte_bpe(corpus, levels(), ["<|endoftext|>"])
    opt = byte_bpe(corpus, levels(), ["<s>", "<pad>", "</s>", "<unk>"])["tokenizer.json"]["model"]
    merges = "#version: 0.2\n" + "".join((m if isinstance(m, str) else " ".join(m)) + "\n" for m in opt["merges"])
    digits = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), levels()])
    llama = pieces(corpus)
    gemma = pieces(corpus, add_dummy_prefix=False, remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True, pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>",
                   bos_piece="<bos>", eos_piece="<eos>", user_defined_symbols=["\n", "\n\n", "▁▁", "▁▁▁", "▁▁▁▁", "<start_of_turn>", "<end_of_turn>"])
    phi3 = converted(llama, LlamaTokenizer, LlamaConverter, legacy=False)
    for i, content in enumerate(["<|endoftext|>", "<|end|>"]):
        phi3["added_tokens"].append(dict(id=900 + i, content=content, single_word=False, lstrip=False, rstrip=content == "<|end|>", normalized=False, special=True))
    endings = dict(bos_token="<bos>", eos_token="<eos>", unk_token="<unk>", pad_token="<pad>")
    nfc = normalizers.NFC()
    yield "gpt2, gptj, phi", {**gpt2, **config("GPT2TokenizerFast", **plain)}
    yield "opt", {"vocab.json": opt["vocab"], "merges.txt": merges, **config("GPT2Tokenizer", bos_token="</s>", eos_token="</s>", unk_token="</s>", add_bos_token=True)}
    yield "gpt_neox", {**byte_bpe(corpus, levels(), ["<|endoftext|>", "<|padding|>"], nfc), **config("GPTNeoXTokenizerFast", **plain)}
    yield "smollm2", {**byte_bpe(corpus, digits, ["<|endoftext|>"]), **config("GPT2TokenizerFast", **plain)}
    yield "llama 3, smollm3", {**byte_bpe(corpus, levels(CL100K), ["<|begin_of_text|>", "<|end_of_text|>"], None, True, "<|begin_of_text|>"),
                               **config("PreTrainedTokenizerFast", bos_token="<|begin_of_text|>", eos_token="<|end_of_text|>")}
    yield "qwen2, qwen3", {**byte_bpe(corpus, levels(QWEN), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], nfc), **config("Qwen2Tokenizer", eos_token="<|im_end|>", pad_token="<|endoftext|>")}
    yield "tekken (mistral, ministral)", {**byte_bpe(corpus, levels(TEKKEN), ["<unk>", "<s>", "</s>"], None, True, "<s>"), **config("PreTrainedTokenizerFast", **named)}
    yield "phi-4", {**byte_bpe(corpus, levels(CL100K), ["<|endoftext|>"]), **config("GPT2TokenizerFast", **plain)}
    yield "gpt-4o (phi-4-mini)", {**byte_bpe(corpus, levels(GPT4O), ["<|endoftext|>", "<|end|>"]), **config("GPT2TokenizerFast", **plain)}
    yield "llama, mistral: tokenizer.json", {"tokenizer.json": converted(llama, LlamaTokenizer, LlamaConverter), **config("LlamaTokenizerFast", **named)}
    yield "llama, mistral: tokenizer.model", {"tokenizer.model": llama, **config("LlamaTokenizer", **named)}
    yield "phi-3", {"tokenizer.json": phi3, **config("LlamaTokenizerFast", legacy=False, add_bos_token=False, **named)}
    yield "gemma 2, gemma 3: tokenizer.json", {"tokenizer.json": converted(gemma, GemmaTokenizer, GemmaConverter), **config("GemmaTokenizerFast", **endings)}
    yield "gemma 2, gemma 3: tokenizer.model", {"tokenizer.model": gemma, **config("GemmaTokenizer", **endings)}

def main(shared, out):
    all_texts, kept = texts(shared), []
    for name, files in cases(all_texts[::2] * 3):
        with tempfile.TemporaryDirectory() as d:
            for file, content in files.items():
                with open(os.path.join(d, file), "wb") as f: f.write(content if isinstance(content, bytes) else (content if isinstance(content, str) else json.dumps(content)).encode())
            t = AutoTokenizer.from_pretrained(d)
        assert t.is_fast, name
        ids = [t(x)["input_ids"] for x in all_texts]
        back = [t.decode(i) for i in ids]
        kept.append(dict(name=name, ids=ids, decoded={str(i): b for i, (a, b) in enumerate(zip(all_texts, back)) if a != b},
                         files={k: ["base64", base64.b64encode(v).decode()] if isinstance(v, bytes) else ["text", v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)] for k, v in files.items()}))
        print(name, type(t).__name__, sum(map(len, ids)), "ids;", len(kept[-1]["decoded"]), "texts are decoded otherwise than they were")
    with open(out, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as f:
        f.write(json.dumps(dict(transformers=__version__, texts=all_texts, cases=kept), ensure_ascii=False, separators=(",", ":")).encode())
    print(os.path.getsize(out), "bytes")

main(*sys.argv[1:])
