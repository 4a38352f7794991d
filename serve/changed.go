package serve

import "keyhole.example/keyhole/edit"

// changed is the model that long work computes with: the base with the edits that
// were on when the work began.
type changed struct {
	list  []*kept      // that are on
	on    *edit.Edited // the same as one edit; nil: none
	pause func() error // lets brief jobs be done, and makes the model this one again
}

// changed makes the model the one with the edits that are on, or, if edits is false,
// the base model. What looks at weights alone does not see edits that are something
// else.
func (s *Server) changed(edits *bool) (*changed, error) {
	c := &changed{}
	if edits == nil || *edits {
		c.list = on(s.edited())
	}
	for _, k := range c.list {
		if k.edited == nil || k.edited.AdapterOf() != nil {
			return nil, refused("edit %s by %s stands beside the weights, and this looks at weights alone; switch it off, or ask for the base model", k.ID, k.Editor)
		}
	}
	if len(c.list) > 0 {
		c.on = s.desk.on
	}
	c.pause = func() error { return s.pause(c.on) }
	return c, s.desk.be(c.on)
}
