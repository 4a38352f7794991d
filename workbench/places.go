package workbench

import (
	"cmp"
	"slices"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/edit/family"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/train"
)

// Places are overrides of a new run's config, whose files are found, by what is known of
// where its model is best edited, and what says so; nil where nothing is known, or where
// the config itself says what is edited.
func Places(cfg train.Config, r *configs.Resolved) (set []string, from string, err error) {
	given := func(keys ...string) bool {
		return slices.ContainsFunc(r.Values(), func(v configs.Value) bool {
			return v.Origin.Layer != configs.FromDefault && slices.Contains(keys, v.Key)
		})
	}
	if cfg.Learner != train.LearnNetwork || given("model.sites", "model.blocks") {
		return nil, "", nil
	}
	m, err := LoadModel(cmp.Or(cfg.Model.Path, Embedded), lm.LoadOptions{Pre: cfg.Model.Pre})
	if err != nil {
		return nil, "", err
	}
	defer m.Close()
	f, err := family.Of(m)
	if err != nil || f.Train == nil {
		return nil, "", err
	}
	set = []string{"model.sites=" + f.Train.SiteList()}
	if cfg.Hypernet.Update.Rule == hypernet.Solve && f.Train.Rows != "" && !given("hypernet.update.rows") {
		set = append(set, "hypernet.update.rows="+f.Train.Rows)
	}
	return set, f.Train.From, nil
}
