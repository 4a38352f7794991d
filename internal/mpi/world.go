//go:build (linux || darwin) && (amd64 || arm64) && !static

package mpi

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"time"
)

// World is the processes of a job. It is for one goroutine at a time.
type World struct {
	rank, size int
	host       string
	lib        *library
	launch     Launch
	all        []byte // what was gathered last
	parts      [][]byte
	traffic    Traffic
}

// Join makes this process take part in the job that it was launched in.
func Join(l Launch) (*World, error) {
	back, err := keepHandlers()
	if err != nil {
		return nil, fmt.Errorf("mpi: %w", err)
	}
	defer back()
	lib, err := openLibrary(l.Library)
	if err != nil {
		return nil, fmt.Errorf("mpi: %s says that a launcher started this process, but %w", l.By, err)
	}
	w := &World{lib: lib, launch: l}
	var provided, rank, size int32
	if code := lib.initThread(0, 0, lib.serialized, &provided); code != 0 {
		return nil, w.failure("MPI_Init_thread", code)
	}
	if provided < lib.serialized {
		return nil, fmt.Errorf("mpi: %s cannot be called from several threads, one at a time (MPI_THREAD_SERIALIZED); use a library that can", lib.path)
	}
	for _, x := range []struct {
		name string
		code int32
	}{
		{"MPI_Comm_rank", lib.commRank(lib.world, &rank)}, {"MPI_Comm_size", lib.commSize(lib.world, &size)},
		{"MPI_Comm_set_errhandler", lib.setErrhandler(lib.world, lib.errorsReturn)},
	} {
		if x.code != 0 {
			return nil, w.failure(x.name, x.code)
		}
	}
	w.rank, w.size, w.host = int(rank), int(size), textOf(lib.processor)
	if l.Size != 0 && l.Size != w.size {
		return nil, fmt.Errorf("mpi: the launcher started %d processes (by %s), but %s, %s, knows of %d: it belongs to another MPI; name the launcher's library in %s",
			l.Size, l.By, lib.path, lib.name, w.size, LibraryVariable)
	}
	return w, nil
}

// Rank is the number of this process, from 0.
func (w *World) Rank() int { return w.rank }

// Size is the number of processes.
func (w *World) Size() int { return w.size }

// Host is the machine of this process.
func (w *World) Host() string { return w.host }

// Library names the library and its ABI.
func (w *World) Library() string { return fmt.Sprintf("%s (%s)", w.lib.path, w.lib.name) }

// Traffic is what this process has exchanged so far.
func (w *World) Traffic() Traffic { return w.traffic }

// most bounds the bytes of one call, whose counts are 32-bit numbers.
const most = 1 << 30

// Gather gives every process what each of them gave, by rank. All must call it.
// The result is valid until the next call.
func (w *World) Gather(mine []byte) ([][]byte, error) {
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(mine)))
	lengths := make([]byte, 8*w.size)
	err := w.wait("MPI_Iallgather", func(request *uintptr) int32 {
		return w.lib.allgather(&length[0], 8, w.lib.bytes, &lengths[0], 8, w.lib.bytes, w.lib.world, request)
	})
	if err != nil {
		return nil, err
	}
	sizes, starts, total := make([]int, w.size), make([]int, w.size), 0
	longest := 0
	for r := range sizes {
		sizes[r], starts[r] = int(binary.LittleEndian.Uint64(lengths[8*r:])), total
		total += sizes[r]
		longest = max(longest, sizes[r])
	}
	w.traffic.Calls++
	w.traffic.Sent += int64(len(mine))
	w.traffic.Received += int64(total - len(mine))
	if cap(w.all) < total+1 {
		w.all = make([]byte, total+1) // one more, so that there is always an address
	}
	w.all = w.all[:total+1]
	w.parts = w.parts[:0]
	for r := range sizes {
		w.parts = append(w.parts, w.all[starts[r]:starts[r]+sizes[r]])
	}
	if each := most / w.size; longest > each {
		return w.parts, w.gatherPieces(mine, sizes, each)
	}
	return w.parts, w.gatherOnce(mine, w.all, sizes)
}

func (w *World) gatherOnce(mine, all []byte, sizes []int) error {
	counts, places := make([]int32, w.size), make([]int32, w.size)
	at := 0
	for r, n := range sizes {
		counts[r], places[r] = int32(n), int32(at)
		at += n
	}
	var none byte
	send := &none
	if len(mine) > 0 {
		send = &mine[0]
	}
	return w.wait("MPI_Iallgatherv", func(request *uintptr) int32 {
		return w.lib.allgatherv(send, int32(len(mine)), w.lib.bytes, &all[0], &counts[0], &places[0], w.lib.bytes, w.lib.world, request)
	})
}

// gatherPieces is gatherOnce of what is too long for one call, at most each bytes
// of a process at a time.
func (w *World) gatherPieces(mine []byte, sizes []int, each int) error {
	left, now := sizes, make([]int, w.size)
	buf := make([]byte, w.size*each+1)
	for done := 0; ; done += each {
		any := false
		for r, n := range left {
			now[r] = min(max(n-done, 0), each)
			any = any || now[r] > 0
		}
		if !any {
			return nil
		}
		piece := mine[min(done, len(mine)):min(done+each, len(mine))]
		if err := w.gatherOnce(piece, buf, now); err != nil {
			return err
		}
		at := 0
		for r, n := range now {
			copy(w.parts[r][min(done, sizes[r]):], buf[at:at+n])
			at += n
		}
	}
}

// Spread makes data of all processes that of rank 0; its length is the same in all.
func (w *World) Spread(data []byte) error {
	for len(data) > 0 {
		n := min(len(data), most)
		err := w.wait("MPI_Ibcast", func(request *uintptr) int32 {
			return w.lib.bcast(&data[0], int32(n), w.lib.bytes, 0, w.lib.world, request)
		})
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// How a call is waited for: eagerly at first, then with naps that grow. A process
// that waits in the library keeps its core busy, which others may need.
const (
	eager   = 200 * time.Microsecond
	longNap = time.Millisecond
)

// wait begins a call and returns when it is done. The memory that the call uses
// is kept by begin.
func (w *World) wait(call string, begin func(request *uintptr) int32) error {
	var request uintptr
	if code := begin(&request); code != 0 {
		return w.failure(call, code)
	}
	start, nap := time.Now(), 20*time.Microsecond
	defer func() { w.traffic.Time += time.Since(start) }()
	for {
		var done int32
		if code := w.lib.test(&request, &done, w.lib.noStatus); code != 0 {
			return w.failure(call, code)
		}
		if done != 0 {
			runtime.KeepAlive(begin)
			return nil
		}
		if time.Since(start) > eager {
			time.Sleep(nap)
			nap = min(nap*2, longNap)
		}
	}
}

// Leave ends the taking part and this process; all processes must call it. It
// returns only with an error. The process ends by C's exit: MPICH takes leave of
// its launcher there, and one that did not is taken for dead.
func (w *World) Leave(status int) error {
	if code := w.lib.finalize(); code != 0 {
		return w.failure("MPI_Finalize", code)
	}
	w.lib.exit(int32(status))
	return nil
}

// Abort ends all processes of the job, this one with the given exit status, once the
// launcher has read what this one said: a launcher drops what it has not read by then.
func (w *World) Abort(status int) {
	const patience = 2 * time.Second
	for start := time.Now(); unread(os.Stdout)+unread(os.Stderr) > 0 && time.Since(start) < patience; {
		time.Sleep(longNap)
	}
	w.lib.abort(w.lib.world, int32(status))
}

// failure is the error of a call, in the library's words.
func (w *World) failure(call string, code int32) error {
	text := textOf(func(p *byte, n *int32) int32 { return w.lib.errorString(code, p, n) })
	return fmt.Errorf("mpi: %s failed with %d: %s", call, code, text)
}
