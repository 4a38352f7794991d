package nn

import "keyhole.example/keyhole/internal/kernel"

// Ops is what a model may ask of an interpreter. A method never fails at
// once: the first error is kept and returned by Err.
//
// It is larger than an interface should be, because it is the whole seam
// between architectures and engines; each method is used by an architecture.
type Ops[T any] interface {
	// Embed looks up rows of table [vocabulary, width]: [len(ids), width].
	Embed(table *Param, ids *IDs) T
	// Linear computes x·Wᵀ + b for x [rows, in]: [rows, out].
	Linear(l *Linear, x T) T
	// LayerNorm normalises each row of x [rows, width]; RMSNorm each stretch of
	// as many elements as the gain has, a row or one head of it.
	LayerNorm(n *Norm, x T) T
	RMSNorm(n *Norm, x T) T
	// Rotate applies rotary positions to x [rows, heads·headDim].
	Rotate(x T, heads int, r *kernel.Rotation, s *Sequences) T
	// Attend is causal attention inside each text of s. q: [rows,
	// heads·headDim]; k, v: [rows, kvHeads·headDim]. layer names the block
	// whose keys and values s has from earlier rows.
	Attend(layer int, q, k, v T, a kernel.Attention, s *Sequences) T
	// Columns picks the columns idx of x [rows, width]: [rows, len(idx)].
	Columns(x T, idx []int32) T
	// Rows picks rows of x: [len(rows.V), width]. A model uses it in its last
	// block, behind which only the wanted rows are computed.
	Rows(x T, rows *RowSet) T
	Activate(kind kernel.Activation, x T) T
	Add(a, b T) T
	Mul(a, b T) T
	// Scale multiplies x by a constant.
	Scale(x T, by float32) T
	// Tap announces the state x at place p; the interpreter may look at it
	// or replace it.
	Tap(p Place, x T) T
	// Scope runs fn, whose inner values are not needed afterwards.
	Scope(fn func() T) T
	// Err is the first error of any call, or nil.
	Err() error
}

// Component is a named state inside a block.
type Component int

// The states that a model announces. Widths are the model's width except
// MLPAct, which is the input of the MLP's second linear layer.
const (
	Embedding Component = iota // token embedding alone, before positions are added
	BlockIn                    // residual stream entering a block
	AttnOut                    // output of the attention module
	MLPIn                      // normalised input of the MLP
	MLPAct                     // input of the MLP's second linear layer (ROME's key)
	MLPOut                     // output of the MLP module (ROME's value)
	BlockOut                   // residual stream after a block
	Final                      // after the last norm: what the head sees
)

var componentNames = [...]string{"embedding", "block_in", "attn_out", "mlp_in", "mlp_act", "mlp_out", "block_out", "final"}

// String is the name used in configs, logs and plots.
func (c Component) String() string { return componentNames[c] }

// Place names a state of the network.
type Place struct {
	Layer int // block number from 0; -1 outside the blocks
	At    Component
}
