// Package chat writes conversations as the chat templates of instruct models
// want them: Jinja in tokenizer_config.json, chat_template.jinja or a GGUF file.
//
// The central type is Template. Templates are run by gonja
// (docs/decisions/0016-chat-templates.md), in a sandbox: they see messages, the start and end tokens and
// whether an answer is to follow, reach no file, and stop when their output grows
// beyond reason.
//
// Source: apply_chat_template of transformers.
package chat

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"
)

// Bounds of what a template may be and do.
const (
	largest    = 1 << 20 // bytes of a template
	mostOutput = 1 << 20 // bytes of a conversation
	mostRange  = 1 << 16 // elements of one range
)

// Message is one turn.
type Message struct {
	Role    string // system, user or assistant
	Content string
}

// Template is a compiled chat template. It is safe for concurrent use.
type Template struct {
	program  *exec.Template
	bos, eos string
}

// Parse compiles a template. bos and eos are the tokens that begin and end a
// text, as they are spelt; "" where there are none.
func Parse(text, bos, eos string) (*Template, error) {
	if len(text) > largest {
		return nil, fmt.Errorf("chat template: %d bytes, more than %d", len(text), largest)
	}
	globals := exec.EmptyContext().Update(builtins.GlobalFunctions)
	globals.Set("range", ranged)
	env := &exec.Environment{
		Filters: builtins.Filters, Tests: builtins.Tests, Methods: builtins.Methods,
		ControlStructures: builtins.ControlStructures, Context: globals,
	}
	c := config.New()
	c.TrimBlocks, c.LeftStripBlocks = true, true // as transformers has it
	const name = "chat_template"
	loader, err := loaders.NewShiftedLoader(name, strings.NewReader(text), nowhere{})
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	program, err := exec.NewTemplate(name, c, loader, env)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	return &Template{program, bos, eos}, nil
}

// Render writes a conversation; where answer is set, it ends where the answer of
// the model begins. The template's own complaints, such as of roles that it does
// not know, are errors.
func (t *Template) Render(messages []Message, answer bool) (text string, err error) {
	list := make(turns, len(messages))
	for i, m := range messages {
		list[i] = map[string]any{"role": m.Role, "content": m.Content}
	}
	defer func() {
		if r := recover(); r != nil { // the interpreter's own
			err = fmt.Errorf("chat template: %v", r)
		}
	}()
	var out bounded
	err = t.program.Execute(&out, exec.NewContext(map[string]any{
		"messages": list, "bos_token": t.bos, "eos_token": t.eos, "add_generation_prompt": answer,
		"raise_exception": func(text string) (string, error) { return "", errors.New(text) },
	}))
	if err != nil {
		return "", fmt.Errorf("chat template: %w", err)
	}
	return out.String(), nil
}

// turns are messages. gonja 2.9 does not find element -n of a list of n, which
// templates ask for by messages[-1] where there is one message.
type turns []any

// GetItem implements exec.ItemGetter.
func (t turns) GetItem(key any) (*exec.Value, bool) {
	i, ok := key.(int)
	if i < 0 {
		i += len(t)
	}
	if !ok || i < 0 || i >= len(t) {
		return exec.AsValue(nil), false
	}
	return exec.AsValue(t[i]), true
}

// Ask is a conversation of one question, which the answer is to follow.
func (t *Template) Ask(question string) (string, error) {
	return t.Render([]Message{{Role: "user", Content: question}}, true)
}

// bounded is a text of at most mostOutput bytes.
type bounded struct{ strings.Builder }

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > mostOutput {
		return 0, fmt.Errorf("it writes more than %d bytes", mostOutput)
	}
	return b.Builder.Write(p)
}

// WriteString implements io.StringWriter.
func (b *bounded) WriteString(s string) (int, error) { return b.Write([]byte(s)) }

// nowhere has no templates to include.
type nowhere struct{}

func (nowhere) Read(path string) (io.Reader, error) {
	return nil, fmt.Errorf("it includes %q, and a chat template stands alone", path)
}
func (nowhere) Resolve(path string) (string, error)    { return path, nil }
func (nowhere) Inherit(string) (loaders.Loader, error) { return nowhere{}, nil }

// ranged is Jinja's range, of a bounded number of elements.
func ranged(_ *exec.Evaluator, params *exec.VarArgs) ([]int, error) {
	start, stop, step := 0, 0, 1
	bounds := []*int{&stop}
	switch len(params.Args) {
	case 1:
	case 2:
		bounds = []*int{&start, &stop}
	case 3:
		bounds = []*int{&start, &stop, &step}
	default:
		return nil, errors.New("range takes one to three numbers")
	}
	for i, b := range bounds {
		if !params.Args[i].IsInteger() {
			return nil, errors.New("range takes whole numbers")
		}
		*b = params.Args[i].Integer()
	}
	var out []int
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		if len(out) == mostRange {
			return nil, fmt.Errorf("range of more than %d elements", mostRange)
		}
		out = append(out, i)
	}
	return out, nil
}
