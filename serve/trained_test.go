package serve

import (
	"path/filepath"
	"testing"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/workbench"
)

// nobody watches a training run.
type nobody struct{}

func (nobody) Started(int, int)              {}
func (nobody) Stepped(train.Metrics, int)    {}
func (nobody) Validated(train.Metrics, bool) {}
func (nobody) Saved(string)                  {}
func (nobody) Skipped(string, error)         {}

// The editor of a run is offered first, and edits the server's own model.
func TestTrainedEditor(t *testing.T) {
	runs := t.TempDir()
	dir := filepath.Join(runs, "first")
	text, _ := configs.Preset("quickstart-mend")
	cfg := train.Default()
	r, err := configs.Read("quickstart-mend", text, &cfg, configs.Options{Set: []string{
		"hypernet.kind=rates", "model.blocks=1", "train.steps=2", "train.accumulate=2", "train.val_every=0", "threads=1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := train.Start(cfg, r, dir, false, workbench.Sources(), nobody{})
	if err != nil {
		t.Fatal(err)
	}
	if err := workbench.Run(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	name, err := RunName(dir)
	if err != nil || name != "first" {
		t.Fatal(name, err)
	}
	s := begin(t, func(o *Options) {
		o.Runs, o.Trained, o.Threads = runs, map[string]string{"third": dir, name: dir, "second": dir}, 1
	}, nil)
	var status statusBody
	s.call("GET", "/api/v1/status", "", 200, &status)
	if first := status.Editors[0]; first.Name != "first" || !first.Learned || !first.Default {
		t.Errorf("the first editor is %+v", first)
	}
	if b, c := status.Editors[1], status.Editors[2]; b.Name != "second" || c.Name != "third" || b.Default || c.Default {
		t.Errorf("behind it stand %+v and %+v", b, c)
	}
	base := s.says(true)
	x := s.try("first")[0]
	if x.ID == "" || len(x.Rows) != 4 {
		t.Fatalf("%+v", x)
	}
	s.keep(x)
	if s.says(true) == base || s.says(false) != base {
		t.Error("the edit is not in the server's own model")
	}
	var list struct{ Runs []runBody }
	s.call("GET", "/api/v1/runs", "", 200, &list)
	if len(list.Runs) != 1 || list.Runs[0].Step != 2 || list.Runs[0].Editor != "rates" {
		t.Errorf("runs %+v", list.Runs)
	}
}
