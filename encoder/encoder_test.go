package encoder

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/encoder/encodertest"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm/safetensors"
)

func engine(t testing.TB, threads int) *kernel.Engine {
	t.Helper()
	k, err := kernel.New(kernel.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

func abs(x float64) float64 { return math.Abs(x) }

func open(t testing.TB, dir string, threads int) *Encoder {
	t.Helper()
	e, err := Load(dir, engine(t, threads))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// embed is BERT written out in float64, one text at a time.
func embed(f *encodertest.BERT, ids []int32) []float64 {
	w := func(name string) []float32 { return f.Weights[name] }
	d := encodertest.Width
	norm := func(x []float64, name string) {
		mean, variance := 0.0, 0.0
		for _, v := range x {
			mean += v / float64(d)
		}
		for _, v := range x {
			variance += (v - mean) * (v - mean) / float64(d)
		}
		for i, v := range x {
			x[i] = (v-mean)/math.Sqrt(variance+1e-12)*float64(w(name + ".LayerNorm.weight")[i]) + float64(w(name + ".LayerNorm.bias")[i])
		}
	}
	linear := func(x []float64, name string) []float64 {
		bias, weight := w(name+".bias"), w(name+".weight")
		y := make([]float64, len(bias))
		for i := range y {
			y[i] = float64(bias[i])
			for j, v := range x {
				y[i] += v * float64(weight[i*len(x)+j])
			}
		}
		return y
	}
	x := make([][]float64, len(ids))
	for i, id := range ids {
		x[i] = make([]float64, d)
		for j := range d {
			x[i][j] = float64(w("embeddings.word_embeddings.weight")[int(id)*d+j]) +
				float64(w("embeddings.position_embeddings.weight")[i*d+j]) + float64(w("embeddings.token_type_embeddings.weight")[j])
		}
		norm(x[i], "embeddings")
	}
	for l := range encodertest.Layers {
		p := fmt.Sprintf("encoder.layer.%d.", l)
		q, k, v := make([][]float64, len(x)), make([][]float64, len(x)), make([][]float64, len(x))
		for i := range x {
			q[i], k[i], v[i] = linear(x[i], p+"attention.self.query"), linear(x[i], p+"attention.self.key"), linear(x[i], p+"attention.self.value")
		}
		hd := d / encodertest.Heads
		for i := range x {
			mixed := make([]float64, d)
			for h := range encodertest.Heads {
				total, weights := 0.0, make([]float64, len(x))
				for j := range x {
					s := 0.0
					for c := h * hd; c < (h+1)*hd; c++ {
						s += q[i][c] * k[j][c]
					}
					weights[j] = math.Exp(s / math.Sqrt(float64(hd)))
					total += weights[j]
				}
				for j := range x {
					for c := h * hd; c < (h+1)*hd; c++ {
						mixed[c] += weights[j] / total * v[j][c]
					}
				}
			}
			a := linear(mixed, p+"attention.output.dense")
			for c := range a {
				a[c] += x[i][c]
			}
			norm(a, p+"attention.output")
			h := linear(a, p+"intermediate.dense")
			for c, v := range h {
				h[c] = v / 2 * (1 + math.Erf(v/math.Sqrt2))
			}
			y := linear(h, p+"output.dense")
			for c := range y {
				y[c] += a[c]
			}
			norm(y, p+"output")
			x[i] = y // later rows read q, k, v, not x
		}
	}
	out, square := make([]float64, d), 0.0
	for _, row := range x {
		for j, v := range row {
			out[j] += v / float64(len(x))
		}
	}
	for _, v := range out {
		square += v * v
	}
	for j := range out {
		out[j] /= math.Sqrt(square)
	}
	return out
}

var someTexts = []string{"The cat sat on the mats", "a dog", "", "zebra the cat", "the the the the the the the the the the the the"}

func TestVectorsAreThoseOfBERTWrittenOut(t *testing.T) {
	f := encodertest.Tiny()
	e := open(t, f.Write(t), 1)
	got, err := e.Encode(t.Context(), someTexts)
	if err != nil {
		t.Fatal(err)
	}
	if got.Rows != len(someTexts) || got.Cols != encodertest.Width || e.Width() != encodertest.Width {
		t.Fatalf("shape [%d, %d]", got.Rows, got.Cols)
	}
	for i, text := range someTexts {
		for j, want := range embed(f, e.Tokens(text)) {
			if v := float64(got.Data[i*encodertest.Width+j]); abs(v-want) > 1e-5 {
				t.Errorf("%q, element %d: %g, want %g", text, j, v, want)
			}
		}
	}
}

func TestLongTextsAreCutInFrontOfTheLastToken(t *testing.T) {
	e := open(t, encodertest.Tiny().Write(t), 1)
	ids := e.Tokens(someTexts[4])
	if e.MaxTokens() != encodertest.Positions || len(ids) != encodertest.Positions || ids[0] != 2 || ids[len(ids)-1] != 3 || ids[len(ids)-2] != 4 {
		t.Errorf("limit %d, ids %v", e.MaxTokens(), ids)
	}
}

func TestVectorDoesNotDependOnBatchOrThreads(t *testing.T) {
	dir := encodertest.Tiny().Write(t)
	one, two := open(t, dir, 1), open(t, dir, 2)
	all, err := one.Encode(t.Context(), someTexts)
	if err != nil {
		t.Fatal(err)
	}
	both, err := two.Encode(t.Context(), someTexts)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(all.Data, both.Data) {
		t.Error("two threads give other bytes")
	}
	for i, text := range someTexts {
		alone, err := one.Encode(t.Context(), []string{text})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(alone.Data, all.Data[i*encodertest.Width:(i+1)*encodertest.Width]) {
			t.Errorf("%q: other bytes alone", text)
		}
	}
}

func TestManyTextsRunInBatches(t *testing.T) {
	e := open(t, encodertest.Tiny().Write(t), 2)
	var texts []string
	for i := range 600 {
		texts = append(texts, someTexts[i%len(someTexts)])
	}
	var seen []int
	e.OnProgress = func(done, total int) {
		if total != len(texts) {
			t.Errorf("total %d", total)
		}
		seen = append(seen, done)
	}
	got, err := e.Encode(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) < 2 || seen[len(seen)-1] != len(texts) {
		t.Errorf("progress %v", seen)
	}
	last := got.Data[(len(texts)-1)*encodertest.Width:]
	if !slices.Equal(last, got.Data[4*encodertest.Width:5*encodertest.Width]) {
		t.Error("a text's vector depends on its batch")
	}
}

func TestStopsWhenCancelled(t *testing.T) {
	e := open(t, encodertest.Tiny().Write(t), 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Encode(ctx, someTexts); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestWeightsMayHaveThePrefixBert(t *testing.T) {
	f := encodertest.Tiny()
	plain := open(t, f.Write(t), 1)
	for name := range maps.Clone(f.Weights) {
		f.Weights["bert."+name], f.Shapes["bert."+name] = f.Weights[name], f.Shapes[name]
		delete(f.Weights, name)
	}
	prefixed := open(t, f.Write(t), 1)
	a, errA := plain.Encode(t.Context(), someTexts)
	b, errB := prefixed.Encode(t.Context(), someTexts)
	if errA != nil || errB != nil || !slices.Equal(a.Data, b.Data) {
		t.Errorf("vectors differ; errors %v, %v", errA, errB)
	}
	if plain.Hash() == prefixed.Hash() {
		t.Error("other files, same hash")
	}
}

func TestFoldersThatAreNoEncoderAreRefused(t *testing.T) {
	edit := func(change func(f *encodertest.BERT)) string {
		f := encodertest.Tiny()
		change(f)
		return f.Write(t)
	}
	with := func(name, text string) string {
		dir := encodertest.Tiny().Write(t)
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	without := func(name string) string {
		dir := encodertest.Tiny().Write(t)
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for _, c := range []struct{ name, dir, want string }{
		{"another architecture", edit(func(f *encodertest.BERT) { f.Config["model_type"] = "gpt2" }), `model_type "gpt2" is not a BERT`},
		{"an empty folder", t.TempDir(), "there is no config.json"},
		{"no folder", filepath.Join(t.TempDir(), "none"), "no such file"},
		{"a file", filepath.Join(encodertest.Tiny().Write(t), "config.json"), "a file"},
		{"no tokenizer", without("tokenizer.json"), "needs its tokenizer"},
		{"no weights", without(safetensors.SingleName), safetensors.SingleName},
		{"a missing tensor", edit(func(f *encodertest.BERT) { delete(f.Weights, "encoder.layer.1.output.dense.bias") }), "encoder.layer.1.output.dense.bias is missing"},
		{"a misshaped tensor", edit(func(f *encodertest.BERT) { f.Config["intermediate_size"] = 13 }), "the config wants [13 8]"},
		{"heads that do not fit", edit(func(f *encodertest.BERT) { f.Config["num_attention_heads"] = 3 }), "3 does not divide hidden_size 8"},
		{"relative positions", edit(func(f *encodertest.BERT) { f.Config["position_embedding_type"] = "relative_key" }), "relative_key"},
		{"an unknown activation", edit(func(f *encodertest.BERT) { f.Config["hidden_act"] = "mish" }), "mish"},
		{"no layers", edit(func(f *encodertest.BERT) { f.Config["num_hidden_layers"] = 0 }), "num_hidden_layers"},
		{"a NaN", edit(func(f *encodertest.BERT) { f.Weights["embeddings.LayerNorm.bias"][3] = float32(math.NaN()) }), "not a finite number"},
		{"a tokenizer too large", edit(func(f *encodertest.BERT) { f.Vocab = append(f.Vocab, "more") }), "tokenizer has 13 tokens"},
		{"broken JSON", with("config.json", "{"), "config.json"},
		{"another pooling", with("1_Pooling/config.json", `{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}`), "pooling_mode_cls_token is not supported"},
		{"no pooling", with("1_Pooling/config.json", `{"pooling_mode_mean_tokens": false}`), "only the mean of the tokens"},
		{"a limit beyond the positions", with("sentence_bert_config.json", `{"max_seq_length": 11}`), "max_seq_length: 11"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(c.dir, engine(t, 1))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestVectorsAreCachedByEncoderAndTexts(t *testing.T) {
	f := encodertest.Tiny()
	e := open(t, f.Write(t), 1)
	dir := filepath.Join(t.TempDir(), "deep", "cache")
	want, err := e.Encode(t.Context(), someTexts)
	if err != nil {
		t.Fatal(err)
	}
	read := func(e *Encoder, texts []string, wantHit bool, want []float32) {
		t.Helper()
		got, hit, err := e.EncodeCached(t.Context(), dir, texts)
		if err != nil || hit != wantHit {
			t.Fatalf("hit %v, error %v; want hit %v", hit, err, wantHit)
		}
		if want != nil && !slices.Equal(got.Data, want) {
			t.Error("other vectors")
		}
	}
	read(e, someTexts, false, want.Data)
	read(e, someTexts, true, want.Data)
	read(e, someTexts[1:], false, want.Data[encodertest.Width:])
	f.Weights["embeddings.LayerNorm.bias"][0]++
	read(open(t, f.Write(t), 1), someTexts, false, nil)

	files, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	if err != nil || len(files) != 3 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		raw[len(raw)-1] ^= 1 // a bit of the last value
		if err := os.WriteFile(file, raw, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	read(e, someTexts, false, want.Data)
	read(e, someTexts, true, want.Data)
}
