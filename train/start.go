package train

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"keyhole.example/keyhole/checkpoints"
	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/meta"
	"keyhole.example/keyhole/text"
	"keyhole.example/keyhole/train/optim"
)

// Start prepares a run in folder dir: a new one, or, with resume, the one that
// is there. r is the resolved config of cfg. Of several processes only process 0
// uses the folder.
func Start(cfg Config, r *configs.Resolved, dir string, resume bool, src Sources, obs Observer) (*Loop, error) {
	l := &Loop{resolved: r, dir: dir, observer: obs, team: src.Team, lastMetrics: map[string]float64{}}
	forget := func() {}
	var err error
	if l.leads() {
		forget, err = l.claim(resume)
	}
	if err = mpi.Agree(l.team, err); err == nil {
		err = l.prepare(cfg, src, resume)
	}
	if err != nil {
		// What stopped the run matters more than what cannot be closed.
		_ = l.Close()
		if l.store != nil {
			_ = os.Remove(l.store.Dir()) // a folder with something in it stays
		}
		forget()
		return nil, err
	}
	return l, nil
}

// claim makes the run folder and locks it; forget takes back what was made.
func (l *Loop) claim(resume bool) (forget func(), err error) {
	if !resume && holdsRun(l.dir) {
		return func() {}, fmt.Errorf("%s already holds a run; go on with it by `keyhole resume %s`, or choose another --out", l.dir, l.dir)
	}
	if forget, err = atomicfile.MakeDir(l.dir); err != nil {
		return func() {}, fmt.Errorf("run folder: %w", err)
	}
	l.lock, err = lock.Folder(l.dir)
	return forget, err
}

// prepare loads all that the run needs, and its last checkpoint.
func (l *Loop) prepare(cfg Config, src Sources, resume bool) error {
	if err := mpi.Agree(l.team, l.load(cfg, src)); err != nil {
		return err
	}
	if err := l.compareTeam(); err != nil {
		return err
	}
	var err error
	found := false
	if l.leads() {
		found, err = l.find(resume)
	}
	if err = mpi.Agree(l.team, err); err != nil {
		return err
	}
	if found, err = l.share(found); err != nil {
		return err
	}
	stays := func(tokens int) ([]text.Text, error) { return l.stays(src, tokens) }
	switch { // each process does it, as that costs no more than to send what comes of it
	case found:
	case l.Config.Train.Init != "":
		err = l.begin(stays)
	default:
		err = l.Learner().Prepare(stays)
	}
	if err == nil && l.leads() {
		err = l.openFiles()
	}
	return mpi.Agree(l.team, err)
}

// load makes all that the run needs but its checkpoint.
func (l *Loop) load(cfg Config, src Sources) error {
	var err error
	if l.Editor, err = NewEditor(cfg, src); err != nil {
		return err
	}
	switch {
	case l.SERAC != nil && !mpi.Alone(l.team):
		return fmt.Errorf("learner: %s trains in one process, and this job has %d; start it without mpirun", LearnSERAC, l.team.Size())
	case l.Config.Data.Hard > 0 && !mpi.Alone(l.team):
		return fmt.Errorf("data.hard trains in one process, and this job has %d; start it without mpirun", l.team.Size())
	case l.Config.Train.Turns > 0 && !mpi.Alone(l.team), l.Config.Train.Part > 0 && l.Config.Compat == "reference" && !mpi.Alone(l.team):
		return fmt.Errorf("train.turns, and train.part under compat: reference, train in one process, and this job has %d; start it without mpirun", l.team.Size())
	case l.Objective != nil && l.team != nil:
		l.Objective.Share.Peers = l.team
	}
	if l.train, l.val, err = loadData(l.Config, src); err != nil {
		return err
	}
	for _, set := range []*data.Set{l.train, l.val} {
		if set != nil && set.UnreadKeys() != "" && (set == l.train || l.Config.Data.Val != "") {
			l.Editor.Notes = append(l.Editor.Notes, set.Name+" "+set.UnreadKeys())
		}
	}
	if err := l.ask(); err != nil {
		return err
	}
	if err := l.checkMemory(); err != nil {
		return err
	}
	if n := l.Config.Hypernet.Update.Negatives; n > 0 {
		names := meta.Names(l.Config.Seed, l.train.Edits)
		if len(names) < 2 {
			return fmt.Errorf("hypernet.update.negatives is %d, but %s names %d subjects; it takes two and more", n, l.train.Name, len(names))
		}
		l.Editor.setOthers(names)
	}
	if l.Config.Train.Turns > 0 {
		if _, err := l.Model.Hash(); err != nil { // before a sequence changes the weights
			return err
		}
		l.turns = &turns{}
	}
	l.maker = l.Editor.maker(l.train.Edits)
	l.maker.Localities = max(l.maker.Localities, l.Config.Data.Hard)
	l.sampler = data.NewSampler(len(l.train.Edits), l.Config.Seed)
	l.optim, l.grads = optim.NewState(len(l.Learner().Values())), make([]float32, len(l.Learner().Values()))
	if l.val != nil {
		return l.makeValidation()
	}
	return nil
}

// find goes on from the folder's last checkpoint, if the run resumes and there is
// one: it may have been killed before the first.
func (l *Loop) find(resume bool) (found bool, err error) {
	if l.store, err = checkpoints.Open(filepath.Join(l.dir, "checkpoints")); err != nil || !resume {
		return false, err
	}
	c, err := l.store.Load("last")
	if errors.Is(err, checkpoints.ErrNone) {
		return false, nil
	}
	if err == nil {
		err = l.restore(c)
	}
	return err == nil, err
}

// openFiles writes the run's config and opens its logs.
func (l *Loop) openFiles() error {
	if !l.Done() {
		if err := l.writeConfig(); err != nil {
			return err
		}
	}
	var err error
	l.log, l.notes, err = openLogs(l.dir, l.state.Step)
	return err
}

// writeConfig keeps the run's config beside its results. A resumed run's file
// stays as it is, with the origins of its values, unless a value changed and
// there are steps left to which it matters.
func (l *Loop) writeConfig() error {
	path := filepath.Join(l.dir, "config.yaml")
	then := Default()
	if was, err := configs.Load(path, &then, configs.Options{Saved: true}); err == nil && was.Hash() == l.resolved.Hash() {
		return nil
	}
	return writeBytes(path, l.resolved.Bytes())
}

// makeValidation fixes the validation tasks: a seeded subset, each with a
// rephrasing and a locality text that depend on seed and record alone.
func (l *Loop) makeValidation() error {
	set := l.val.Sample(l.Config.Train.ValEdits, l.Config.Seed)
	maker := l.Editor.maker(set.Edits)
	for i := range set.Edits {
		t, err := maker.Task(set.Edits[i:i+1], 0)
		if err != nil {
			return err
		}
		l.valTasks = append(l.valTasks, t)
	}
	return nil
}

// Close gives locks and files back.
func (l *Loop) Close() error {
	var errs []error
	if l.log != nil {
		errs = append(errs, l.log.close())
	}
	if l.store != nil {
		errs = append(errs, l.store.Close())
	}
	if l.turns != nil {
		l.turns.back()
	}
	if l.Editor != nil {
		errs = append(errs, l.Editor.Close())
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Unlock())
	}
	return errors.Join(errs...)
}
