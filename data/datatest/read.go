package datatest

import (
	"fmt"
	"path/filepath"

	"keyhole.example/keyhole/data"
)

// result is what any of the Load functions gives, in one shape.
type result struct {
	Format   string      `json:"format"`
	Records  int         `json:"records"`
	Kept     int         `json:"kept"` // records
	Filtered int         `json:"-"`
	Dropped  []data.Drop `json:"dropped,omitempty"`
	Notes    []data.Drop `json:"notes,omitempty"`
	Items    any         `json:"items"`

	set *data.Set // of edits, else nil
}

// read reads path with the function that fm names. samples is the folder of all
// formats: neighbours are merged onto the flattened CounterFact in it.
func read(fm data.Format, path, samples string, o data.Options) (*result, error) {
	switch fm.Reader {
	case "Load":
		s, err := data.Load(path, o)
		if err != nil {
			return nil, err
		}
		items := make([]data.Edit, len(s.Edits))
		for i, e := range s.Edits {
			e.Source.File, e.Source.SHA256 = "", ""
			if e.Chain != nil {
				chain := *e.Chain
				chain.Edits = append([]data.Edit(nil), chain.Edits...)
				for j := range chain.Edits {
					chain.Edits[j].Source = data.Source{}
				}
				e.Chain = &chain
			}
			items[i] = e
		}
		return &result{Format: s.Format, Records: s.Records, Kept: len(s.Edits), Filtered: s.Filtered, Dropped: s.Dropped, Notes: s.Notes, Items: items, set: s}, nil
	case "LoadFacts":
		return collected(data.LoadFacts(path, o))
	case "LoadPatterns":
		return collected(data.LoadPatterns(path, o))
	case "LoadQuestions":
		return collected(data.LoadQuestions(path, o))
	case "Set.MergeNeighbors":
		base, err := data.Load(filepath.Join(samples, "counterfact-flat", "good", "lines.jsonl"), data.Options{Neighbors: path})
		if err != nil {
			return nil, err
		}
		e := base.Edits[0]
		e.Source = data.Source{}
		return &result{Format: fm.Name, Records: base.Merged, Kept: base.Merged, Items: e}, nil
	}
	return nil, fmt.Errorf("format %s: no function %q to read it with", fm.Name, fm.Reader)
}

func collected[T any](c *data.Collection[T], err error) (*result, error) {
	if err != nil {
		return nil, err
	}
	dropped := 0
	for _, d := range c.Dropped {
		dropped += d.Count
	}
	return &result{Format: c.Format, Records: c.Records, Kept: c.Records - dropped, Dropped: c.Dropped, Notes: c.Notes, Items: c.Items}, nil
}
