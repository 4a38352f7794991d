package workbench

import (
	"context"
	"path/filepath"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit/family"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/trace"
	"keyhole.example/keyhole/trace/survey"
)

// Trace makes a survey in the bench's model, over the facts of the survey's file if it
// has one. The block that these suggest becomes a family's settings in the file defaults,
// which must not be there; "": in none.
func (b *Bench) Trace(ctx context.Context, s *survey.Survey, cfg trace.Config, defaults string) (*survey.Found, error) {
	writes := defaults != "" && mpi.Leads(s.Team)
	if writes {
		if err := family.Free(defaults); err != nil {
			return nil, err
		}
	}
	if s.File != "" {
		var err error
		if s.Facts, err = data.LoadFacts(s.File, data.Options{}); err != nil {
			return nil, err
		}
	}
	out, err := s.Run(ctx, b.Model, b.Engine, cfg)
	if err != nil || !writes {
		return out, err
	}
	best := out.Best()
	out.Files = append(out.Files, defaults)
	return out, family.Write(defaults, b.Model, best.Suggested, best.Origin(filepath.Base(s.File)), nil)
}
