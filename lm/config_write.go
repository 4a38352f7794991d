package lm

import (
	"maps"
	"strconv"
	"strings"
)

// decimal is a number that is written with a point or an exponent, which
// transformers asks of some.
type decimal float64

func (d decimal) MarshalJSON() ([]byte, error) {
	text := strconv.FormatFloat(float64(d), 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return []byte(text), nil
}

// scalingJSON is rope_scaling as config.json has it.
func (r *Rope) scalingJSON() any {
	switch r.Scaling {
	case scaleLinear, scaleDynamic:
		return map[string]any{"type": r.Scaling, "factor": decimal(r.Factor)} // one key more, and 4.36 refuses it
	case scaleYarn:
		return map[string]any{"rope_type": scaleYarn, "factor": decimal(r.Factor), "beta_fast": decimal(r.BetaFast), "beta_slow": decimal(r.BetaSlow),
			"truncate": r.Whole, "attention_factor": decimal(r.Attention), "original_max_position_embeddings": r.Original}
	case scaleLongrope:
		return map[string]any{"type": scaleLongrope, "short_factor": r.Short, "long_factor": r.Short}
	case scaleLlama3:
		return map[string]any{"rope_type": scaleLlama3, "factor": decimal(r.Factor), "low_freq_factor": decimal(r.LowFreq),
			"high_freq_factor": decimal(r.HighFreq), "original_max_position_embeddings": r.Original}
	}
	return nil
}

// settingsFor is the config.json of a model, with the name of its weights'
// element type.
func settingsFor(m *Model, dtype string) map[string]any {
	out := maps.Clone(m.settings)
	if out == nil {
		out = m.arch.write(&m.Config)
		out["tie_word_embeddings"] = m.Config.Tied
		out["use_cache"] = true
		out["bos_token_id"], out["eos_token_id"] = m.endsJSON()
	}
	out["model_type"] = m.arch.modelType
	out["architectures"] = []string{m.arch.class}
	out["torch_dtype"], out["dtype"] = dtype, dtype // before and since transformers 5
	m.spellRope(out)
	return out
}

// spellRope adds to a config what versions of transformers before 5 and since
// look for under other names: rope_theta and rope_scaling, or rope_parameters.
func (m *Model) spellRope(out map[string]any) {
	r := &m.Config.Rope
	if r.Dims == 0 || m.arch.ropeBase == "" {
		return
	}
	scaling, _ := r.scalingJSON().(map[string]any)
	for _, key := range []string{"rope_scaling", "rope_parameters"} {
		if read, ok := m.settings[key].(map[string]any); ok && r.Scaling != "" && r.Scaling != scaleLinear && r.Scaling != scaleDynamic {
			scaling = maps.Clone(read) // with what means nothing here
		}
	}
	later := map[string]any{"rope_type": "default"}
	if scaling != nil {
		later = maps.Clone(scaling)
		later["rope_type"] = r.Scaling
		delete(later, "type")
		delete(scaling, "rope_theta")
		delete(scaling, "partial_rotary_factor")
	}
	later["rope_theta"] = decimal(r.Base)
	if share := r.share(m.Config.HeadDim); share != 1 {
		later["partial_rotary_factor"] = decimal(share)
		if m.arch.ropeShare != "" {
			out[m.arch.ropeShare] = decimal(share)
		}
	}
	out[m.arch.ropeBase], out["rope_scaling"], out["rope_parameters"] = decimal(r.Base), orNil(scaling), later
}

func orNil(m map[string]any) any {
	if m == nil {
		return nil
	}
	return m
}

// endsJSON is bos_token_id and eos_token_id.
func (m *Model) endsJSON() (bos, eos any) {
	idsOr := func(ids []int32, tokenizer func() (int32, bool)) any {
		switch {
		case len(ids) == 1:
			return ids[0]
		case len(ids) > 1:
			return ids
		case m.Tokenizer != nil:
			if id, ok := tokenizer(); ok {
				return id
			}
		}
		return nil
	}
	var fromBOS, fromEOS func() (int32, bool)
	if m.Tokenizer != nil {
		fromBOS, fromEOS = m.Tokenizer.BOS, m.Tokenizer.EOS
	}
	return idsOr(m.Config.BOS, fromBOS), idsOr(m.Config.EOS, fromEOS)
}

func merged(a, b map[string]any) map[string]any {
	maps.Copy(a, b)
	return a
}

// orNull is n, or JSON's null for 0.
func orNull(n int) any {
	if n == 0 {
		return nil
	}
	return n
}
