package workbench

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/lm"
)

// Demos names the edits that demonstrations are made of.
type Demos struct {
	Path      string   `yaml:"path" doc:"file of edits; empty: the embedded training edits"`
	Split     string   `yaml:"split" doc:"split of the file, where it has splits"`
	Neighbors string   `yaml:"neighbors" doc:"CounterFact neighbours to merge"`
	Exclude   []string `yaml:"exclude" doc:"files of edits, such as those compared, about whose subjects nothing is shown"`
}

// Named reports whether edits other than the embedded training edits are meant.
func (d Demos) Named() bool { return d.Path != "" || d.Split != "" }

// Files are the names in d, to be replaced by where they are. The list of files about
// whose subjects nothing is shown becomes d's own.
func (d *Demos) Files() []*string {
	d.Exclude = slices.Clone(d.Exclude)
	names := []*string{&d.Path, &d.Neighbors}
	for i := range d.Exclude {
		names = append(names, &d.Exclude[i])
	}
	return names
}

// Load reads them.
func (d Demos) Load() (*data.Set, error) {
	if d.Path == "" || d.Path == Embedded {
		d.Path, d.Split = Embedded, cmp.Or(d.Split, "train")
	}
	return LoadEdits(d.Path, data.Options{Split: d.Split, Neighbors: d.Neighbors, Exclude: d.Exclude})
}

// StatsFolder is where statistics are kept unless told otherwise.
func StatsFolder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("folder of statistics: %w", err)
	}
	return filepath.Join(cache, "keyhole", "stats"), nil
}

// Collect collects or loads the statistics of sites from the bench's corpus.
// They are kept in a folder; "" is StatsFolder.
func (b *Bench) Collect(ctx context.Context, sites []lm.Site, cfg stats.Config, dir string) ([]*stats.Moment, error) {
	return b.CollectTogether(ctx, nil, sites, cfg, dir)
}

// CollectTogether is Collect by the processes of a team, of which process 0 has the
// moments at the end.
func (b *Bench) CollectTogether(ctx context.Context, team mpi.Team, sites []lm.Site, cfg stats.Config, dir string) ([]*stats.Moment, error) {
	text, err := CorpusOf(b.Corpus)
	if err != nil {
		return nil, err
	}
	if dir == "" {
		if dir, err = StatsFolder(); err != nil {
			return nil, err
		}
	}
	o := stats.Options{Dir: dir, Team: team}
	if b.Watcher != nil {
		o.Progress = func(done, total int) { b.Watcher.Collecting(text.Name, done, total) }
	}
	moments, err := stats.Collect(ctx, b.Model, b.Engine, sites, text, cfg, o)
	if b.Watcher != nil {
		b.Watcher.Collected(text.Name, moments)
	}
	return moments, err
}

// moments finds the statistics of a site: made before, or collected now. It
// remembers them.
func (b *Bench) moments(ctx context.Context) (stats.Source, string, error) {
	text, err := CorpusOf(b.Corpus)
	if err != nil {
		return nil, "", err
	}
	hash, err := text.Hash()
	if err != nil {
		return nil, "", err
	}
	have := map[string]*stats.Moment{}
	return func(_ *lm.Model, s lm.Site) (*stats.Moment, error) {
		if m := have[s.Name]; m != nil {
			return m, nil
		}
		list, err := b.Collect(ctx, []lm.Site{s}, stats.Default(), "")
		if err != nil {
			return nil, err
		}
		have[s.Name] = list[0]
		return list[0], nil
	}, hash, nil
}
