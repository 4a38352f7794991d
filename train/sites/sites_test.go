package sites_test

import (
	"slices"
	"testing"

	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/trace"
	"keyhole.example/keyhole/train/sites"
)

// summary has its largest effects at the given blocks.
func summary(layers, subject, last int) *trace.Summary {
	s := &trace.Summary{}
	for _, x := range []struct {
		tokens string
		peak   int
	}{{"first subject token", 0}, {"last subject token", subject}, {"last token", last}} {
		e := trace.BucketEffects{Tokens: x.tokens, Blocks: make([]trace.Mean, layers)}
		e.Blocks[x.peak].Mean = 0.5
		s.Effects = append(s.Effects, e)
	}
	return s
}

func TestCandidatesStandWhereTheEffectsAre(t *testing.T) {
	got, err := sites.Candidates(summary(30, 9, 22), 30, 4, 3)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"mlp.down@7", "mlp.down@8", "mlp.down@9", "mlp.down@10"},
		{"mlp.down@20", "mlp.down@21", "mlp.down@22", "mlp.down@23"},
		{"mlp.down@7", "mlp.down@8", "mlp.down@9", "mlp.down@10"},
	}
	rows := []string{hypernet.SubjectRows, hypernet.AnswerRows, hypernet.AnswerRows}
	for i, c := range got {
		if !slices.Equal(c.Sites, want[i]) || c.Rows != rows[i] {
			t.Errorf("candidate %d is %v by %s rows, want %v by %s", i, c.Sites, c.Rows, want[i], rows[i])
		}
	}
	if len(got) != 3 {
		t.Errorf("%d candidates, want 3", len(got))
	}
}

// TestCandidatesFitAnyModel: they are different ones, within the model, and those of
// the subject's rows leave the last block alone.
func TestCandidatesFitAnyModel(t *testing.T) {
	for layers := 1; layers <= 8; layers++ {
		for subject := range layers {
			for _, blocks := range []int{1, 2, 4, 20} {
				got, err := sites.Candidates(summary(layers, subject, layers-1), layers, blocks, 10)
				if err != nil || len(got) == 0 {
					t.Fatalf("%d blocks: %d candidates, %v", layers, len(got), err)
				}
				for i, c := range got {
					last := "mlp.down@" + string(rune('0'+layers-1))
					if layers > 1 && c.Rows == hypernet.SubjectRows && slices.Contains(c.Sites, last) {
						t.Errorf("%d blocks: %v by the subject's rows", layers, c.Sites)
					}
					for _, s := range c.Sites {
						if s < "mlp.down@0" || s > last {
							t.Errorf("%d blocks: %v", layers, c.Sites)
						}
					}
					for _, d := range got[:i] {
						if d.Rows == c.Rows && slices.Equal(d.Sites, c.Sites) {
							t.Errorf("%v stands there twice", c)
						}
					}
				}
			}
		}
	}
	if _, err := sites.Candidates(&trace.Summary{}, 4, 2, 2); err == nil {
		t.Error("no error for a trace of nothing")
	}
}

func TestTheBestHasTheLowestLoss(t *testing.T) {
	if b := sites.Best([]sites.Trial{{Loss: 3}, {Loss: 1}, {Loss: 2}}); b != 1 {
		t.Errorf("%d", b)
	}
}
