package data

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// Hash identifies what is edited and asked, wherever the files lie that it came
// from: a SHA-256 in hexadecimal.
func (s *Set) Hash() (string, error) {
	edits := slices.Clone(s.Edits)
	for i := range edits {
		edits[i].Source = Source{}
		if edits[i].Chain != nil {
			chain := *edits[i].Chain
			chain.Edits = slices.Clone(chain.Edits)
			for j := range chain.Edits {
				chain.Edits[j].Source = Source{}
			}
			edits[i].Chain = &chain
		}
	}
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(edits); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
