package train

import (
	"fmt"

	"keyhole.example/keyhole/checkpoints"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/meta"
)

// turns is a sequence of examples of which each is made on the model that those
// before it left, and scored on what they were, too (Li et al. 2025, RLEdit).
type turns struct {
	seen []meta.Task // the latest first, as many as are looked back at
	undo []func()    // takes the sites' weights back to the base model's
}

// begin notes where a sequence begins, if one does.
func (s *turns) begin(l *Loop) {
	if l.state.Turn == 0 {
		at := l.sampler.State()
		l.state.Begun = &at
	}
}

// end takes the model back to the base model.
func (s *turns) end(l *Loop) {
	s.back()
	s.seen, l.state.Turn, l.state.Begun = nil, 0, nil
}

func (s *turns) back() {
	for _, u := range s.undo {
		u()
	}
	s.undo = nil
}

// stand makes values the weights of sites.
func (s *turns) stand(sites []lm.Site, values [][]float32) error {
	s.back()
	for i, x := range sites {
		u, err := x.Linear.W.Replace(values[i])
		if err != nil {
			s.back()
			return fmt.Errorf("%s: %w", x.Name, err)
		}
		s.undo = append(s.undo, u)
	}
	return nil
}

// values are the sites' weights as they are.
func (s *turns) values(sites []lm.Site) ([][]float32, error) {
	var out [][]float32
	for _, x := range sites {
		v, err := x.Linear.W.Values()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", x.Name, err)
		}
		out = append(out, v)
	}
	return out, nil
}

// lift takes the sequence's changes out of the model; again puts them back.
func (s *turns) lift(sites []lm.Site) (again func(), err error) {
	if len(s.undo) == 0 {
		return func() {}, nil
	}
	now, err := s.values(sites)
	s.back()
	return func() { _ = s.stand(sites, now) }, err // they stood there before
}

// gradients adds up the gradients of tasks, made in turn.
func (s *turns) gradients(l *Loop, tasks []meta.Task) ([]meta.Outcome, error) {
	c := l.Config
	var out []meta.Outcome
	for i, t := range tasks {
		o, err := l.Learner().Step([]meta.Task{t.LookBack(s.seen, c.Train.TimeDecay)}, l.grads, i > 0)
		if err != nil {
			return nil, err
		}
		out = append(out, o...)
		if c.Compat == "reference" { // it clips what has added up, at every turn
			if norm := l.outer().Norm(l.Engine, l.grads); norm > c.Train.GradClip {
				l.Engine.Scale(l.grads, float32(c.Train.GradClip/norm))
			}
		}
		if err := s.turn(l, t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// turn leaves the edits of t in the model.
func (s *turns) turn(l *Loop, t meta.Task) error {
	rows, err := l.Learner().Rows([]meta.Task{t})
	if err != nil {
		return err
	}
	d := &edit.Edited{Editor: "training"}
	for i, x := range l.Sites {
		d.Changes = append(d.Changes, edit.Change{Weight: x.Name, Delta: &rows[i][0].Delta})
	}
	undo, err := d.Install(l.Model, l.Engine)
	if err != nil {
		return fmt.Errorf("turn %d: %w; lower hypernet.edit_lr or train.lr_lr", l.state.Turn+1, err)
	}
	now, err := s.values(l.Sites)
	undo()
	if err != nil {
		return err
	}
	if err := s.stand(l.Sites, now); err != nil {
		return err
	}
	s.remember(t, l.Config.Train.BackDepth)
	if l.state.Turn++; l.state.Turn >= l.Config.Train.Turns {
		s.end(l)
	}
	return nil
}

func (s *turns) remember(t meta.Task, depth int) {
	s.seen = append([]meta.Task{t}, s.seen...)
	s.seen = s.seen[:min(len(s.seen), depth-1)]
}

// entries are the weights in the middle of a sequence, as a checkpoint keeps them.
func (s *turns) entries(l *Loop) []safetensors.Entry {
	if len(s.undo) == 0 {
		return nil
	}
	var out []safetensors.Entry
	for _, x := range l.Sites {
		v, err := x.Linear.W.Values()
		if err != nil {
			continue // they are in memory
		}
		out = append(out, safetensors.Floats(x.Name, []int{len(v)}, v, tensorfile.F32))
	}
	return out
}

// restore goes on in the middle of a checkpoint's sequence.
func (s *turns) restore(l *Loop, c *checkpoints.Checkpoint) error {
	if l.state.Turn == 0 {
		return nil
	}
	if l.state.Begun == nil {
		return fmt.Errorf("%s: state: turn is %d, but where the sequence began is missing", c.Dir, l.state.Turn)
	}
	f, err := open(c, fileDrift)
	if err != nil {
		return err
	}
	defer f.Close()
	values := make([][]float32, len(l.Sites))
	for i, x := range l.Sites {
		values[i] = make([]float32, x.Linear.In*x.Linear.Out)
		if err := read(f, x.Name, values[i]); err != nil {
			return err
		}
	}
	if err := s.stand(l.Sites, values); err != nil {
		return err
	}
	then := l.state // making the tasks again counts them again
	if err := l.sampler.Restore(*then.Begun); err != nil {
		return fmt.Errorf("%s: %w", c.Dir, err)
	}
	for range then.Turn {
		t, err := l.next(l.Config.Train.Edits)
		if err != nil {
			return err
		}
		s.remember(t, l.Config.Train.BackDepth)
	}
	l.state = then
	if at := l.sampler.State(); at != then.Cursor {
		return fmt.Errorf("%s: state: the sequence of %d turns ends at record %d, not at %d: the checkpoint is damaged", c.Dir, then.Turn, at.Pos, then.Cursor.Pos)
	}
	return nil
}
