"""How the tokenizers library cuts hard texts by the expressions of published pre-tokenizers. Usage: make_splits.py splits.json < patterns.json
patterns.json is a list of lists of expressions, applied one after the other (go test -run TestGoldenSplits -patterns writes it)."""
import json, sys
from tokenizers import Regex, pre_tokenizers

TEXTS = ["", "Hello world", "  two  spaces ", "HELLO WorldWide iPhone's DON'T we'Ll", "a\n\nb \n c\r\n\r\nd", "tabs\t\tand \t mixed  \n end   ", "12345 6 78.90 ½ ①②",
         "!!! ??? ...x #tag @me a/b\\c //\n", "《资治通鉴》。司马光", "ひらがな カタカナ 漢字", "한국어 텍스트", "pa\u0301jaros e\u0301", "Größe ΑΒΓ Привет Мир", "🙂🙃 emoji🙂text", "x\u00a0y\u3000z\u200bw\u2028v",
         "def f(x):\n    return x + 1  # ok\n", "https://example.org/a?b=c&d=e", "Ǆ ǅ ǆ ʰʲ ﬁ", "$100 €5 ¢ ¥", "~`^|<>=+", "العربية ١٢٣", "ภาษาไทย ๑๒๓", "हिन्दी १२३", "'s 'S ’s 'RE 're'd", "\n", " \n", "\n ", "   ", "a ", " a"]
out = []
for patterns in json.load(sys.stdin):
    pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(p), "isolated", False) for p in patterns])
    out.append(dict(patterns=patterns, pieces=[[s for s, _ in pre.pre_tokenize_str(t)] for t in TEXTS]))
json.dump(dict(texts=TEXTS, cases=out), open(sys.argv[1], "w"), ensure_ascii=False)
