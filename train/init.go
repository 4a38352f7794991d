package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"keyhole.example/keyhole/checkpoints"
	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/text"
)

// origin says which checkpoint's editor a run started from.
type origin struct {
	Path      string `json:"path"`              // as train.init named it
	Step      int    `json:"step"`              // optimiser steps of that run
	Moments   int    `json:"moments,omitempty"` // steps that its optimiser's moments are of, where they are kept
	SHA256    string `json:"sha256"`
	Optimiser string `json:"optimiser"` // fresh or keep
}

// begin makes the editor of train.init the run's own, before its first step.
func (l *Loop) begin(stays func(tokens int) ([]text.Text, error)) error {
	c, err := findCheckpoint(l.Config.Train.Init)
	if err != nil {
		return fmt.Errorf("train.init: %w", err)
	}
	then, err := l.checkEditor(c)
	if err != nil {
		return fmt.Errorf("train.init: %w", err)
	}
	if err := checkModel(c, l.Editor); err != nil {
		return fmt.Errorf("train.init: %w", err)
	}
	st, err := stateOf(c)
	if err != nil {
		return fmt.Errorf("train.init: %w", err)
	}
	var others []string // those of this run's data
	if l.Objective != nil {
		others = l.Objective.Others.Names
	}
	if err := l.Editor.load(c, &st); err != nil {
		return fmt.Errorf("train.init: %w", err)
	}
	l.Editor.setOthers(others)
	if l.Objective != nil && l.Config.Data.General != then.Data.General { // what has to stay is another text
		if err := l.Objective.Retake(stays); err != nil {
			return fmt.Errorf("train.init: %w", err)
		}
	}
	l.state.Init = &origin{Path: l.Config.Train.Init, Step: st.Step, Optimiser: l.Config.Train.InitOptimizer}
	for _, f := range c.Files {
		if f.Name == fileParams {
			l.state.Init.SHA256 = f.SHA256
		}
	}
	if l.state.Init.Optimiser != keepOptimiser {
		return nil
	}
	if err := l.loadOptimiser(c); err != nil {
		return fmt.Errorf("train.init: %w", err)
	}
	l.state.Init.Moments = st.steps()
	l.optim.Steps = l.state.steps()
	return nil
}

// steps are those that the optimiser's moments are of: also those of the
// checkpoint that a run started from, where it kept them.
func (s *state) steps() int {
	if s.Init == nil || s.Init.Optimiser != keepOptimiser {
		return s.Step
	}
	return s.Step + s.Init.Moments
}

// costs are the config keys that say what a change costs beside what it is to reach:
// an editor's parameters have the same shape and meaning with other ones.
var costs = []string{"hypernet.update.shrink", "hypernet.update.reach", "hypernet.update.ridge"}

// makesEditor tells the config keys that decide what the parameters of a learner's
// editor are; those of the other learner do not.
func makesEditor(key, learner string) bool {
	if slices.Contains(costs, key) {
		return false
	}
	own := "hypernet."
	if learner == LearnSERAC {
		own = "serac."
	}
	return strings.HasPrefix(key, own) || slices.Contains([]string{"compat", "learner", "model.sites", "model.blocks"}, key)
}

// checkEditor refuses a checkpoint whose editor is not of the run's own kind, and
// returns the config that it was trained by.
func (l *Loop) checkEditor(c *checkpoints.Checkpoint) (then Config, err error) {
	resolved, err := savedConfig(c, &then)
	if err != nil {
		return then, err
	}
	var differ []string
	for _, d := range configs.Diff(l.resolved, resolved) {
		learned := d.Key == "hypernet.update.ridge" && then.Hypernet.Update.LearnRidge
		if learned || makesEditor(d.Key, l.Config.Learner) {
			differ = append(differ, "\n  "+d.String())
		}
	}
	if len(differ) > 0 {
		return then, errors.New(c.Dir + " holds another kind of editor:" + strings.Join(differ, "") + "\ngive the run the values of that editor, or leave out train.init")
	}
	return then, nil
}
