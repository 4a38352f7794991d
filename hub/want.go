package hub

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// smallFiles are what a model folder has beside its weights, as far as it is
// read here.
var smallFiles = []string{
	"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
	"vocab.json", "merges.txt", "vocab.txt", "tokenizer.model", "chat_template.jinja", "chat_template.json",
	"modules.json", "sentence_bert_config.json", "1_Pooling/config.json",
}

const (
	singleWeights = "model.safetensors"
	indexWeights  = "model.safetensors.index.json"
	oldWeights    = "pytorch_model.bin"
	oldIndex      = "pytorch_model.bin.index.json"
)

var (
	shard    = regexp.MustCompile(`^model-\d+-of-\d+\.safetensors$`)
	oldShard = regexp.MustCompile(`^pytorch_model-\d+-of-\d+\.bin$`)
	ggufPart = regexp.MustCompile(`-\d{5}-of-\d{5}\.gguf$`)
)

// fetchable says whether a file is of a kind that the program reads. Code is not.
func fetchable(kind Kind, file string) bool {
	ext := strings.ToLower(path.Ext(file))
	if kind == DatasetKind {
		return slices.Contains([]string{".json", ".jsonl", ".gz", ".csv", ".yaml", ".yml", ".txt", ".raw", ".tokens"}, ext)
	}
	base := path.Base(file)
	return slices.Contains([]string{".gguf", ".safetensors"}, ext) || slices.Contains(smallFiles, base) || base == indexWeights ||
		base == oldWeights || base == oldIndex || oldShard.MatchString(base)
}

// modelFiles picks what to fetch of a model's repository, small files first: a
// folder's files, or a single GGUF file.
func modelFiles(n Name, all []sibling) ([]sibling, error) {
	if n.File != "" {
		f, err := pick(n, all, func(name string) bool { return fetchable(n.Kind, name) })
		return []sibling{f}, err
	}
	names := map[string]bool{}
	for _, f := range all {
		names[f.Name] = true
	}
	var weights func(string) bool
	switch {
	case names[singleWeights]:
		weights = func(f string) bool { return f == singleWeights }
	case names[indexWeights]:
		weights = func(f string) bool { return f == indexWeights || shard.MatchString(f) }
	case names[oldWeights]:
		weights = func(f string) bool { return f == oldWeights }
	case names[oldIndex]:
		weights = func(f string) bool { return f == oldIndex || oldShard.MatchString(f) }
	default:
		f, err := pick(n, all, isGGUF)
		return []sibling{f}, err
	}
	var small, large []sibling
	for _, f := range all {
		switch {
		case slices.Contains(smallFiles, f.Name):
			small = append(small, f)
		case weights(f.Name):
			large = append(large, f)
		}
	}
	if !names["config.json"] {
		return nil, fmt.Errorf("%s: the repository has weights and no config.json; it is no model that can be read", n)
	}
	return append(small, large...), nil
}

func isGGUF(name string) bool { return strings.EqualFold(path.Ext(name), ".gguf") }

// pick finds the one file that a name means: by its path, by its own name, or,
// for a GGUF file, by the tag of its quantisation (Q4_K_M).
func pick(n Name, all []sibling, may func(string) bool) (sibling, error) {
	var fits, others []sibling
	for _, f := range all {
		switch {
		case f.Name == n.File && may(f.Name):
			return f, nil
		case !may(f.Name):
		case n.File == "" || path.Base(f.Name) == n.File || tagOf(f.Name, n.File):
			fits = append(fits, f)
		default:
			others = append(others, f)
		}
	}
	switch {
	case len(fits) == 1 && ggufPart.MatchString(fits[0].Name):
		return sibling{}, fmt.Errorf("%s: %s is a part of a model split over several files, which cannot be read; choose another, or join the parts with llama.cpp's gguf-split", n, fits[0].Name)
	case len(fits) == 1:
		return fits[0], nil
	case len(fits) > 1:
		return sibling{}, fmt.Errorf("%s: the repository has several; name one behind a colon: %s", n, list(n, fits))
	case len(others) > 0:
		return sibling{}, fmt.Errorf("%s: the repository has no file %q; it has %s: %w", n, n.File, list(n, others), ErrNotFound)
	}
	what := "weights as safetensors or GGUF"
	if n.Kind == DatasetKind {
		what = "file of edits (JSON, JSON Lines, CSV, YAML or text)"
	}
	if n.File != "" {
		what = "file " + n.File + " of a kind that is read here"
	}
	return sibling{}, fmt.Errorf("%s: the repository has no %s: %w", n, what, ErrNotFound)
}

// tagOf says whether a GGUF file's name ends in the tag, in either case.
func tagOf(file, tag string) bool {
	base := strings.ToLower(strings.TrimSuffix(path.Base(file), path.Ext(file)))
	tag = strings.ToLower(tag)
	return isGGUF(file) && tag != "" && (strings.HasSuffix(base, "-"+tag) || strings.HasSuffix(base, "."+tag) || base == tag)
}

// list names files with their sizes.
func list(n Name, files []sibling) string {
	const most = 12
	var b strings.Builder
	for i, f := range files {
		if i == most {
			fmt.Fprintf(&b, ", and %d more", len(files)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		n.File = f.Name
		b.WriteString(n.String())
		if f.Size > 0 {
			fmt.Fprintf(&b, " (%s)", Size(f.Size))
		}
	}
	return b.String()
}

// Size is a number of bytes for people.
func Size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

// complete says whether the files of a snapshot make a model folder that can be
// read, weights, config and tokenizer.
func complete(dir string, read func(path string) (shards []string)) bool {
	have := filesOf(dir)
	has := func(name string) bool { return slices.Contains(have, name) }
	tokenizer := has("tokenizer.json") || has("tokenizer.model") || has("vocab.txt") || (has("vocab.json") && has("merges.txt"))
	if !has("config.json") || !tokenizer {
		return false
	}
	for _, w := range []struct{ single, index string }{{singleWeights, indexWeights}, {oldWeights, oldIndex}} {
		switch {
		case has(w.single):
			return true
		case has(w.index):
			shards := read(w.index)
			return len(shards) > 0 && !slices.ContainsFunc(shards, func(s string) bool { return !has(s) })
		}
	}
	return false
}
