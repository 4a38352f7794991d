package graph

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// Peers are processes that run a graph together. All of them call Gather alike.
type Peers interface {
	Rank() int // of this process, from 0
	Size() int // number of processes
	// Gather gives every process what each of them gave, by rank. The result is
	// valid until the next call.
	Gather(mine []byte) (all [][]byte, err error)
}

// Share says which process computes which task. Whatever adds up over tasks is
// completed first, so that every process adds up all of it, in the order in which
// one process alone does: the result does not depend on how many there are.
type Share struct {
	Peers Peers // nil: this process is alone
	Owner []int // rank that computes a task, by task; empty: each process computes all
}

// Divided reports whether other processes compute tasks.
func (s *Share) Divided() bool { return s != nil && len(s.Owner) > 0 }

// Mine reports whether this process computes task t.
func (s *Share) Mine(t int) bool { return !s.Divided() || s.Owner[t] == s.Peers.Rank() }

// Divide gives every process neighbouring tasks of about equal weight together.
func (s *Share) Divide(weights []int) {
	s.Owner = s.Owner[:0]
	if s.Peers == nil || s.Peers.Size() == 1 {
		return
	}
	total, before := 0, 0
	for _, w := range weights {
		total += w
	}
	for _, w := range weights {
		middle := 2*before + w // twice, so that it is whole
		s.Owner = append(s.Owner, min(middle*s.Peers.Size()/max(2*total, 1), s.Peers.Size()-1))
		before += w
	}
}

// Numbers completes x, [tasks, each] numbers, of which each process has those of
// its tasks.
func (s *Share) Numbers(x []float64, each int) error {
	if !s.Divided() {
		return nil
	}
	var mine []byte
	for t := range s.Owner {
		if s.Mine(t) {
			for _, v := range x[t*each : (t+1)*each] {
				mine = binary.LittleEndian.AppendUint64(mine, math.Float64bits(v))
			}
		}
	}
	all, err := s.Peers.Gather(mine)
	if err != nil {
		return err
	}
	for t, r := range s.Owner {
		for i := range each {
			if len(all[r]) < 8 {
				return s.short(r)
			}
			x[t*each+i], all[r] = math.Float64frombits(binary.LittleEndian.Uint64(all[r])), all[r][8:]
		}
	}
	return nil
}

// Rows completes columns from lo on of x, whose rows tasks[m][t] belong to task t.
func (s *Share) Rows(x kernel.Matrix, tasks [][]nn.Range, lo int) error {
	if !s.Divided() {
		return nil
	}
	var mine []byte
	s.each(tasks, func(owner int, q nn.Range) error {
		for i := q.Lo; owner == s.Peers.Rank() && i < q.Hi; i++ {
			mine = append(mine, Bytes(x.Data[i*x.Cols+lo:(i+1)*x.Cols])...)
		}
		return nil
	})
	all, err := s.Peers.Gather(mine)
	if err != nil {
		return err
	}
	return s.each(tasks, func(owner int, q nn.Range) error {
		for i := q.Lo; i < q.Hi; i++ {
			row := Bytes(x.Data[i*x.Cols+lo : (i+1)*x.Cols])
			if len(all[owner]) < len(row) {
				return s.short(owner)
			}
			all[owner] = all[owner][copy(row, all[owner]):]
		}
		return nil
	})
}

// each visits the rows of all tasks, mode by mode.
func (s *Share) each(tasks [][]nn.Range, fn func(owner int, q nn.Range) error) error {
	for m := range tasks {
		for t, q := range tasks[m] {
			if err := fn(s.Owner[t], q); err != nil {
				return err
			}
		}
	}
	return nil
}

// short is the error of a process that gave less than its tasks have.
func (s *Share) short(rank int) error {
	return fmt.Errorf("process %d computed other rows than process %d thinks: the processes are not at the same step of the same run", rank, s.Peers.Rank())
}

// Bytes are the bytes of x, in its memory.
func Bytes[T float32 | float64](x []T) []byte {
	var one T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), int(unsafe.Sizeof(one))*len(x))
}

// Shared is z, whose rows (*tasks)[m][t] belong to task t. Its gradient is
// completed, columns from lo on; those before have none.
func (b *Builder) Shared(z Node, s *Share, tasks *[][]nn.Range, lo int) Node {
	if s.Peers == nil {
		return z
	}
	return b.Apply(&Op{Kind: shared, Attr: sharedRows{s, tasks, lo}, Cols: width(z)}, z)
}

// sharedRows is which rows are completed, and from which column on.
type sharedRows struct {
	share *Share
	tasks *[][]nn.Range
	lo    int
}

var shared = &Kind{
	Name: "shared", Alias: true,
	Grad: func(b *Builder, p *Op, _ []Node, _, grad Node) []Node {
		return []Node{b.Apply(&Op{Kind: sharedGrad, Attr: p.Attr, Cols: p.Cols}, grad)}
	},
}

var sharedGrad = &Kind{
	Name: "shared.dz",
	Host: With(func(_ *Ctx, a sharedRows, out *kernel.Matrix, in []kernel.Matrix) error {
		copy(out.Data, in[0].Data[:in[0].Rows*out.Cols])
		return a.share.Rows(*out, *a.tasks, a.lo)
	}),
}
