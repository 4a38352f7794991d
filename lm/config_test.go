package lm

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestConfigsThatAreRefusedSayWhy(t *testing.T) {
	with := func(name, from, to string) string {
		config := tinyConfigs()[name]
		changed := strings.Replace(config, from, to, 1)
		if changed == config {
			t.Fatalf("%q is not in the config of %s", from, name)
		}
		return changed
	}
	cases := []struct{ name, config, want string }{
		{"empty", ``, "not a JSON object"},
		{"cut", `{"model_type": "gp`, "not a JSON object"},
		{"null", `null`, "null"},
		{"a list", `[]`, "not a JSON object"},
		{"two objects", `{} {}`, "something follows"},
		{"nothing in it", `{}`, "is not supported"},
		{"an unknown architecture", `{"model_type": "bert"}`, "want gpt2, llama"},
		{"an unknown class", `{"architectures": ["BertModel"]}`, `"BertModel"`},
		{"a key that is missing", with("gpt2", `"n_layer": 3, `, ``), "n_layer: missing"},
		{"a text for a number", with("gpt2", `"n_layer": 3`, `"n_layer": "3"`), "n_layer"},
		{"a fraction", with("gpt2", `"n_layer": 3`, `"n_layer": 3.5`), "n_layer"},
		{"no layer", with("gpt2", `"n_layer": 3`, `"n_layer": 0`), "number of layers: 0"},
		{"a negative width", with("gpt2", `"n_embd": 16`, `"n_embd": -16`), "hidden size"},
		{"an enormous size", with("gpt2", `"n_positions": 40`, `"n_positions": 99999999999`), "n_positions"},
		{"a context beyond the limit", with("gpt2", `"n_positions": 40`, `"n_positions": 2000000000`), "context length"},
		{"heads that don't divide", with("gpt2", `"n_head": 2`, `"n_head": 3`), "not a multiple"},
		{"no heads", with("gpt2", `"n_head": 2`, `"n_head": 0`), "not a multiple"},
		{"key-value heads that don't divide", with("llama", `"num_key_value_heads": 2`, `"num_key_value_heads": 3`), "does not divide"},
		{"an unknown activation", with("gpt2", `"n_layer"`, `"activation_function": "gegelu", "n_layer"`), `activation "gegelu"`},
		{"a switch that is not built", with("gpt2", `"n_layer"`, `"scale_attn_weights": false, "n_layer"`), "scale_attn_weights"},
		{"cross-attention", with("gpt2", `"n_layer"`, `"add_cross_attention": true, "n_layer"`), "add_cross_attention"},
		{"a number for a switch", with("llama", `"tie_word_embeddings": true`, `"tie_word_embeddings": 1`), "tie_word_embeddings"},
		{"embeddings of no width", with("opt", `"ffn_dim"`, `"word_embed_proj_dim": -8, "ffn_dim"`), "width of the embeddings"},
		{"layer types of other blocks", with("ministral", `["sliding_attention", "full_attention"]`, `["full_attention"]`), "layer types: 1"},
		{"layer types that are a text", with("ministral", `["sliding_attention", "full_attention"]`, `"full_attention"`), "layer_types"},
		{"capped scores", with("gemma3", `"sliding_window"`, `"attn_logit_softcapping": 30.0, "sliding_window"`), "attn_logit_softcapping"},
		{"a negative cap", with("gemma2", `"attn_logit_softcapping": 2.0`, `"attn_logit_softcapping": -2.0`), "caps of scores"},
		{"ascending rotations", with("llama", `"num_hidden_layers"`, `"rope_scaling": {"type": "yarn", "factor": 4, "beta_slow": 64}, "num_hidden_layers"`), "beta_slow"},
		{"factors of another number", with("phi3", `"num_hidden_layers"`, `"rope_scaling": {"type": "longrope", "short_factor": [1]}, "num_hidden_layers"`), "short_factor has 1"},
		{"a factor that is no number", with("phi3", `"num_hidden_layers"`, `"rope_scaling": {"type": "longrope", "short_factor": ["x"]}, "num_hidden_layers"`), "short_factor"},
		{"norms of q and k", with("phi", `"hidden_size"`, `"qk_layernorm": true, "hidden_size"`), "qk_layernorm"},
		{"an unknown scaling", with("llama", `"num_hidden_layers"`, `"rope_scaling": {"type": "ntk", "factor": 4}, "num_hidden_layers"`), `"ntk"`},
		{"a scaling that is a number", with("llama", `"num_hidden_layers"`, `"rope_scaling": 2, "num_hidden_layers"`), "rope_scaling"},
		{"a scaling without factor", with("llama", `"num_hidden_layers"`, `"rope_scaling": {"type": "linear"}, "num_hidden_layers"`), "factor"},
		{"an odd number of rotary dimensions", with("gptj", `"rotary_dim": 4`, `"rotary_dim": 5`), "rotary dimensions"},
		{"too many rotary dimensions", with("gptj", `"rotary_dim": 4`, `"rotary_dim": 64`), "rotary dimensions"},
		{"a rotary share above 1", with("gpt_neox", `"rotary_pct": 0.5`, `"rotary_pct": 1.5`), "1.5 of a head"},
		{"a rotary base of 0", with("llama", `"num_hidden_layers"`, `"rope_theta": 0, "num_hidden_layers"`), "rotary base"},
		{"a negative epsilon", with("llama", `"num_hidden_layers"`, `"rms_norm_eps": -1, "num_hidden_layers"`), "epsilon"},
		{"a negative window", with("mistral", `"sliding_window": 5`, `"sliding_window": -5`), "sliding window"},
		{"a token that is a text", with("gpt2", `"n_layer"`, `"eos_token_id": "x", "n_layer"`), "eos_token_id"},
	}
	for _, c := range cases {
		_, err := ParseConfig([]byte(c.config))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), configName) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.want)
		}
	}
}

func TestMissingKeysMeanWhatTransformersMeans(t *testing.T) {
	parse := func(config string) Config {
		c, err := ParseConfig([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := parse(strings.Replace(tinyConfigs()["mistral"], `, "sliding_window": 5`, ``, 1)); c.Window != 4096 {
		t.Errorf("mistral without a window: %d", c.Window)
	}
	if c := parse(strings.Replace(tinyConfigs()["mistral"], `"sliding_window": 5`, `"sliding_window": null`, 1)); c.Window != 0 {
		t.Errorf("mistral with the window null: %d", c.Window)
	}
	if c := parse(tinyConfigs()["gpt2"]); !c.Tied || c.FFN != 64 || c.KVHeads != 2 || c.HeadDim != 8 {
		t.Errorf("gpt2: %+v", c)
	}
	c := parse(strings.Replace(tinyConfigs()["gpt2"], "{", `{"bos_token_id": 50256, "eos_token_id": [3, 4, 99], `, 1))
	if len(c.BOS) != 0 || len(c.EOS) != 2 {
		t.Errorf("tokens outside the vocabulary: %v, %v", c.BOS, c.EOS)
	}
	c = parse(strings.Replace(tinyConfigs()["llama"], "{", `{"rope_parameters": {"rope_type": "linear", "rope_theta": 77, "factor": 3}, `, 1))
	if c.Rope.Base != 77 || c.Rope.Scaling != scaleLinear || c.Rope.Factor != 3 {
		t.Errorf("rope_parameters: %+v", c.Rope)
	}
}

func TestLlama3ScalingSlowsLongWavesAlone(t *testing.T) {
	plain := Rope{Base: 500000, Dims: 128}
	scaled := plain
	scaled.Scaling, scaled.Factor, scaled.LowFreq, scaled.HighFreq, scaled.Original = scaleLlama3, 8, 1, 4, 8192
	a, b := plain.frequencies(), scaled.frequencies()
	for i := range a {
		ratio := float64(a[i]) / float64(b[i])
		wave := 6.283185307179586 / float64(a[i])
		switch {
		case wave < 2048 && a[i] != b[i]:
			t.Errorf("short wave %d changed by %v", i, ratio)
		case wave > 8192 && (ratio < 7.999 || ratio > 8.001):
			t.Errorf("long wave %d changed by %v", i, ratio)
		case ratio < 0.999 || ratio > 8.001:
			t.Errorf("wave %d changed by %v", i, ratio)
		}
	}
}

func FuzzConfig(f *testing.F) {
	for _, config := range tinyConfigs() {
		f.Add([]byte(config))
	}
	f.Add([]byte(`{"model_type":"phi","num_hidden_layers":1,"hidden_size":4,"num_attention_heads":1,"vocab_size":1,"max_position_embeddings":1,"intermediate_size":1,"rope_parameters":{"partial_rotary_factor":1e-9}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		arch, c, settings, err := parseConfig(data)
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		// What is written must be read as the same.
		m := &Model{Config: c, arch: arch}
		_, again, _, err := parseConfig(jsonOf(t, settingsFor(m, "float32")))
		if err != nil {
			t.Fatalf("%v: written as %s", err, jsonOf(t, settingsFor(m, "float32")))
		}
		if arch.modelType != "qwen2" && !reflect.DeepEqual(again, c) {
			t.Fatalf("%+v written and read is %+v", c, again)
		}
		m.settings = settings
		if _, again, _, err = parseConfig(jsonOf(t, settingsFor(m, "float32"))); err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%+v with its settings kept is %+v, %v", c, again, err)
		}
	})
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
