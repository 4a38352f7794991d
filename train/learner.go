package train

import (
	"fmt"
	"io"

	"keyhole.example/keyhole/checkpoints"
	"keyhole.example/keyhole/edit/serac"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/meta"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/text"
)

// Learner is what a run trains. The loop, the optimiser and the checkpoints know
// no more of it than this.
type Learner interface {
	// Params are the trained values, which lie in Values one behind the other; the
	// last StepSizes of them have a rate of their own.
	Params() []*nn.Param
	Values() []float32
	StepSizes() int
	// Remembered visits all else that has to be kept from step to step, in a fixed
	// order.
	Remembered(fn func(hypernet.Kept) error) error
	// Mark notes what Step changes of it; back undoes the changes.
	Mark() (back func())
	// Prepare is called once, before the first step of a run, with the texts that
	// must stay: kept gives so many tokens of them.
	Prepare(kept func(tokens int) ([]text.Text, error)) error
	// Step adds the gradient of the tasks' losses to grads, which are like Values,
	// or writes it there.
	Step(tasks []meta.Task, grads []float32, accumulate bool) ([]meta.Outcome, error)
	// Score is the losses alone; it changes nothing.
	Score(tasks []meta.Task) ([]meta.Outcome, error)
	// Rows are the updates that are made of the tasks' edits.
	Rows(tasks []meta.Task) ([][]meta.Rows, error)
	// Explain makes errors name the first value that is not finite.
	Explain(on bool)
}

var (
	_ Learner = (*meta.Objective)(nil)
	_ Learner = (*serac.Learner)(nil)
)

const (
	fileParams = "phi.safetensors"
	fileOptim  = "optimiser.safetensors"
	fileDrift  = "drift.safetensors" // weights in the middle of a sequence
	fileExt    = ".safetensors"      // behind a kind of memory
)

// files are the tensors of a checkpoint.
func (l *Loop) files() map[string]func(io.Writer) error {
	tensors := map[string][]safetensors.Entry{}
	add := func(file string, e safetensors.Entry) { tensors[file] = append(tensors[file], e) }
	params := l.Learner().Params()
	values, m, v := nn.Split(l.Learner().Values(), params), nn.Split(l.optim.M, params), nn.Split(l.optim.V, params)
	for i, p := range params {
		shape := []int{p.Rows, p.Cols}
		add(fileParams, safetensors.Floats(p.Name, shape, values[i], tensorfile.F32))
		add(fileOptim, safetensors.Floats("m."+p.Name, shape, m[i], tensorfile.F32))
		add(fileOptim, safetensors.Floats("v."+p.Name, shape, v[i], tensorfile.F32))
	}
	_ = l.Learner().Remembered(func(k hypernet.Kept) error {
		for _, t := range k.Tensors {
			e := safetensors.Doubles(t.Name, []int{len(t.F64)}, t.F64)
			if t.F32 != nil {
				e = safetensors.Floats(t.Name, []int{len(t.F32)}, t.F32, tensorfile.F32)
			}
			add(k.File+fileExt, e)
		}
		return nil
	})
	if l.turns != nil {
		for _, e := range l.turns.entries(l) {
			add(fileDrift, e)
		}
	}
	out := map[string]func(io.Writer) error{}
	for name, list := range tensors {
		out[name] = func(w io.Writer) error { return safetensors.Encode(w, list, map[string]string{"format": "pt"}) }
	}
	return out
}

// counts lists the rows of what a learner remembers, by file.
func counts(l Learner) map[string][]int64 {
	out := map[string][]int64{}
	_ = l.Remembered(func(k hypernet.Kept) error {
		out[k.File] = append(out[k.File], *k.Rows)
		return nil
	})
	return out
}

// load reads trained values and memory from a checkpoint.
func (e *Editor) load(c *checkpoints.Checkpoint, st *state) error {
	f, err := open(c, fileParams)
	if err != nil {
		return err
	}
	defer f.Close()
	params := e.Learner().Params()
	for i, values := range nn.Split(e.Learner().Values(), params) {
		if err := read(f, params[i].Name, values); err != nil {
			return err
		}
	}
	if !e.Engine.AllFinite(e.Learner().Values()) {
		return fmt.Errorf("%s: its parameters are not all finite numbers, so it edits nothing; take an earlier checkpoint, or train with a lower train.lr", c.Dir)
	}
	files := map[string]*safetensors.File{}
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	e.setOthers(st.Others)
	saved := st.rows()
	return e.Learner().Remembered(func(k hypernet.Kept) error {
		if files[k.File] == nil {
			if files[k.File], err = open(c, k.File+fileExt); err != nil {
				return err
			}
		}
		if len(saved[k.File]) == 0 {
			return fmt.Errorf("%s: state: a count of rows is missing for %s", c.Dir, k.File)
		}
		*k.Rows, saved[k.File] = saved[k.File][0], saved[k.File][1:]
		for _, t := range k.Tensors {
			if t.F32 != nil {
				err = read(files[k.File], t.Name, t.F32)
			} else {
				err = readF64(files[k.File], t.Name, t.F64)
			}
			if err != nil {
				return err
			}
		}
		if k.Changed != nil {
			k.Changed()
		}
		return nil
	})
}
