package train

import "testing"

func TestRunsHaveTheShortestNamesThatTellThemApart(t *testing.T) {
	paths := []string{"runs/a", "runs/b/", "other/a", "a"}
	for i, want := range []string{"runs/a", "b", "other/a", "a"} {
		if got := shortName(paths, i); got != want {
			t.Errorf("%s is called %q, want %q", paths[i], got, want)
		}
	}
}
