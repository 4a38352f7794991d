package train_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/train"
)

// TestPlan: a plan says all of what a run costs, and leaves nothing.
func TestPlan(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	c := small()
	r, err := configs.Load("", &c, configs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := train.MakePlan(t.Context(), c, r, sources())
	if err != nil {
		t.Fatal(err)
	}
	if p.Step <= 0 || p.Validation <= 0 || p.Validations != 3 || p.Steps != 12 || p.Total() <= 12*p.Step {
		t.Errorf("%+v, in all %s", p, p.Total())
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	dir := filepath.Join(tmp, "run")
	l, err := start(t, c, dir, false, sources(), &quiet{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.Estimate() != p.Memory {
		t.Errorf("the plan says %+v, the run %+v", p.Memory, l.Estimate())
	}
	if err := l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	disk := int64(0)
	err = filepath.WalkDir(filepath.Join(dir, "checkpoints"), func(path string, d os.DirEntry, err error) error {
		if info, ierr := d.Info(); err == nil && ierr == nil && info.Mode().IsRegular() && !strings.HasPrefix(d.Name(), ".") {
			disk += info.Size()
		}
		return err
	})
	if err != nil || disk < p.Disk*8/10 || disk > p.Disk*12/10 {
		t.Errorf("the checkpoints take %d bytes, planned were %d (%v)", disk, p.Disk, err)
	}
}

// TestAdviceFits: the change that a refusal names makes the run fit.
func TestAdviceFits(t *testing.T) {
	flags := regexp.MustCompile(`--set (\S+)`)
	c := small()
	c.Model.Blocks, c.Hypernet.Rank, c.Train.Accumulate, c.Memory.Cache = 3, 64, 50, 100
	c.Train.Steps = 10_000 // which fill the cache
	for limit, want := range map[int]string{180: "memory.cache=", 80: ""} {
		c.Memory.Limit = limit
		_, err := start(t, c, filepath.Join(t.TempDir(), "x"), false, sources(), &quiet{})
		if err == nil {
			t.Fatalf("%d MiB are enough", limit)
		}
		var set []string
		for _, m := range flags.FindAllStringSubmatch(err.Error(), -1) {
			set = append(set, m[1])
		}
		if len(set) == 0 || !strings.Contains(err.Error(), want) {
			t.Fatalf("%v", err)
		}
		fits := c
		r, err := configs.Read("x", nil, &fits, configs.Options{Set: set})
		if err != nil {
			t.Fatal(err)
		}
		l, err := train.Start(fits, r, filepath.Join(t.TempDir(), "x"), false, sources(), &quiet{})
		if err != nil {
			t.Errorf("with %v: %v", set, err)
			continue
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
