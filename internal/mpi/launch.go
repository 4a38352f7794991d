package mpi

import (
	"fmt"
	"os"
	"strconv"
)

// Launch is what the environment says of the launcher of this process.
type Launch struct {
	By   string // the variable that tells
	Size int    // processes of the job; 0: the library tells
	// Library are the names of the library that this launcher starts programs
	// of, the likeliest first.
	Library []string
}

// LibraryVariable names the environment variable that names the library's file.
const LibraryVariable = "KEYHOLE_MPI"

// launchers are the variables that launchers set, the most telling first. A job
// script of Slurm has variables of its own without being started by srun; those
// of the process manager are what tells.
var launchers = []struct {
	size, any string // the number of processes; or a variable that is just there
	library   []string
}{
	{size: "OMPI_COMM_WORLD_SIZE", library: openMPI},
	{size: "PMI_SIZE", library: mpich},
	{any: "PMIX_RANK", library: append(append([]string(nil), openMPI...), mpich...)}, // srun --mpi=pmix, prterun
	{any: "PMI_RANK", library: mpich},                                                // srun --mpi=pmi2
}

// The usual names of the libraries; the system's loader looks for them.
var (
	openMPI = []string{"libmpi.so.40", "libmpi.40.dylib", "/opt/homebrew/lib/libmpi.40.dylib"}
	mpich   = []string{"libmpich.so.12", "libmpi.so.12", "libmpi_abi.so.1", "libmpi.12.dylib", "/opt/homebrew/lib/libmpi.12.dylib"}
)

// Launched tells whether a launcher started this process. Processes of a job
// whose launcher does not say where the others are, are an error.
func Launched() (l Launch, ok bool, err error) { return launched(os.LookupEnv) }

func launched(env func(string) (string, bool)) (l Launch, ok bool, err error) {
	for _, x := range launchers {
		l = Launch{By: x.size + x.any, Library: x.library}
		value, ok := env(l.By)
		if !ok {
			continue
		}
		if x.size != "" {
			if l.Size, err = strconv.Atoi(value); err != nil || l.Size < 1 {
				return l, false, fmt.Errorf("mpi: %s is %q, which is no number of processes; start the program by mpirun or srun", x.size, value)
			}
		}
		if path, ok := env(LibraryVariable); ok && path != "" {
			l.Library = []string{path}
		}
		return l, true, nil
	}
	if n, _ := env("SLURM_STEP_NUM_TASKS"); n != "" && n != "1" {
		return l, false, fmt.Errorf("mpi: srun started %s tasks that do not know of each other; use srun --mpi=pmix or --mpi=pmi2 (srun --mpi=list names what there is), or start one task", n)
	}
	return l, false, nil
}
