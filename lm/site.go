package lm

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"keyhole.example/keyhole/internal/nearest"
	"keyhole.example/keyhole/nn"
)

// Roles of the linear layers of a block.
const (
	RoleQKV  = "attn.qkv" // q, k and v in one
	RoleQ    = "attn.q"
	RoleK    = "attn.k"
	RoleV    = "attn.v"
	RoleOut  = "attn.out"
	RoleGate = "mlp.gate"
	RoleUp   = "mlp.up"
	RoleDown = "mlp.down"

	RoleGateUp = "mlp.gate_up" // gate and up in one
)

// Site is one editable linear layer.
type Site struct {
	Name   string // Hugging Face weight name, "transformer.h.5.mlp.c_fc.weight"
	Block  int
	Role   string // one of the Role constants
	Linear *nn.Linear
}

// Sites lists every linear layer of every block in the order of computation.
func (m *Model) Sites() []Site { return slices.Clone(m.sites) }

// DefaultSites are the layers that MEND's shipped configurations edit, in
// their order, in the last blocks blocks: for GPT-2 c_proj, then c_fc, per
// block; for the Llama family gate, up, down; for GPT-J fc_in, fc_out; for
// NeoX dense_h_to_4h, dense_4h_to_h; for OPT and Phi fc1, fc2. More blocks
// than the model has mean all.
func (m *Model) DefaultSites(blocks int) []Site {
	return m.ordered(m.arch.edits, max(0, m.Config.Layers-blocks), m.Config.Layers-1)
}

// ordered lists sites of blocks [lo, hi], per block in the order of roles.
func (m *Model) ordered(roles []string, lo, hi int) []Site {
	var out []Site
	for block := lo; block <= hi; block++ {
		for _, role := range roles {
			for _, s := range m.sites {
				if s.Block == block && s.Role == role {
					out = append(out, s)
				}
			}
		}
	}
	return out
}

// FindSite resolves a pattern that names one site.
func (m *Model) FindSite(pattern string) (Site, error) {
	sites, err := m.FindSites([]string{pattern})
	if err != nil {
		return Site{}, err
	}
	if len(sites) != 1 {
		return Site{}, fmt.Errorf("site %q names %d layers; name one, as %s@%d", pattern, len(sites), sites[0].Role, sites[0].Block)
	}
	return sites[0], nil
}

// FindSites resolves patterns to sites, in the order of the patterns; a site
// that two patterns name stands where it came first. See the package comment
// for the patterns. A pattern that names nothing is an error with the nearest
// name that would.
func (m *Model) FindSites(patterns []string) ([]Site, error) {
	var out []Site
	seen := map[string]bool{}
	for _, pattern := range patterns {
		found, err := m.findSites(pattern)
		if err != nil {
			return nil, fmt.Errorf("site %q: %w", pattern, err)
		}
		for _, s := range found {
			if !seen[s.Name] {
				seen[s.Name] = true
				out = append(out, s)
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("sites: no pattern is given; try %q", "mlp@last3")
	}
	return out, nil
}

func (m *Model) findSites(pattern string) ([]Site, error) {
	if role, blocks, _ := strings.Cut(pattern, "@"); m.roles(role) != nil {
		lo, hi, err := m.blockRange(blocks)
		if err != nil {
			return nil, err
		}
		return m.ordered(m.roles(role), lo, hi), nil
	}
	matches, err := globMatcher(pattern)
	if err != nil {
		return nil, err
	}
	var out []Site
	for _, s := range m.sites {
		if matches(s.Name) {
			out = append(out, s)
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	return nil, m.whyNoSite(pattern, matches)
}

// whyNoSite explains a pattern that names no linear layer of a block.
func (m *Model) whyNoSite(pattern string, matches func(string) bool) error {
	for _, p := range m.params {
		switch {
		case !matches(p.Name):
		case p == m.Head().W && m.Config.Tied:
			return fmt.Errorf("%s is the embedding and the head at once: a weight that is shared can't be edited, for both uses would change", p.Name)
		default:
			return fmt.Errorf("%s is not a linear layer of a block: only those can be edited", p.Name)
		}
	}
	if m.Config.Tied && (matches("lm_head.weight") || matches("embed_out.weight")) {
		return fmt.Errorf("the head is tied to the embedding %s: a weight that is shared can't be edited, for both uses would change", m.Head().W.Name)
	}
	short := m.shortPatterns()
	valid := slices.Clone(short)
	for _, s := range m.sites {
		valid = append(valid, s.Name)
	}
	if meant, ok := nearest.Name(pattern, valid); ok {
		return fmt.Errorf("no such linear layer; did you mean %q?", meant)
	}
	return fmt.Errorf("no such linear layer; name one in full, such as %s, or as one of %s", m.sites[0].Name, strings.Join(short, ", "))
}

// roles are the roles that the part of a short pattern before @ stands for, in
// MEND's order, nil if it is none.
func (m *Model) roles(name string) []string {
	present := map[string]bool{}
	var attention []string
	for _, s := range m.sites {
		if !present[s.Role] && strings.HasPrefix(s.Role, "attn.") {
			attention = append(attention, s.Role)
		}
		present[s.Role] = true
	}
	switch {
	case name == "mlp":
		return m.arch.edits
	case name == "attn":
		return attention
	case name == "all":
		return append(attention, m.arch.edits...)
	case present[name]:
		return []string{name}
	}
	return nil
}

func (m *Model) shortPatterns() []string {
	valid := []string{"mlp", "attn", "all", "mlp@last3"}
	for _, s := range m.sites {
		if s.Block == 0 {
			valid = append(valid, s.Role, s.Role+"@last3")
		}
	}
	return valid
}

// blockRange reads the part of a short pattern behind @: "" is every block.
func (m *Model) blockRange(text string) (lo, hi int, err error) {
	layers := m.Config.Layers
	count := func(digits string) (int, bool) {
		n, err := strconv.Atoi(digits)
		return n, err == nil && n >= 0
	}
	if text == "" {
		return 0, layers - 1, nil
	}
	if digits, ok := strings.CutPrefix(text, "last"); ok {
		if n, ok := count(digits); ok && n >= 1 && n <= layers {
			return layers - n, layers - 1, nil
		}
	} else if digits, ok := strings.CutPrefix(text, "first"); ok {
		if n, ok := count(digits); ok && n >= 1 && n <= layers {
			return 0, n - 1, nil
		}
	} else {
		from, to, ranged := strings.Cut(text, "-")
		if !ranged {
			to = from
		}
		lo, ok1 := count(from)
		hi, ok2 := count(to)
		if ok1 && ok2 && lo <= hi && hi < layers {
			return lo, hi, nil
		}
	}
	return 0, 0, fmt.Errorf("blocks %q: want lastN, firstN, N or N-M within the blocks 0 to %d", text, layers-1)
}

// globMatcher compiles a name with *, ?, {a,b} and {3..5}; ".weight" at the
// end may be left out.
func globMatcher(pattern string) (func(name string) bool, error) {
	var expr strings.Builder
	expr.WriteString("^")
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*':
			expr.WriteString(".*")
		case '?':
			expr.WriteString(".")
		case '{':
			end := strings.IndexByte(pattern[i:], '}')
			if end < 0 {
				return nil, fmt.Errorf("a { without }")
			}
			choices, err := globChoices(pattern[i+1 : i+end])
			if err != nil {
				return nil, err
			}
			expr.WriteString(choices)
			i += end
		default:
			expr.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
	}
	expr.WriteString(`(\.weight)?$`)
	compiled, err := regexp.Compile(expr.String())
	if err != nil {
		return nil, err
	}
	return compiled.MatchString, nil
}

// globChoices turns the inside of braces, "a,b" or "3..5", into a group.
func globChoices(inside string) (string, error) {
	choices := strings.Split(inside, ",")
	if from, to, ok := strings.Cut(inside, ".."); ok {
		lo, err1 := strconv.Atoi(from)
		hi, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || lo < 0 || hi < lo || hi > maxLayers {
			return "", fmt.Errorf("{%s} is not a range of blocks such as {27..29}", inside)
		}
		choices = nil
		for n := lo; n <= hi; n++ {
			choices = append(choices, strconv.Itoa(n))
		}
	}
	for i := range choices {
		choices[i] = regexp.QuoteMeta(choices[i])
	}
	return "(" + strings.Join(choices, "|") + ")", nil
}
