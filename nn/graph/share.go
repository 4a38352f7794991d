package graph

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
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

// Share says which processes compute the texts of which task. Whatever adds up
// over texts is completed first, so that every process adds up all of it, in the
// order in which one process alone does: the result does not depend on how many
// there are.
type Share struct {
	Peers Peers // nil: this process is alone
	// Of are the processes [Lo, Hi) that compute a task's texts, by task, each of them
	// neighbouring texts; empty: each process computes all tasks.
	Of []nn.Range

	joined []float32
}

// Divided reports whether other processes compute tasks.
func (s *Share) Divided() bool { return s != nil && len(s.Of) > 0 }

// Mine reports whether this process computes texts of task t.
func (s *Share) Mine(t int) bool {
	return !s.Divided() || s.Of[t].Lo <= s.Peers.Rank() && s.Peers.Rank() < s.Of[t].Hi
}

// Split reports whether several processes compute texts of task t.
func (s *Share) Split(t int) bool { return s.Divided() && s.Of[t].Hi-s.Of[t].Lo > 1 }

// Turn is the process that does the i-th of the things that task t needs once.
func (s *Share) Turn(t, i int) int { return s.Of[t].Lo + i%(s.Of[t].Hi-s.Of[t].Lo) }

// MyTurn reports whether this process does the i-th of the things that task t
// needs once.
func (s *Share) MyTurn(t, i int) bool { return !s.Divided() || s.Turn(t, i) == s.Peers.Rank() }

// Numbers completes x, a number for each task, of which this process has those
// whose i-th turn it has.
func (s *Share) Numbers(x []float64, i int) error {
	if !s.Divided() {
		return nil
	}
	var mine []byte
	for t := range s.Of {
		if s.MyTurn(t, i) {
			mine = binary.LittleEndian.AppendUint64(mine, math.Float64bits(x[t]))
		}
	}
	all, err := s.Peers.Gather(mine)
	if err != nil {
		return err
	}
	for t := range s.Of {
		r := s.Turn(t, i)
		if len(all[r]) < 8 {
			return s.short(r)
		}
		x[t], all[r] = math.Float64frombits(binary.LittleEndian.Uint64(all[r])), all[r][8:]
	}
	return nil
}

// Rows completes columns [cols.Lo, cols.Hi) of x, of whose rows owner says which
// process has them; -1: none, and they stay.
func (s *Share) Rows(x kernel.Matrix, owner []int32, cols nn.Range) error {
	if !s.Divided() {
		return nil
	}
	row := func(i int) []byte { return Bytes(x.Data[i*x.Stride+cols.Lo : i*x.Stride+cols.Hi]) }
	var mine []byte
	for i, r := range owner {
		if int(r) == s.Peers.Rank() {
			mine = append(mine, row(i)...)
		}
	}
	all, err := s.Peers.Gather(mine)
	if err != nil {
		return err
	}
	for i, r := range owner {
		if r < 0 {
			continue
		}
		if into := row(i); len(all[r]) < len(into) {
			return s.short(int(r))
		} else {
			all[r] = all[r][copy(into, all[r]):]
		}
	}
	return nil
}

// Join gives use, for each task that several processes compute, the rows of all
// of them in the order of the task's texts. rows gives those of this process: dense
// rows, as wide in all processes. What use gets is valid while it runs.
func (s *Share) Join(rows func(t int) kernel.Matrix, use func(t int, all kernel.Matrix)) error {
	var tasks, widths []int
	var counts, data []byte
	if s.Divided() {
		for t := range s.Of {
			if s.Split(t) {
				m := rows(t)
				tasks, widths = append(tasks, t), append(widths, m.Cols)
				counts = binary.LittleEndian.AppendUint32(counts, uint32(m.Rows))
				data = append(data, Bytes(m.Data[:m.Rows*m.Cols])...)
			}
		}
	}
	if len(tasks) == 0 {
		return nil
	}
	all, err := s.Peers.Gather(append(counts, data...))
	if err != nil {
		return err
	}
	heads := make([][]byte, len(all))
	for r := range all {
		if len(all[r]) < len(counts) {
			return s.short(r)
		}
		heads[r], all[r] = all[r][:len(counts)], all[r][len(counts):]
	}
	for i, t := range tasks {
		s.joined = s.joined[:0]
		total := 0
		for r := range all {
			n := int(binary.LittleEndian.Uint32(heads[r][4*i:]))
			size, at := 4*n*widths[i], len(s.joined)
			if len(all[r]) < size {
				return s.short(r)
			}
			s.joined = slices.Grow(s.joined, size/4)[:at+size/4]
			all[r] = all[r][copy(Bytes(s.joined[at:]), all[r][:size]):]
			total += n
		}
		use(t, kernel.Mat(s.joined, total, widths[i]))
	}
	return nil
}

// part is the i-th process's part of rows q of something of task t.
func (s *Share) part(t, i int, q nn.Range) nn.Range {
	n, of := q.Hi-q.Lo, s.Of[t].Hi-s.Of[t].Lo
	return nn.Range{Lo: q.Lo + n*i/of, Hi: q.Lo + n*(i+1)/of}
}

// myPart is this process's part of rows q of something of task t.
func (s *Share) myPart(t int, q nn.Range) nn.Range {
	if !s.Mine(t) {
		return nn.Range{}
	}
	return s.part(t, s.Peers.Rank()-s.Of[t].Lo, q)
}

// parts says which process has which of the given number of rows, of which
// tasks[m][t] belong to task t; -1: of no task.
func (s *Share) parts(tasks [][]nn.Range, rows int) []int32 {
	owner := slices.Repeat([]int32{-1}, rows)
	for m := range tasks {
		for t, q := range tasks[m] {
			for i := range s.Of[t].Hi - s.Of[t].Lo {
				for p := s.part(t, i, q); p.Lo < p.Hi; p.Lo++ {
					owner[p.Lo] = int32(s.Of[t].Lo + i)
				}
			}
		}
	}
	return owner
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
		if !a.share.Divided() {
			return nil
		}
		return a.share.Rows(*out, a.share.parts(*a.tasks, in[0].Rows), nn.Range{Lo: a.lo, Hi: out.Cols})
	}),
}
