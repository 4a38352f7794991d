package encoder

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/lm/safetensors"
)

// goldenTolerance is absolute, by the notes of the golden values.
const goldenTolerance = 2e-5

// goldenText is one text of golden.json.
type goldenText struct {
	Text string  `json:"text"`
	IDs  []int32 `json:"ids"`
}

// TestGoldenEmbeddings compares every folder of golden values that holds texts
// and embeddings with the encoder that its README names.
func TestGoldenEmbeddings(t *testing.T) {
	named := regexp.MustCompile(`models/[A-Za-z0-9._-]+`)
	cases := 0
	err := filepath.WalkDir(golden.Path(t, "golden"), func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "golden.json" {
			return err
		}
		dir := filepath.Dir(path)
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var texts []goldenText
		if json.Unmarshal(data, &texts) != nil || len(texts) == 0 {
			return nil // another layout
		}
		file, err := safetensors.Open(filepath.Join(dir, "golden.safetensors"))
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = file.Close() })
		want, ok := file.Tensor("embeddings")
		if !ok {
			return nil
		}
		cases++
		t.Run(filepath.Base(dir), func(t *testing.T) {
			readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			model := named.FindString(string(readme))
			if model == "" {
				t.Fatalf("%s: the README names no models/ folder", dir)
			}
			values, err := want.Float32()
			if err != nil {
				t.Fatal(err)
			}
			checkGolden(t, golden.Path(t, model), texts, values)
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if cases == 0 {
		t.Fatalf("no case under %s", golden.Path(t, "golden"))
	}
	t.Logf("%d cases", cases)
}

func checkGolden(t *testing.T, model string, texts []goldenText, want []float32) {
	e, err := Load(model, engine(t, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var all []string
	for i, g := range texts {
		if ids := e.Tokens(g.Text); !slices.Equal(ids, g.IDs) {
			t.Errorf("text %d %q: ids %v, want %v", i, g.Text, ids, g.IDs)
		}
		all = append(all, g.Text)
	}
	got, err := e.Encode(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Data) != len(want) {
		t.Fatalf("%d values, want %d", len(got.Data), len(want))
	}
	worst := 0.0
	for i := range want {
		worst = max(worst, abs(float64(got.Data[i])-float64(want[i])))
	}
	t.Logf("%d texts, largest difference %.3g", len(texts), worst)
	if !(worst <= goldenTolerance) {
		t.Errorf("largest difference %g, want at most %g", worst, goldenTolerance)
	}
}
