// Package keyhole edits what language models know: it loads a model, trains an
// editor on facts or takes one that needs no training, edits, measures, undoes
// and saves.
//
//	m, err := keyhole.Load(ctx, "Qwen/Qwen2.5-0.5B")        // a name, a path, or keyhole.Embedded
//	defer m.Close()
//	facts := []keyhole.Fact{{Prompt: "The capital of France is", Target: "Lyon"}, …}
//	e, err := m.Train(ctx, facts)                           // MEND; or m.Editor(ctx, "rome")
//	edit, err := e.Edit(ctx, facts[0])                      // the model answers otherwise from here on
//	text, err := m.Generate(ctx, "The capital of France is", 5)
//	err = m.Save(ctx, "edited")                             // a Hugging Face folder
//	err = edit.Undo()
//
// It is the small part of the program that other programs import; the packages
// below are for what it leaves out. Read keyhole.go (models), editor.go (editors
// and edits), facts.go, then options.go.
//
// Promises:
//   - Nothing in a signature here comes from a package below internal.
//   - Every call that takes long takes a context, and stops when it ends.
//   - Errors wrap ErrNotFound, ErrDenied, ErrUnreachable, ErrNoWeights or are a
//     *FactError where they are one of these.
//   - The same calls with the same options give the same bytes, on any number of
//     threads.
//
// A Model with its editors is for one goroutine at a time.
package keyhole

import (
	"context"
	"errors"
	"fmt"
	"os"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/saved"
	"keyhole.example/keyhole/hub"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/workbench"
)

// Embedded is the name of the small model that is compiled in.
const Embedded = workbench.Embedded

// What errors may wrap.
var (
	ErrNotFound    = hub.ErrNotFound    // no file, and no model or data set of that name
	ErrDenied      = hub.ErrDenied      // the hub wants a token (HF_TOKEN) or its terms accepted
	ErrUnreachable = hub.ErrUnreachable // no network, or HF_HUB_OFFLINE
	ErrNoWeights   = errors.New("the editor changes no weights")
	ErrClosed      = errors.New("the model was closed")
)

// Model is a language model, with the edits that were made to it.
type Model struct {
	bench *workbench.Bench // base model and engine
	name  string
	edits []*Edit // installed, in order
	temp  []string
}

// Load opens a base model: Embedded, a Hugging Face folder, a GGUF file, or a
// name of the Hugging Face hub (org/name[@revision][:file]), which is fetched if
// it is not in the hub's cache. The environment of the hub's own library counts:
// HF_HOME, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE.
func Load(ctx context.Context, name string, options ...Option) (*Model, error) {
	s := collect(options)
	path, err := find(ctx, name, s, (*hub.Client).Model)
	if err != nil {
		return nil, err
	}
	b, err := workbench.Open(path, s.threads, lm.LoadOptions{})
	if err != nil {
		return nil, err
	}
	return &Model{bench: b, name: path}, nil
}

// find turns a name into a path.
func find(ctx context.Context, name string, s settings, look func(*hub.Client, context.Context, string) (string, error)) (string, error) {
	if name == Embedded {
		return name, nil
	}
	c, err := hub.FromEnv(os.Getenv)
	if err != nil {
		return "", err
	}
	c.Progress = func(p hub.Progress) { s.tell(Progress{Stage: "fetch", Note: p.File, Done: p.Done, Total: p.Total}) }
	return look(c, ctx, name)
}

// Close gives the model's memory and files back.
func (m *Model) Close() error {
	if m.bench == nil {
		return nil
	}
	errs := []error{m.bench.Close()}
	for _, dir := range m.temp {
		errs = append(errs, os.RemoveAll(dir))
	}
	m.bench, m.edits = nil, nil
	return errors.Join(errs...)
}

// open refuses a model that was closed, and a context that has ended.
func (m *Model) open(ctx context.Context) error {
	if m.bench == nil {
		return ErrClosed
	}
	return context.Cause(ctx)
}

// Generate continues a prompt greedily with at most n tokens, as the model is now
// edited. It returns the text behind the prompt.
func (m *Model) Generate(ctx context.Context, prompt string, n int) (string, error) {
	if err := m.open(ctx); err != nil {
		return "", err
	}
	return workbench.Answer(m.bench.Model, m.bench.Engine, prompt, n)
}

// Save writes the model with its edits as a new Hugging Face folder, whole or not
// at all. The edits lie beside the weights, for `keyhole edits`.
func (m *Model) Save(ctx context.Context, dir string) error {
	if err := m.open(ctx); err != nil {
		return err
	}
	edits := m.edits
	m.take(0)
	s := &saved.Model{Dir: dir, Base: m.name, DType: "f32"}
	hash, err := m.bench.Model.Hash()
	if err == nil {
		var kept []*edit.Kept
		for i, e := range edits {
			kept = append(kept, &edit.Kept{Path: fmt.Sprintf("%s-%d.safetensors", e.edited.Editor, i+1), Model: hash, Edited: e.edited})
		}
		err = s.Write(m.bench.Model, m.bench.Engine, kept)
	}
	return errors.Join(err, m.put(edits))
}

// take uninstalls the edits from the i-th on, the last first.
func (m *Model) take(i int) {
	for k := len(m.edits) - 1; k >= i; k-- {
		m.edits[k].uninstall()
	}
	m.edits = m.edits[:i:i]
}

// put installs edits on top of those that are there.
func (m *Model) put(edits []*Edit) error {
	for _, e := range edits {
		undo, err := e.edited.Install(m.bench.Model, m.bench.Engine)
		if err != nil {
			return err
		}
		e.uninstall = undo
		m.edits = append(m.edits, e)
	}
	return nil
}
