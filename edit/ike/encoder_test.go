package ike

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
	"keyhole.example/keyhole/encoder/encodertest"
	"keyhole.example/keyhole/internal/kernel"
)

// withEncoder is a config that names a tiny encoder's folder.
func withEncoder(t *testing.T) Config {
	c := small(Paper)
	c.Retriever, c.Encoder, c.Cache = EncoderRetriever, encodertest.Tiny().Write(t), filepath.Join(t.TempDir(), "cache")
	return c
}

func open(t *testing.T, c Config, k *kernel.Engine) (*Editor, error) {
	enc, err := c.OpenEncoder(k)
	if err != nil || enc == nil {
		t.Fatalf("encoder %v, error %v", enc != nil, err)
	}
	t.Cleanup(func() { _ = enc.Close() })
	return New(t.Context(), c, pool(), enc)
}

func TestRetrievalByEncoderPassesTheSuite(t *testing.T) {
	c := withEncoder(t)
	edittest.Run(t, edittest.TinyModel(t, "llama"), func(k *kernel.Engine) (edit.Editor, error) {
		return open(t, c, k)
	}, edittest.Options{Single: true}) // to this encoder all facts are unknown words
	if files, err := filepath.Glob(filepath.Join(c.Cache, "*")); err != nil || len(files) != 1 {
		t.Errorf("cache holds %v, %v; want the pool's vectors alone", files, err)
	}
}

func TestEncoderRanksByCosine(t *testing.T) {
	k, err := kernel.New(kernel.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	e, err := open(t, withEncoder(t), k)
	if err != nil {
		t.Fatal(err)
	}
	text := e.items[3].text
	ranked, err := e.find.rank(t.Context(), []string{text}, len(e.items), func(_, i int) bool { return i != 1 })
	if err != nil {
		t.Fatal(err)
	}
	similar, err := e.find.similarity(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(ranked[0]) != len(e.items)-1 || slices.Contains(ranked[0], 1) || similar[3] < 1-1e-6 {
		t.Errorf("ranked %v, similarities %v", ranked[0], similar)
	}
	if !slices.IsSortedFunc(ranked[0], func(i, j int) int {
		if similar[i] < similar[j] {
			return 1
		}
		return -1
	}) && similar[ranked[0][0]] < 1-1e-6 {
		t.Errorf("ranked %v by similarities %v", ranked[0], similar)
	}
	if name := e.find.name(); !strings.HasPrefix(name, "encoder ") {
		t.Errorf("name %q", name)
	}
}

func TestNoEncoderIsOpenedWhereNoneIsNeeded(t *testing.T) {
	c := Default(Paper)
	if enc, err := c.OpenEncoder(nil); enc != nil || err != nil {
		t.Error("an encoder without a folder")
	}
	c.Encoder, c.Retriever = "somewhere", BM25Retriever
	if enc, err := c.OpenEncoder(nil); enc != nil || err != nil {
		t.Error("an encoder for BM25")
	}
	c.Retriever = AutoRetriever
	if _, err := c.OpenEncoder(nil); err == nil {
		t.Error("no error for a folder that is not there")
	}
}
