package mpi

import (
	"strings"
	"testing"
)

func TestLaunched(t *testing.T) {
	for _, c := range []struct {
		env  string
		by   string
		size int
		err  string
	}{
		{env: ""},
		{env: "OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=1 PMIX_RANK=1", by: "OMPI_COMM_WORLD_RANK", size: 4},
		{env: "PMI_SIZE=2 PMI_RANK=0", by: "PMI_RANK", size: 2},
		{env: "PMIX_RANK=0 SLURM_STEP_NUM_TASKS=2", by: "PMIX_RANK"},
		{env: "SLURM_PROCID=0 SLURM_NTASKS=4"}, // a job script itself
		{env: "SLURM_STEP_NUM_TASKS=4", err: "--mpi=pmix"},
		{env: "SLURM_STEP_NUM_TASKS=1"},
		{env: "OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=many", err: "OMPI_COMM_WORLD_SIZE is \"many\""},
	} {
		l, ok, err := launched(func(name string) (string, bool) {
			for _, x := range strings.Fields(c.env) {
				if k, v, _ := strings.Cut(x, "="); k == name {
					return v, true
				}
			}
			return "", false
		})
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %s", c.env, err, c.err)
			}
			continue
		}
		if err != nil || ok != (c.by != "") || ok && (l.By != c.by || l.Size != c.size) {
			t.Errorf("%s: %+v %v %v", c.env, l, ok, err)
		}
	}
}
