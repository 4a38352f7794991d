//go:build (linux || darwin) && (amd64 || arm64) && !static

package mpi

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ebitengine/purego"
)

// constants are what a program is compiled with for an ABI. Handles are
// addresses in Open MPI and numbers in the others; all fit a word.
type constants struct {
	name         string
	world        uintptr // MPI_COMM_WORLD
	bytes        uintptr // MPI_BYTE
	errorsReturn uintptr // MPI_ERRORS_RETURN
	noStatus     uintptr // MPI_STATUS_IGNORE
	serialized   int32   // MPI_THREAD_SERIALIZED
}

// The ABIs that are made of numbers: MPICH's, which Intel MPI, MVAPICH and Cray
// MPICH share (www.mpich.org/abi), and that of MPI 5.0, chapter 20.
var (
	mpichABI = constants{"MPICH", 0x44000000, 0x4c00010d, 0x54000001, 1, 2}
	mpi5ABI  = constants{"MPI 5", 0x101, 0x247, 0x143, 0, 2048}
)

// library is an MPI library. Every function returns 0 or an error code.
type library struct {
	constants
	path string

	initThread    func(argc, argv uintptr, required int32, provided *int32) int32
	finalize      func() int32
	commRank      func(comm uintptr, rank *int32) int32
	commSize      func(comm uintptr, size *int32) int32
	setErrhandler func(comm, handler uintptr) int32
	processor     func(name *byte, length *int32) int32
	errorString   func(code int32, text *byte, length *int32) int32
	allgather     func(send *byte, n int32, sendType uintptr, recv *byte, each int32, recvType, comm uintptr, request *uintptr) int32
	allgatherv    func(send *byte, n int32, sendType uintptr, recv *byte, counts, places *int32, recvType, comm uintptr, request *uintptr) int32
	bcast         func(data *byte, n int32, of uintptr, root int32, comm uintptr, request *uintptr) int32
	test          func(request *uintptr, done *int32, status uintptr) int32
	abort         func(comm uintptr, code int32) int32
	exit          func(status int32) // C's
}

// openLibrary opens the first of the names that is there.
func openLibrary(names []string) (*library, error) {
	var errs []error
	for _, name := range names {
		// Open MPI's parts, which it loads itself, look for its symbols among all.
		handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		l, err := bind(handle, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return l, nil
	}
	return nil, fmt.Errorf("no library found; load the module of the MPI whose launcher you use, or name its file in %s: %w", LibraryVariable, errors.Join(errs...))
}

func bind(handle uintptr, name string) (*library, error) {
	l := &library{path: name}
	for symbol, fn := range map[string]any{
		"MPI_Init_thread": &l.initThread, "MPI_Finalize": &l.finalize, "MPI_Comm_rank": &l.commRank, "MPI_Comm_size": &l.commSize,
		"MPI_Comm_set_errhandler": &l.setErrhandler, "MPI_Get_processor_name": &l.processor, "MPI_Error_string": &l.errorString,
		"MPI_Iallgather": &l.allgather, "MPI_Iallgatherv": &l.allgatherv, "MPI_Ibcast": &l.bcast, "MPI_Test": &l.test, "MPI_Abort": &l.abort, "exit": &l.exit,
	} {
		at, err := purego.Dlsym(handle, symbol)
		if err != nil {
			return nil, err
		}
		purego.RegisterFunc(fn, at)
	}
	var err error
	l.constants, err = abiOf(handle, name)
	return l, err
}

// abiOf tells which constants a library was compiled with. MPI 5's own is known
// by the name that the standard gives the library, Open MPI's by the symbols whose
// addresses are its handles.
func abiOf(handle uintptr, name string) (constants, error) {
	if strings.HasPrefix(filepath.Base(name), "libmpi_abi.") {
		return mpi5ABI, nil
	}
	c := constants{name: "Open MPI", serialized: 2}
	for symbol, to := range map[string]*uintptr{"ompi_mpi_comm_world": &c.world, "ompi_mpi_byte": &c.bytes, "ompi_mpi_errors_return": &c.errorsReturn} {
		at, err := purego.Dlsym(handle, symbol)
		if err != nil {
			return mpichABI, knownMPICH(handle)
		}
		*to = at
	}
	return c, nil
}

// knownMPICH fails for a library that does not say that it has MPICH's ABI.
func knownMPICH(handle uintptr) error {
	at, err := purego.Dlsym(handle, "MPI_Get_library_version")
	if err != nil {
		return err
	}
	var version func(text *byte, length *int32) int32
	purego.RegisterFunc(&version, at)
	text := textOf(func(p *byte, n *int32) int32 { return version(p, n) })
	for _, kin := range []string{"MPICH", "Intel(R) MPI", "MVAPICH", "CRAY MPICH"} {
		if strings.Contains(text, kin) {
			return nil
		}
	}
	return fmt.Errorf("its ABI is not known (it says %q): Open MPI, MPICH and its kin, and libmpi_abi.so.1 of MPI 5 are", text)
}

// keepHandlers notes what the program does at each signal and returns what puts
// that back: libraries, some as soon as they are loaded, catch faults, which Go
// makes panics of.
func keepHandlers() (back func(), err error) {
	at, err := purego.Dlsym(purego.RTLD_DEFAULT, "sigaction")
	if err != nil {
		return nil, err
	}
	var sigaction func(signal int32, act, old *[256]byte) int32
	purego.RegisterFunc(&sigaction, at)
	const signals = 32
	var old [signals][256]byte // struct sigaction is smaller everywhere
	var known [signals]bool
	for s := 1; s < signals; s++ {
		known[s] = sigaction(int32(s), nil, &old[s]) == 0
	}
	return func() {
		for s := 1; s < signals; s++ {
			if known[s] {
				sigaction(int32(s), &old[s], nil) // fails for SIGKILL and SIGSTOP, which nobody catches
			}
		}
	}, nil
}

// textOf calls a function that writes a text; "" if that fails.
func textOf(fn func(text *byte, length *int32) int32) string {
	buf := make([]byte, 8192) // MPI_MAX_LIBRARY_VERSION_STRING, the longest of all
	var n int32
	if fn(&buf[0], &n) != 0 || n < 0 || int(n) > len(buf) {
		return ""
	}
	return strings.TrimRight(string(buf[:n]), "\x00\n")
}
