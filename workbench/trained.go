package workbench

import (
	"cmp"
	"fmt"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/mend"
	"keyhole.example/keyhole/edit/serac"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/train"
)

// OpenTrained loads a trained editor from a run or checkpoint folder. model, if
// not empty, is where its base model lies now.
func OpenTrained(path, model string, threads int) (*Bench, error) {
	e, _, err := train.OpenEditor(path, Sources(), BaseModel(model, threads))
	if err != nil {
		return nil, err
	}
	return trained(e, path), nil
}

// Trained is a bench with a trained editor.
func Trained(e *train.Editor) *Bench { return trained(e, "") }

func trained(e *train.Editor, path string) *Bench {
	return &Bench{
		Base: cmp.Or(e.Config.Model.Path, Embedded), Model: e.Model, Engine: e.Engine, Config: e.Config, Notes: e.Notes,
		Editor: editorOf(e, path), closers: []func() error{e.Close},
	}
}

// editorOf is the editor of a run, whose folder is path where that is known.
func editorOf(e *train.Editor, path string) edit.Editor {
	if e.SERAC != nil {
		return serac.NewEditor(e.SERAC, path)
	}
	return mend.New(e.Objective, e.Config.Hypernet.Name(), e.TextOptions(), e.Model.Tokenizer)
}

// TrainedHere loads a trained editor from a run or checkpoint folder onto the
// bench's own model, which has to be the one that it was trained for.
func (b *Bench) TrainedHere(path string, threads int) (edit.Editor, error) {
	pre := ""
	own := train.Sources{
		Model: func() (*lm.Model, error) { return b.Model, nil }, Edits: Sources().Edits,
		Copy: func() (*lm.Model, error) { return LoadModel(b.Base, lm.LoadOptions{Pre: pre}) },
	}
	here := BaseModel(Embedded, threads)
	e, _, err := train.OpenEditor(path, own, func(c *train.Config) {
		here(c)
		pre, c.Model.Pre = c.Model.Pre, "" // the model is loaded; its hash tells whether it was as the run wants it
	})
	if err != nil {
		return nil, err
	}
	b.closers = append(b.closers, e.Close)
	return editorOf(e, path), nil
}

// trainedHere is TrainedHere with what identifies the editor.
func (b *Bench) trainedHere(path string) (edit.Editor, string, error) {
	e, err := b.TrainedHere(path, b.Engine.Threads())
	if err != nil {
		return nil, "", err
	}
	f, ok := e.(eval.Fingerprinter)
	if !ok {
		return nil, "", fmt.Errorf("editor %s does not identify itself", e.Name())
	}
	return e, f.Fingerprint(), nil
}

// BaseModel changes the config of a trained editor: where the base model is
// now, if model is not empty, and the threads, if not 0.
func BaseModel(model string, threads int) func(*train.Config) {
	return func(c *train.Config) {
		switch model {
		case "":
		case Embedded:
			c.Model.Path = ""
		default:
			c.Model.Path = model
		}
		if threads > 0 {
			c.Threads = threads
		}
	}
}
