package serve

import (
	"net/http"
	"slices"
	"strings"
	"sync"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/workbench"
)

// suggestions are prompts that test an edit.
type suggestions struct {
	Paraphrases []string   `json:"paraphrases"`
	Neighbors   []neighbor `json:"neighbors"`
	Source      string     `json:"source"`
}

// suggest looks in the data that ship for other ways to ask, and for the same
// question about others.
func (s *Server) suggest(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		Prompt  string `json:"prompt"`
		Subject string `json:"subject"`
	}
	if err := read(w, r, &q, false); err != nil {
		return err
	}
	if q.Prompt == "" || len(q.Prompt) > maxText {
		return wrong("prompt", "the prompt is empty, or longer than %d bytes", maxText)
	}
	p, err := shipped()
	if err != nil {
		return err
	}
	reply(w, http.StatusOK, p.suggest(q.Prompt, q.Subject))
	return nil
}

// patterns are the shipped records by how their sentences go.
type patterns struct{ by map[string][]*data.Edit }

// shipped reads the records once.
var shipped = sync.OnceValues(func() (*patterns, error) {
	p := &patterns{by: map[string][]*data.Edit{}}
	for _, split := range []string{"train", "val", "test"} {
		set, err := workbench.LoadEdits(workbench.Embedded, data.Options{Split: split})
		if err != nil {
			return nil, err
		}
		for i := range set.Edits {
			if e := &set.Edits[i]; e.Template != "" {
				p.by[e.Template] = append(p.by[e.Template], e)
			}
		}
	}
	return p, nil
})

// of are the records that are about a subject, or about others.
func of(records []*data.Edit, subject string, about bool) []*data.Edit {
	var out []*data.Edit
	for _, e := range records {
		if (e.Subject == subject) == about {
			out = append(out, e)
		}
	}
	return out
}

// suggest gives the paraphrases of a sentence of the same pattern, about the
// subject, and what is known of other subjects of its relation.
func (p *patterns) suggest(prompt, subject string) suggestions {
	const paraphrases, neighbors = 4, 6
	out := suggestions{Paraphrases: []string{}, Neighbors: []neighbor{}}
	subject = strings.TrimSpace(subject)
	if subject == "" || strings.Count(prompt, subject) != 1 {
		return out
	}
	records := p.by[strings.TrimSpace(strings.Replace(prompt, subject, "{}", 1))]
	records = append(of(records, subject, true), of(records, subject, false)...)
	for _, e := range records {
		for _, t := range e.Paraphrases {
			if strings.Count(t, e.Subject) != 1 {
				continue
			}
			t = strings.Replace(t, e.Subject, subject, 1)
			if len(out.Paraphrases) < paraphrases && t != prompt && !slices.Contains(out.Paraphrases, t) {
				out.Paraphrases = append(out.Paraphrases, t)
			}
		}
		for _, n := range e.Locality[data.Neighborhood] {
			if len(out.Neighbors) < neighbors && !strings.Contains(n.Prompt, subject) && len(n.Answers) > 0 &&
				!slices.ContainsFunc(out.Neighbors, func(x neighbor) bool { return x.Prompt == n.Prompt }) {
				out.Neighbors = append(out.Neighbors, neighbor{n.Prompt, n.Answers[0][0]})
			}
		}
		if len(out.Paraphrases) == paraphrases && len(out.Neighbors) == neighbors {
			break
		}
	}
	if len(records) > 0 {
		out.Source = "the edits that ship with keyhole"
	}
	return out
}
