package stats

import (
	"encoding/json"
	"errors"
	"fmt"
	"unsafe"

	"keyhole.example/keyhole/internal/gram"
	"keyhole.example/keyhole/internal/mpi"
)

// processes is how many share the pass.
func (p *pass) processes() int {
	if mpi.Alone(p.opts.Team) {
		return 1
	}
	return p.opts.Team.Size()
}

// compareTeam fails unless all processes go over the same.
func (p *pass) compareTeam() error {
	if mpi.Alone(p.opts.Team) {
		return nil
	}
	program, err := mpi.Program()
	if err = mpi.Agree(p.opts.Team, err); err != nil {
		return err
	}
	var sites []string
	for _, m := range p.moments {
		sites = append(sites, m.Site)
	}
	m := p.moments[0]
	return mpi.Same(p.opts.Team, [][2]string{
		{"program", program}, {"base model", m.Model}, {"corpus", m.Corpus},
		{"setting", fmt.Sprint(m.Seed, m.Budget, m.Context, p.cfg.Batch, p.opts.Dir == "", sites)},
	})
}

// begun is how far process 0 found the pass to be.
type begun struct {
	Done          bool
	Tokens, Texts int
}

// begin loads what Dir has. Of a team process 0 alone does, and gives the others
// the sums.
func (p *pass) begin() (done bool, err error) {
	if p.opts.Dir != "" && mpi.Leads(p.opts.Team) {
		done, err = p.load()
	}
	if mpi.Alone(p.opts.Team) {
		return done, err
	}
	if err := mpi.Agree(p.opts.Team, err); err != nil {
		return false, err
	}
	first := p.moments[0]
	mine, err := json.Marshal(begun{done, first.Tokens, first.Texts})
	if err != nil {
		return false, err
	}
	all, err := p.opts.Team.Gather(mine)
	if err != nil {
		return false, err
	}
	var b begun
	if err := json.Unmarshal(all[0], &b); err != nil || b.Done {
		return true, err
	}
	for _, m := range p.moments {
		if m.Tokens, m.Texts = b.Tokens, b.Texts; b.Tokens == 0 {
			continue
		}
		if err := p.opts.Team.Spread(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(m.Sum))), 8*len(m.Sum))); err != nil {
			return false, errors.Join(errors.New("sums so far"), err)
		}
	}
	return false, nil
}

// sums are those of the moments.
func (p *pass) sums() []*gram.Sum {
	var list []*gram.Sum
	for _, m := range p.moments {
		list = append(list, m.sums())
	}
	return list
}

// complete makes the sums of all processes whole.
func (p *pass) complete() error {
	if mpi.Alone(p.opts.Team) {
		return nil
	}
	return gram.Complete(p.opts.Team, p.sums())
}
