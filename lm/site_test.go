package lm

import (
	"slices"
	"strings"
	"testing"
)

func siteNames(sites []Site) []string {
	var names []string
	for _, s := range sites {
		names = append(names, s.Name)
	}
	return names
}

func TestDefaultSitesAreThoseOfMEND(t *testing.T) {
	want := map[string][]string{
		"gpt2":     {"transformer.h.1.mlp.c_proj.weight", "transformer.h.1.mlp.c_fc.weight", "transformer.h.2.mlp.c_proj.weight", "transformer.h.2.mlp.c_fc.weight"},
		"llama":    {"model.layers.1.mlp.gate_proj.weight", "model.layers.1.mlp.up_proj.weight", "model.layers.1.mlp.down_proj.weight", "model.layers.2.mlp.gate_proj.weight", "model.layers.2.mlp.up_proj.weight", "model.layers.2.mlp.down_proj.weight"},
		"gptj":     {"transformer.h.0.mlp.fc_in.weight", "transformer.h.0.mlp.fc_out.weight", "transformer.h.1.mlp.fc_in.weight", "transformer.h.1.mlp.fc_out.weight"},
		"gpt_neox": {"gpt_neox.layers.0.mlp.dense_h_to_4h.weight", "gpt_neox.layers.0.mlp.dense_4h_to_h.weight", "gpt_neox.layers.1.mlp.dense_h_to_4h.weight", "gpt_neox.layers.1.mlp.dense_4h_to_h.weight"},
		"opt":      {"model.decoder.layers.0.fc1.weight", "model.decoder.layers.0.fc2.weight", "model.decoder.layers.1.fc1.weight", "model.decoder.layers.1.fc2.weight"},
		"phi":      {"model.layers.0.mlp.fc1.weight", "model.layers.0.mlp.fc2.weight", "model.layers.1.mlp.fc1.weight", "model.layers.1.mlp.fc2.weight"},
	}
	for name, names := range want {
		m := tinyModel(t, tinyConfigs()[name])
		if got := siteNames(m.DefaultSites(2)); !slices.Equal(got, names) {
			t.Errorf("%s: %v, want %v", name, got, names)
		}
		if got := len(m.DefaultSites(100)); got != m.Config.Layers*len(m.arch.edits) {
			t.Errorf("%s: %d sites in all blocks", name, got)
		}
	}
}

func TestPatternsNameSites(t *testing.T) {
	cases := []struct {
		model    string
		patterns []string
		want     []string // without "model.layers." or "transformer.h.", and ".weight"
	}{
		{"gpt2", []string{"transformer.h.1.attn.c_attn.weight"}, []string{"1.attn.c_attn"}},
		{"gpt2", []string{"transformer.h.1.attn.c_attn"}, []string{"1.attn.c_attn"}},
		{"gpt2", []string{"mlp.down"}, []string{"0.mlp.c_proj", "1.mlp.c_proj", "2.mlp.c_proj"}},
		{"gpt2", []string{"mlp@last1"}, []string{"2.mlp.c_proj", "2.mlp.c_fc"}},
		{"gpt2", []string{"all@0"}, []string{"0.attn.c_attn", "0.attn.c_proj", "0.mlp.c_proj", "0.mlp.c_fc"}},
		{"gpt2", []string{"mlp.up@0-1", "mlp.up@1"}, []string{"0.mlp.c_fc", "1.mlp.c_fc"}},
		{"gpt2", []string{"mlp.up@2", "mlp.up@first1"}, []string{"2.mlp.c_fc", "0.mlp.c_fc"}},
		{"gpt2", []string{"*.2.mlp.*.weight"}, []string{"2.mlp.c_fc", "2.mlp.c_proj"}},
		{"llama", []string{"mlp@last1"}, []string{"2.mlp.gate_proj", "2.mlp.up_proj", "2.mlp.down_proj"}},
		{"llama", []string{"attn@1"}, []string{"1.self_attn.q_proj", "1.self_attn.k_proj", "1.self_attn.v_proj", "1.self_attn.o_proj"}},
		{"llama", []string{"model.layers.{1..2}.mlp.{up,down}_proj.weight"}, []string{"1.mlp.up_proj", "1.mlp.down_proj", "2.mlp.up_proj", "2.mlp.down_proj"}},
		{"llama", []string{"model.layers.?.mlp.down_proj"}, []string{"0.mlp.down_proj", "1.mlp.down_proj", "2.mlp.down_proj"}},
	}
	for _, c := range cases {
		m := tinyModel(t, tinyConfigs()[c.model])
		sites, err := m.FindSites(c.patterns)
		if err != nil {
			t.Errorf("%v: %v", c.patterns, err)
			continue
		}
		var got []string
		for _, s := range sites {
			name := strings.TrimPrefix(strings.TrimPrefix(s.Name, "model.layers."), "transformer.h.")
			got = append(got, strings.TrimSuffix(name, ".weight"))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.patterns, got, c.want)
		}
	}
}

func TestPatternsThatNameNothingSayWhy(t *testing.T) {
	cases := []struct{ model, pattern, want string }{
		{"gpt2", "mlp.donw", `did you mean "mlp.down"?`},
		{"gpt2", "transformer.h.1.mlp.c_fx.weight", `did you mean "transformer.h.1.mlp.c_fc.weight"?`},
		{"gpt2", "mlp.gate", "as one of mlp, attn, all"},
		{"gpt2", "mlp@last9", "within the blocks 0 to 2"},
		{"gpt2", "mlp@2-1", "within the blocks 0 to 2"},
		{"gpt2", "mlp@3", "within the blocks 0 to 2"},
		{"gpt2", "transformer.wte.weight", "a weight that is shared can't be edited"},
		{"gpt2", "lm_head.weight", "tied to the embedding transformer.wte.weight"},
		{"gpt2 untied, scores scaled by layer", "lm_head.weight", "not a linear layer of a block"},
		{"gpt2", "transformer.h.0.ln_1.weight", "not a linear layer of a block"},
		{"gpt2", "transformer.h.{0..", "a { without }"},
		{"gpt2", "transformer.h.{5..2}.mlp.c_fc", "not a range of blocks"},
		{"gpt2", "", "such as transformer.h.0.attn.c_attn.weight"},
	}
	for _, c := range cases {
		_, err := tinyModel(t, tinyConfigs()[c.model]).FindSites([]string{c.pattern})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q in it", c.pattern, err, c.want)
		}
	}
	if _, err := tinyModel(t, tinyConfigs()["gpt2"]).FindSites(nil); err == nil {
		t.Error("no pattern, and no error")
	}
}

func TestSitesKnowTheirOrientation(t *testing.T) {
	eachTiny(t, func(t *testing.T, m *Model) {
		for _, s := range m.Sites() {
			in, out := s.Linear.W.Cols, s.Linear.W.Rows
			if s.Linear.InOut {
				in, out = out, in
			}
			if s.Linear.In != in || s.Linear.Out != out || s.Linear.InOut != (m.Config.ModelType == "gpt2") {
				t.Errorf("%s: [%d, %d] for a layer of %d to %d", s.Name, s.Linear.W.Rows, s.Linear.W.Cols, s.Linear.In, s.Linear.Out)
			}
		}
	})
}
