package workbench

import (
	"fmt"
	"strings"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit/saved"
	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/embedded"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/train"
)

// Embedded stands for what the binary carries where a model, edits or a text
// are asked for.
const Embedded = saved.Embedded

// Sources give what the binary carries to a training run: a model, edits and text.
func Sources() train.Sources {
	return train.Sources{Model: embedded.Model, Edits: embedded.Edits, Text: embedded.Text}
}

// LoadModel loads a base model, which may lack a tokenizer.
func LoadModel(path string, opts lm.LoadOptions) (*lm.Model, error) {
	switch {
	case path != Embedded:
		return lm.LoadWith(path, opts)
	case opts.Pre != "":
		return nil, fmt.Errorf("a pre-tokenizer (%q) can be chosen for GGUF files alone, and the embedded model is none", opts.Pre)
	}
	return embedded.Model()
}

// LoadEdits reads a file of edits, or embedded ones: the held-out edits where no
// split is named.
func LoadEdits(path string, d data.Options) (*data.Set, error) {
	if path != Embedded {
		return data.Load(path, d)
	}
	if d.Split == "" {
		d.Split = "test"
	}
	return embedded.Edits(d)
}

// CorpusOf is a text file, or the embedded text.
func CorpusOf(path string) (stats.Corpus, error) {
	if path != "" && path != Embedded {
		return stats.FileCorpus(path), nil
	}
	text, err := embedded.Text()
	if err != nil {
		return stats.Corpus{}, err
	}
	return stats.TextCorpus("the embedded text", text), nil
}

// AbilityText reads a text for general ability: a file, or the embedded text; "":
// none.
func AbilityText(path string) (*eval.AbilityText, error) {
	if path == "" {
		return nil, nil
	}
	if path == Embedded {
		text, err := embedded.Text()
		if err != nil {
			return nil, err
		}
		return &eval.AbilityText{Name: "the embedded text", Texts: strings.Split(text, "\n")}, nil
	}
	out := &eval.AbilityText{Name: path}
	const enough = 2000 // paragraphs; the first of them are read
	for doc, err := range data.Documents(path) {
		if err != nil {
			return nil, fmt.Errorf("text for general ability: %w", err)
		}
		if out.Texts = append(out.Texts, doc.Paragraphs...); len(out.Texts) >= enough {
			break
		}
	}
	return out, nil
}
