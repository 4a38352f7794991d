package gguf_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/lm/gguf"
)

// tensorFacts is what golden.json says of a dequantised tensor of a real model.
type tensorFacts struct {
	Type         string
	Shape        []int
	Sum          float64
	SumOfSquares float64 `json:"sum_of_squares"`
	First, Last  []float32
}

// TestGolden_models decodes the real models whose golden.json describes their
// tensors, row by row.
func TestGolden_models(t *testing.T) {
	shared := golden.Path(t)
	cases, err := filepath.Glob(filepath.Join(shared, "golden", "models", "*", "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, path := range cases {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var expected struct {
			File        string
			Dequantised map[string]tensorFacts
		}
		if err := json.Unmarshal(text, &expected); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if len(expected.Dequantised) == 0 {
			continue
		}
		f, err := gguf.Open(filepath.Join(shared, "models", filepath.Base(filepath.Dir(path)), expected.File))
		if err != nil {
			t.Error(err)
			continue
		}
		for name, want := range expected.Dequantised {
			checked++
			if err := checkFacts(f, name, want); err != nil {
				t.Errorf("%s: %s: %v", f.Path(), name, err)
			}
		}
		if len(f.Names()) != len(expected.Dequantised) {
			t.Errorf("%s has %d tensors, want %d", f.Path(), len(f.Names()), len(expected.Dequantised))
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if checked == 0 {
		t.Fatal("nothing was compared")
	}
	t.Logf("%d tensors compared", checked)
}

func checkFacts(f *gguf.File, name string, want tensorFacts) error {
	tensor, ok := f.Tensor(name)
	if !ok {
		return fmt.Errorf("missing")
	}
	if tensor.DType.String() != want.Type || !slices.Equal(tensor.Shape, want.Shape) {
		return fmt.Errorf("%s %v, want %s %v", tensor.DType, tensor.Shape, want.Type, want.Shape)
	}
	var sum, squares, magnitude float64
	row := make([]float32, tensor.RowElements())
	var first, last []float32
	for i := range tensor.Rows() {
		if err := tensor.DecodeRows(row, i, 1); err != nil {
			return err
		}
		var rowSum, rowSquares float64
		for _, v := range row {
			rowSum += float64(v)
			rowSquares += float64(v) * float64(v)
			magnitude += math.Abs(float64(v))
		}
		sum += rowSum
		squares += rowSquares
		first = append(first, row[:min(len(row), 4-min(4, len(first)))]...)
		last = append(last, row[max(0, len(row)-4):]...)
		last = last[max(0, len(last)-4):]
	}
	// Sums in another order differ by at most 2^-53 a term: some 50,000 rows of
	// 600 elements, added up by rows. The values must be equal.
	const order = 1e-11
	if math.Abs(sum-want.Sum) > order*magnitude || math.Abs(squares-want.SumOfSquares) > order*squares {
		return fmt.Errorf("sums %g and %g, want %g and %g", sum, squares, want.Sum, want.SumOfSquares)
	}
	if !slices.Equal(first, want.First) || !slices.Equal(last, want.Last) {
		return fmt.Errorf("%v … %v, want %v … %v", first, last, want.First, want.Last)
	}
	return nil
}
