package eval

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// header is what a results file of the run begins with: all that its figures depend on.
// The report begins with it, too.
func (r *run) header(list []family) (Header, error) {
	rec := Record{
		Target: targetOf(r.Set.Format), Decode: "teacher_forced", Match: "token_all", PromptStyle: r.Style,
		LocalityReference: "pre_edit_prediction", Average: "macro", Protocol: r.Protocol, MaxLen: r.MaxLen,
		Join: joinOf(r.Set), Borrowed: borrows(r.Set), Ends: endsOf(r.Set),
	}
	h := Header{Version: resultsVersion, Record: rec, Data: r.Set.Name, Editor: r.Editor.Name(), Seed: r.Seed, Texts: r.Texts}
	var names []string
	for _, f := range list {
		names = append(names, f.name)
	}
	h.Metrics = strings.Join(names, ",")
	var err error
	if h.Model, err = r.Model.Hash(); err != nil {
		return h, err
	}
	if h.Edits, err = r.Set.Hash(); err != nil {
		return h, err
	}
	if len(r.References) > 0 {
		if h.Refs, err = hashJSON(r.References); err != nil {
			return h, err
		}
	}
	h.Config = r.EditorConfig
	if f, ok := r.Editor.(Fingerprinter); ok && h.Config == "" {
		h.Config = f.Fingerprint()
	}
	switch {
	case r.Protocol == "batch":
		h.Batch, h.Limit = r.Batch, r.n
	case r.inSequence():
		if r.Batch > 1 {
			h.Record.Batch = r.Batch
		}
		h.Record.Rounds = r.Rounds
		if r.Batch > 1 || r.Ability != nil || r.asksEnd() {
			h.Limit = r.n
		}
		if r.Ability != nil {
			if h.Text, err = hashJSON(r.Ability.Texts); err != nil {
				return h, err
			}
		}
	}
	r.report = newReport(h.Record)
	if r.inSequence() {
		r.report.Sequence = r.newSequence()
	}
	r.report.Editor, r.report.Model, r.report.Data = h.Editor, h.Model, h.Data
	return h, nil
}

// targetOf is Record.Target for a data format.
func targetOf(format string) string {
	switch {
	case format == "zsre-malmen":
		return "true_answer"
	case strings.HasPrefix(format, "zsre"):
		return "alt"
	}
	return "new"
}

func hashJSON(v any) (string, error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(v); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
