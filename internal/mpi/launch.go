package mpi

import (
	"fmt"
	"os"
	"strconv"
)

// Launch is what the environment says of the launcher of this process.
type Launch struct {
	By   string // the variable that tells
	Rank int    // of this process, as far as the environment tells
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
	rank, size string
	library    []string
}{
	{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", openMPI},
	{"PMI_RANK", "PMI_SIZE", mpich},                                        // mpirun of MPICH, srun --mpi=pmi2
	{"PMIX_RANK", "", append(append([]string(nil), openMPI...), mpich...)}, // srun --mpi=pmix, prterun
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
		rank, ok := env(x.rank)
		if !ok {
			continue
		}
		l = Launch{By: x.rank, Library: x.library}
		if l.Rank, err = strconv.Atoi(rank); err != nil || l.Rank < 0 {
			return l, false, fmt.Errorf("mpi: %s is %q, which is no number of a process; start the program by mpirun or srun", x.rank, rank)
		}
		if size, ok := env(x.size); ok {
			if l.Size, err = strconv.Atoi(size); err != nil || l.Size < 1 {
				return l, false, fmt.Errorf("mpi: %s is %q, which is no number of processes; start the program by mpirun or srun", x.size, size)
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
