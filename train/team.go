package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/nn/graph"
)

// leads reports whether this process is the one that writes.
func (l *Loop) leads() bool { return mpi.Leads(l.team) }

// compareTeam fails unless all processes have the same program, config, model and
// data.
func (l *Loop) compareTeam() error {
	if mpi.Alone(l.team) {
		return nil
	}
	things, err := l.identity()
	if err = mpi.Agree(l.team, err); err != nil {
		return err
	}
	return mpi.Same(l.team, things)
}

// identity is all that decides a run's bytes, with a name for each.
func (l *Loop) identity() ([][2]string, error) {
	program, err := mpi.Program()
	if err != nil {
		return nil, err
	}
	model, err := l.Model.Hash()
	if err != nil {
		return nil, err
	}
	out := [][2]string{{"program", program}, {"config", l.resolved.Hash("threads", "model.path", "data.train", "data.val")}, {"base model", model}}
	for _, x := range []struct {
		name string
		set  *data.Set
	}{{"training data", l.train}, {"validation data", l.val}} {
		if x.set == nil {
			continue
		}
		hash, err := x.set.Hash()
		if err != nil {
			return nil, err
		}
		out = append(out, [2]string{x.name, hash})
	}
	return out, nil
}

// restored is what process 0 found in the run folder.
type restored struct {
	Found   bool
	State   state
	Metrics map[string]float64
}

// share gives all processes what process 0 read of a checkpoint, if it found one.
func (l *Loop) share(found bool) (bool, error) {
	if mpi.Alone(l.team) {
		return found, nil
	}
	var mine []byte
	if l.leads() {
		var err error
		if mine, err = json.Marshal(restored{found, l.state, l.lastMetrics}); err != nil {
			return false, err
		}
	}
	all, err := l.team.Gather(mine)
	if err != nil {
		return false, err
	}
	var r restored
	if err := json.Unmarshal(all[0], &r); err != nil || !r.Found {
		return false, err
	}
	if !l.leads() {
		l.state = r.State
		l.Editor.setOthers(l.state.Others)
		l.savedAt, l.optim.Steps = l.state.Step, l.state.steps()
		maps.Copy(l.lastMetrics, r.Metrics)
		if err := l.sampler.Restore(l.state.Cursor); err != nil {
			return false, err
		}
	}
	for _, x := range [][]float32{l.Learner().Values(), l.optim.M, l.optim.V} {
		if err := l.team.Spread(graph.Bytes(x)); err != nil {
			return false, err
		}
	}
	return true, l.Learner().Remembered(func(k hypernet.Kept) error {
		var rows [8]byte
		binary.LittleEndian.PutUint64(rows[:], uint64(*k.Rows))
		if err := l.team.Spread(rows[:]); err != nil {
			return err
		}
		*k.Rows = int64(binary.LittleEndian.Uint64(rows[:]))
		for _, t := range k.Tensors {
			if err := errors.Join(l.team.Spread(graph.Bytes(t.F32)), l.team.Spread(graph.Bytes(t.F64))); err != nil {
				return err
			}
		}
		if k.Changed != nil {
			k.Changed()
		}
		return nil
	})
}

// compareValues fails unless all processes have come to the same bytes, which
// only a fault of a machine or of this program can prevent.
func (l *Loop) compareValues() error {
	if mpi.Alone(l.team) {
		return nil
	}
	sum := sha256.Sum256(graph.Bytes(l.Learner().Values()))
	return mpi.Same(l.team, [][2]string{{fmt.Sprintf("result of step %d (nothing is saved of it; look at that machine)", l.state.Step), hex.EncodeToString(sum[:])}})
}
