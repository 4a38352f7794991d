package embedded_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/embedded"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/pretrain"
)

func manifest(t *testing.T) *pretrain.Manifest {
	t.Helper()
	m, err := embedded.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestAssetsAreTheRecipes: the files are those that the manifest lists, and the
// manifest is that of the recipe in package configs.
func TestAssetsAreTheRecipes(t *testing.T) {
	m := manifest(t)
	size := int64(0)
	seen := 0
	err := filepath.WalkDir("assets", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), "assets/")
		if name == pretrain.ManifestFile {
			return nil
		}
		size += int64(len(content))
		seen++
		sum := sha256.Sum256(content)
		if got := hex.EncodeToString(sum[:]); m.Files[name] != got {
			t.Errorf("%s has checksum %s, the manifest says %q", name, got, m.Files[name])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen != len(m.Files) {
		t.Errorf("%d files, the manifest lists %d", seen, len(m.Files))
	}
	if size > 7<<20 {
		t.Errorf("the assets take %d bytes", size)
	}
	text, ok := configs.Preset("pretrain-facts")
	if !ok {
		t.Fatal("there is no preset pretrain-facts")
	}
	c := pretrain.Default()
	if _, err := configs.Read("pretrain-facts.yaml", text, &c, configs.Options{}); err != nil {
		t.Fatal(err)
	}
	if c.Hash() != m.Recipe || c.Seed != m.Seed {
		t.Errorf("the assets were made by recipe %s, configs/pretrain-facts.yaml is %s; run keyhole pretrain again", m.Recipe, c.Hash())
	}
	if m.Known < 0.95 {
		t.Errorf("the model knows %.3f of its sentences, want 0.95", m.Known)
	}
}

func TestEditSets(t *testing.T) {
	m := manifest(t)
	var sets []*data.Set
	for _, s := range []struct {
		read func() (*data.Set, error)
		want int
	}{{embedded.Train, m.Train}, {embedded.Val, m.Val}, {embedded.Test, m.Test}} {
		set, err := s.read()
		if err != nil {
			t.Fatal(err)
		}
		if len(set.Edits) != s.want {
			t.Errorf("%s holds %d edits, the manifest says %d", set.Name, len(set.Edits), s.want)
		}
		for _, other := range sets {
			if err := data.Disjoint(set, other); err != nil {
				t.Error(err)
			}
		}
		sets = append(sets, set)
		for _, e := range set.Edits {
			if len(e.Paraphrases) == 0 || len(e.Locality[data.Unrelated]) == 0 || len(e.TargetTrue) != 1 || e.TargetTrue[0] == e.TargetNew {
				t.Errorf("%s: edit %s is incomplete", set.Name, e.ID)
			}
		}
	}
	if m.Test < 200 || m.Val < 100 || m.Train < 5000 {
		t.Errorf("%d, %d, %d edits", m.Train, m.Val, m.Test)
	}
}

// TestModelKnowsItsFacts asks for the true answers of the held-out edits, all of
// which the model knew when they were made.
func TestModelKnowsItsFacts(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	m, err := embedded.Model()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Tokenizer == nil || m.Parameters() != manifest(t).Parameters {
		t.Fatalf("%d parameters, the manifest says %d", m.Parameters(), manifest(t).Parameters)
	}
	set, err := embedded.Test()
	if err != nil {
		t.Fatal(err)
	}
	k, err := kernel.New(kernel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	o := eager.New(k)
	asked, right := 0, 0
	for _, edit := range set.Edits {
		prompts := []data.Prompt{{Prompt: edit.Prompt, Answers: [][]string{edit.TargetTrue}}}
		for _, p := range edit.Locality {
			prompts = append(prompts, p...)
		}
		for _, p := range prompts {
			asked++
			if answers(o, m, p.Prompt, p.Answers[0][0]) {
				right++
			}
		}
	}
	if asked < 500 || right*100 < asked*95 {
		t.Errorf("%d of %d answers are right", right, asked)
	}
	text, err := m.Generate(o, m.Tokenizer.Encode(set.Edits[0].Prompt), lm.GenerateOptions{Tokens: 8, StopAtEOS: true})
	if err != nil || !strings.HasPrefix(m.Tokenizer.Decode(text), " "+set.Edits[0].TargetTrue[0]) {
		t.Errorf("%q goes on with %q (%v)", set.Edits[0].Prompt, m.Tokenizer.Decode(text), err)
	}
}

// answers reports whether the most probable token is right at each token of
// the answer.
func answers(o *eager.Ops, m *lm.Model, prompt, answer string) bool {
	ids := &nn.IDs{V: m.Tokenizer.Encode(prompt + " " + answer)}
	n := len(m.Tokenizer.Encode(prompt))
	o.Reset()
	logits := m.Logits(o, lm.Forward(o, m, ids, nn.Pack(len(ids.V)), nil))
	best := make([]int32, logits.Rows)
	o.Engine().ArgMax(best, logits.Data, logits.Rows, logits.Cols)
	for i := n; i < len(ids.V); i++ {
		if best[i-1] != ids.V[i] {
			return false
		}
	}
	return o.Err() == nil
}

// TestModelMendsItsFolder: a damaged copy is replaced, an intact one is kept.
func TestModelMendsItsFolder(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var dir string
	for _, damage := range []bool{false, true, false} {
		m, err := embedded.Model()
		if err != nil {
			t.Fatal(err)
		}
		dir = m.Path
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if damage {
			file := filepath.Join(dir, "model.safetensors")
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			content[len(content)-1] ^= 1
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	content, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	if hex.EncodeToString(sum[:]) != manifest(t).Files["model/model.safetensors"] {
		t.Error("the damaged copy was not replaced")
	}
}

func TestModelWithoutCacheFolder(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	m, err := embedded.Model()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if os.Getenv("TMPDIR") == tmp && os.TempDir() == tmp && !strings.HasPrefix(m.Path, tmp) {
		t.Errorf("the model was unpacked to %s", m.Path)
	}
}

func TestText(t *testing.T) {
	text, err := embedded.Text()
	if err != nil {
		t.Fatal(err)
	}
	if len(text) < 100_000 || !strings.HasSuffix(text, ".\n") {
		t.Errorf("%d bytes, ending in %q", len(text), text[max(0, len(text)-10):])
	}
}
