package serve

import (
	"slices"
	"strings"
	"testing"
)

// Every route is described, and what is described is a route.
func TestDescriptionIsOfTheRoutes(t *testing.T) {
	doc := description(t)
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var described, have []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			described = append(described, method+" "+path)
		}
	}
	for _, r := range (&Server{}).routes() {
		have = append(have, r.method+" "+strings.NewReplacer("{$}", "", "...}", "}").Replace(r.path))
	}
	slices.Sort(described)
	slices.Sort(have)
	if !slices.Equal(described, have) {
		t.Errorf("described:\n%s\nroutes:\n%s", strings.Join(described, "\n"), strings.Join(have, "\n"))
	}
}
