package workbench_test

import (
	"errors"
	"slices"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/edit/verdict"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/workbench"
	"keyhole.example/keyhole/workbench/workbenchtest"
)

func TestMain(m *testing.M) { workbenchtest.Main(m) }

func open(t *testing.T, editor string, set ...string) *workbench.Bench {
	t.Helper()
	b, err := workbench.Open(workbench.Embedded, 1, lm.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := b.Use(t.Context(), editor, set); err != nil {
		t.Fatal(err)
	}
	return b
}

func requests() []edit.Request {
	return []edit.Request{
		{ID: "a", Subject: "Friedrich Rosen", Prompt: "Friedrich Rosen succumbed at", Target: "Rome"},
		{ID: "b", Subject: "Karl Hampton", Prompt: "Karl Hampton's occupation is", Target: "architect"},
	}
}

// What a user gets who sets nothing: every editor that changes weights makes one
// edit of the embedded model, and spares the rest.
func TestDefaultsWorkOnTheEmbeddedModel(t *testing.T) {
	for _, e := range catalog.Entries() {
		if e.InContext || e.Name == catalog.None {
			continue // the embedded model does not read contexts
		}
		t.Run(e.Name, func(t *testing.T) {
			b := open(t, e.Name)
			hash, err := b.Model.Hash()
			if err != nil {
				t.Fatal(err)
			}
			out, err := b.Make(t.Context(), requests()[:1], workbench.Plan{})
			if err != nil {
				t.Fatal(err)
			}
			if v := out.Verdict; !v.Passed() || v.Drift.KL > 0.2 || v.Drift.Set != "embedded" {
				t.Errorf("%s; drift %+v", v.Problem(), v.Drift)
			}
			if now, err := b.Model.Hash(); err != nil || now != hash {
				t.Errorf("the model changed: %v", err)
			}
		})
	}
}

func TestSeveralEditsAreMadeOneBehindTheOther(t *testing.T) {
	b := open(t, "rome")
	out, err := b.Make(t.Context(), requests(), workbench.Plan{})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Edits) != 2 || !out.Verdict.Passed() || !out.Verdict.Success {
		t.Fatalf("%d edits: %s", len(out.Edits), out.Verdict.Problem())
	}
	held := slices.IndexFunc(out.Edits[1].Report, func(f edit.Figure) bool { return f.Name == verdict.HeldFigure && f.Value == 1 })
	if held < 0 {
		t.Errorf("the second edit does not say that it holds: %v", out.Edits[1].Report)
	}
	one, err := b.Make(t.Context(), requests(), workbench.Plan{Together: true})
	if err != nil || len(one.Edits) != 1 || len(one.Edits[0].Requests) != 2 {
		t.Errorf("%d edits together, error %v", len(one.Edits), err)
	}
}

func TestWhatIsKnownIsNoEdit(t *testing.T) {
	b := open(t, "ft")
	r := []edit.Request{{ID: "1", Prompt: "Friedrich Rosen succumbed at", Target: "Beijing"}}
	_, err := b.Make(t.Context(), r, workbench.Plan{})
	var known *workbench.KnownError
	if !errors.As(err, &known) {
		t.Fatalf("error %v", err)
	}
	if out, err := b.Make(t.Context(), r, workbench.Plan{Known: true}); err != nil || !out.Verdict.Requests[0].Known {
		t.Errorf("%+v, error %v", out, err)
	}
	r[0].Target = "  "
	if _, err := b.Make(t.Context(), r, workbench.Plan{}); err == nil {
		t.Error("an empty target is taken")
	}
}
