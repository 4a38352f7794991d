package tokenizer

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"testing"
)

// TestGoldenTexts compares the ids of 200 texts, and what they are decoded to,
// with those of transformers, for the tokenizer of each family.
func TestGoldenTexts(t *testing.T) {
	f, err := os.Open("testdata/texts.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Texts []string
		Cases []struct {
			Name    string
			Files   map[string][2]string // how it is written, and the content
			IDs     [][]int32
			Decoded map[string]string // by the text's number, where it is not the text
		}
	}
	if err := json.NewDecoder(z).Decode(&g); err != nil {
		t.Fatal(err)
	}
	if len(g.Texts) < 200 || len(g.Cases) < 12 {
		t.Fatalf("%d texts, %d tokenizers", len(g.Texts), len(g.Cases))
	}
	for _, c := range g.Cases {
		t.Run(c.Name, func(t *testing.T) {
			files := map[string]any{}
			for name, content := range c.Files {
				raw := []byte(content[1])
				if content[0] == "base64" {
					if raw, err = base64.StdEncoding.DecodeString(content[1]); err != nil {
						t.Fatal(err)
					}
				}
				files[name] = raw
			}
			tok := loadDir(t, writeFolder(t, files))
			for i, text := range g.Texts {
				if got := tok.EncodeSpecial(text); !slices.Equal(got, c.IDs[i]) {
					t.Errorf("EncodeSpecial(%q)\n got %v\nwant %v", text, got, c.IDs[i])
				}
				want, other := c.Decoded[strconv.Itoa(i)]
				if !other {
					want = text
				}
				if got := tok.Decode(c.IDs[i]); got != want {
					t.Errorf("Decode(%v)\n got %q\nwant %q", c.IDs[i], got, want)
				}
			}
		})
	}
}
