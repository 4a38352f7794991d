package lm

import "keyhole.example/keyhole/nn"

// SiteOf finds a block's linear layer by the Hugging Face name of its weight.
func (m *Model) SiteOf(weight string) (Site, bool) {
	for _, s := range m.sites {
		if s.Name == weight {
			return s, true
		}
	}
	return Site{}, false
}

// Linear is SiteOf, the layer alone.
func (m *Model) Linear(weight string) (*nn.Linear, bool) {
	s, ok := m.SiteOf(weight)
	return s.Linear, ok
}

// FileBytes is the size of the mapped weight files, whose pages count as
// resident memory once they were read; 0 for a model made by New.
func (m *Model) FileBytes() int64 {
	n := int64(0)
	if m.file == nil {
		return 0
	}
	for _, name := range m.file.Names() {
		if t, ok := m.file.Tensor(name); ok {
			n += int64(len(t.Raw))
		}
	}
	return n
}
