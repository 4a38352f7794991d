package edit

import (
	"math"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

// Response says who answers a prompt.
type Response struct {
	// Model answers, with Context in front of the prompt; nil: the edited model, as
	// it is. It has the same vocabulary.
	Model   *lm.Model
	Context string
	// Share is Model's part in the mixture of both models' probabilities; 1: it
	// answers alone.
	Share float64
}

// Responder is a Memory that has some prompts answered by another model than the
// edited one, which stays as it is. Who answers is decided once, by the prompt, and
// held while the text goes on.
type Responder interface {
	Memory
	// Respond decides about a prompt. answer is the one that is to be scored, "" where
	// there is none; a reference may look at it.
	Respond(prompt, answer string) (Response, error)
}

// ResponderOf is the edit's responder, or nil.
func (e *Edited) ResponderOf() Responder {
	if e == nil {
		return nil
	}
	r, _ := e.Memory.(Responder)
	return r
}

// Mix writes the log of (1−share)·softmax(f) + share·softmax(h) to dst; all are
// logits of one row, [vocab].
func Mix(dst, f, h []float32, share float64) {
	_, logF := kernel.LogSum64(f)
	_, logH := kernel.LogSum64(h)
	a, b := math.Log1p(-share), math.Log(share)
	for v := range dst {
		x, y := a+float64(f[v])-logF, b+float64(h[v])-logH
		top := max(x, y)
		dst[v] = float32(top + math.Log(math.Exp(x-top)+math.Exp(y-top)))
	}
}
