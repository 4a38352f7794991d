// Package mpi lets processes that a launcher such as mpirun or srun started work
// together, by the MPI library that is installed on the machine. The library is
// opened at run time, without cgo, and only under a launcher.
//
// Read launch.go (who started this process), library.go (finding a library and
// telling its ABI), world.go (what it is asked to do), team.go (what processes
// agree on). mpitest stands in for them within one process.
package mpi
