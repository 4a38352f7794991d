package stats

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"keyhole.example/keyhole/internal/gram"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
)

// Config says how much of a text to go over.
type Config struct {
	Tokens  int    `yaml:"tokens" doc:"tokens to go over, each of which is one vector; 0: ten times the layer's input width, at least 100000"`
	Seed    uint64 `yaml:"seed" doc:"seed of the sample of lines"`
	Context int    `yaml:"context" doc:"tokens at which a line is cut; 0: the model's context, at most 1024"`
	Batch   int    `yaml:"batch" doc:"tokens computed at once"`
}

// Default is the recommended amount.
func Default() Config { return Config{Seed: 1, Batch: 1024} }

// Validate checks every field.
func (c *Config) Validate() error {
	switch {
	case c.Tokens < 0:
		return fmt.Errorf("tokens: %d is negative; use 0 for the recommended number", c.Tokens)
	case c.Context < 0:
		return fmt.Errorf("context: %d is negative; use 0 for the model's", c.Context)
	case c.Batch < 1:
		return fmt.Errorf("batch: %d is not positive", c.Batch)
	}
	return nil
}

// Options are what Collect needs besides.
type Options struct {
	Dir       string                // folder for the files; "": keep in memory alone
	SaveEvery time.Duration         // how often to save what is done so far; 0: every two minutes
	Progress  func(done, total int) // if set, is called with tokens
	Clock     func() time.Time      // nil: time.Now
	Team      mpi.Team              // processes that share the work; nil: this one is alone
}

// Collect takes the second moments of the inputs of sites in one pass over the
// corpus. What Dir has already is loaded, what it has in part is continued; a
// cancelled ctx saves what is done. Of a team process 0 alone reads and writes Dir
// and has the moments at the end. A corpus too small for an invertible matrix
// is an error that says how many tokens are needed.
func Collect(ctx context.Context, m *lm.Model, k *kernel.Engine, sites []lm.Site, corpus Corpus, c Config, o Options) ([]*Moment, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	if m.Tokenizer == nil {
		return nil, errors.New("statistics: the model has no tokenizer")
	}
	if len(sites) == 0 {
		return nil, errors.New("statistics: no layer is given")
	}
	seen, err := corpus.measure()
	if err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	defer m.AsBase()() // statistics are filed under the base model's hash
	p := &pass{m: m, o: eager.New(k), sites: sites, corpus: corpus, cfg: c, opts: o}
	if err := p.prepare(seen); err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	held, err := p.lock(ctx)
	if err == nil {
		err = p.compareTeam()
	}
	if err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	if err := errors.Join(p.run(ctx, seen), held()); err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	return p.moments, nil
}

// lock waits until no other process collects the same, whose files are then there.
func (p *pass) lock(ctx context.Context) (unlock func() error, err error) {
	if p.opts.Dir == "" || !mpi.Leads(p.opts.Team) {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(p.opts.Dir, 0o777); err != nil {
		return nil, err
	}
	l, err := lock.Wait(ctx, p.partialPath(), nil)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return func() error { return nil }, nil // what is there can still be read
	}
	if err != nil {
		return nil, err
	}
	return l.Unlock, nil
}

// pass is one pass over a corpus.
type pass struct {
	m       *lm.Model
	o       *eager.Ops
	sites   []lm.Site
	corpus  Corpus
	cfg     Config
	opts    Options
	moments []*Moment
	budget  int
	context int
}

// prepare fixes the budget and makes empty moments.
func (p *pass) prepare(seen measured) error {
	hash, err := p.m.Hash()
	if err != nil {
		return err
	}
	p.budget = p.cfg.Tokens
	for _, s := range p.sites {
		if p.cfg.Tokens == 0 {
			p.budget = max(p.budget, Enough(s.Linear.In))
		} else if p.budget < s.Linear.In {
			return fewTokens(s, p.budget)
		}
	}
	const longest = 1024
	p.context = p.cfg.Context
	if p.context == 0 {
		p.context = min(p.m.Limit(), longest)
	}
	if err := p.m.CheckLength(p.context); err != nil {
		return fmt.Errorf("context: %w", err)
	}
	for _, s := range p.sites {
		p.moments = append(p.moments, &Moment{
			Info: Info{Model: hash, Site: s.Name, Corpus: seen.hash, Seed: p.cfg.Seed, Budget: p.budget, Context: p.context, Width: s.Linear.In},
			Sum:  make([]float64, s.Linear.In*s.Linear.In),
		})
	}
	if p.opts.Clock == nil {
		p.opts.Clock = time.Now
	}
	if p.opts.SaveEvery == 0 {
		p.opts.SaveEvery = 2 * time.Minute
	}
	return nil
}

func fewTokens(s lm.Site, have int) error {
	return fmt.Errorf("%s: %d tokens cannot give an invertible matrix of width %d: at least %d are needed, better %d", s.Name, have, s.Linear.In, s.Linear.In, Enough(s.Linear.In))
}

// run goes over the texts behind those done already.
func (p *pass) run(ctx context.Context, seen measured) error {
	if done, err := p.begin(); done || err != nil {
		return err
	}
	first := p.moments[0]
	perByte := float64(len(p.m.Tokenizer.Encode(seen.head))) / float64(len(seen.head))
	share := float64(p.budget) / (perByte * float64(seen.bytes))
	skip, saved := first.Texts, p.opts.Clock()
	var batches [][][]int32 // those that are not gone over, the last of which may be unfinished
	var batch [][]int32
	rows, waiting := 0, 0 // tokens of the last batch, and of those before it
	for line, err := range p.corpus.sample(p.cfg.Seed, share) {
		if err != nil {
			return err
		}
		if skip > 0 {
			skip--
			continue
		}
		ids := p.m.Tokenizer.EncodeSpecial(line)
		ids = ids[:min(len(ids), p.context, p.budget-first.Tokens-waiting-rows)]
		batch, rows = append(batch, ids), rows+len(ids)
		full := first.Tokens+waiting+rows >= p.budget
		if rows < p.cfg.Batch && !full {
			continue
		}
		batches, waiting = append(batches, batch), waiting+rows
		batch, rows = nil, 0
		if len(batches) < p.processes() && !full {
			continue
		}
		if err := p.add(batches); err != nil {
			return err
		}
		batches, waiting = batches[:0], 0
		if p.opts.Progress != nil {
			p.opts.Progress(first.Tokens, p.budget)
		}
		if full {
			break
		}
		if err := p.interrupted(ctx, &saved); err != nil {
			return err
		}
	}
	if err := p.add(append(batches, batch)); err != nil {
		return err
	}
	for i, s := range p.sites {
		if n := p.moments[i].Tokens; n < s.Linear.In {
			return fmt.Errorf("corpus %s is too small: %w", p.corpus.Name, fewTokens(s, n))
		}
	}
	if err := p.complete(); err != nil || !mpi.Leads(p.opts.Team) {
		return err
	}
	return p.save()
}

// interrupted saves what is done if it is time to, or if ctx is done.
func (p *pass) interrupted(ctx context.Context, saved *time.Time) error {
	cause := ctx.Err()
	stop, err := mpi.Any(p.opts.Team, cause != nil)
	if err != nil {
		return err
	}
	if stop && cause == nil {
		cause = mpi.ErrStopped
	}
	if p.opts.Dir == "" {
		return cause
	}
	now := p.opts.Clock()
	due, err := mpi.Any(p.opts.Team, mpi.Leads(p.opts.Team) && now.Sub(*saved) >= p.opts.SaveEvery)
	if err != nil || !stop && !due {
		return err
	}
	*saved = now
	if err := p.complete(); err != nil {
		return errors.Join(cause, err)
	}
	if mpi.Leads(p.opts.Team) {
		if err := p.savePartial(); err != nil {
			return errors.Join(cause, err)
		}
	}
	return cause
}

// add goes over batches of texts and adds the inputs of all sites. Processes take
// a batch each.
func (p *pass) add(batches [][][]int32) error {
	if mpi.Alone(p.opts.Team) {
		for _, texts := range batches {
			err := p.inputs(texts, func(site int, x kernel.Matrix) { p.moments[site].Add(p.o.Engine(), x) })
			if err != nil {
				return err
			}
			p.count(texts, false)
		}
		return nil
	}
	for len(batches) > 0 {
		round := batches[:min(len(batches), p.processes())]
		batches = batches[len(round):]
		mine := make([]kernel.Matrix, len(p.sites))
		if r := p.opts.Team.Rank(); r < len(round) {
			if err := p.inputs(round[r], func(site int, x kernel.Matrix) { mine[site] = x.Clone() }); err != nil {
				return err
			}
		}
		if err := gram.AddAll(p.o.Engine(), p.opts.Team, p.sums(), mine); err != nil {
			return err
		}
		for _, texts := range round {
			p.count(texts, true)
		}
	}
	return nil
}

// count counts texts that were gone over, and their tokens if asked.
func (p *pass) count(texts [][]int32, tokens bool) {
	for _, m := range p.moments {
		for _, ids := range texts {
			if m.Texts++; tokens {
				m.Tokens += len(ids)
			}
		}
	}
}

// inputs runs texts as one batch and gives see the inputs of each site.
func (p *pass) inputs(texts [][]int32, see func(site int, x kernel.Matrix)) error {
	ids, s := text.Lay(texts...)
	if len(ids.V) == 0 {
		return nil
	}
	byLinear, last := map[*nn.Linear]int{}, 0
	for i, s := range p.sites {
		byLinear[s.Linear] = i
		last = max(last, s.Block)
	}
	p.o.Reset()
	p.o.OnLinear = func(l *nn.Linear, x, _ kernel.Matrix) {
		if i, ok := byLinear[l]; ok {
			see(i, x)
		}
	}
	lm.Blocks[kernel.Matrix](p.o, p.m, lm.Embed[kernel.Matrix](p.o, p.m, ids, s), 0, last+1, s, nil)
	p.o.OnLinear = nil
	return p.o.Err()
}
