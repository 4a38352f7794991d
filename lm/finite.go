package lm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"

	"keyhole.example/keyhole/internal/mmap"
	"keyhole.example/keyhole/lm/tensorfile"
)

// ErrNotFinite is wrapped by the error for a weight that is NaN or infinite.
var ErrNotFinite = errors.New("not a finite number")

// CheckFinite fails if a tensor has a NaN or an infinity, naming the first
// such tensor. F32, F16 and BF16 are checked in their stored form; of
// quantised tensors only the scales are read, for the rest can't be anything
// but finite. Nothing is decoded into memory.
func CheckFinite(tensors []*tensorfile.Tensor) error {
	faults := make([]error, len(tensors))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(runtime.NumCPU(), len(tensors)) {
		wg.Go(func() {
			for i := range next {
				faults[i] = checkMapped(tensors[i])
			}
		})
	}
	for i := range tensors {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, err := range faults {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkMapped is checkFinite, and an error for a file that is cut short
// meanwhile.
func checkMapped(t *tensorfile.Tensor) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if err = mmap.Fault(r); err == nil {
				panic(r)
			}
		}
	}()
	return checkFinite(t)
}

func checkFinite(t *tensorfile.Tensor) error {
	suspect := true // of types without a quick test
	switch t.DType {
	case tensorfile.F32:
		suspect = hasExponent(t.Raw, 0x7f800000_7f800000, 0x00800000_00800000)
	case tensorfile.F16:
		suspect = hasExponent(t.Raw, 0x7c007c007c007c00, 0x0400040004000400)
	case tensorfile.BF16:
		suspect = hasExponent(t.Raw, 0x7f807f807f807f80, 0x0080008000800080)
	default:
		if offsets := scaleOffsets(t.DType); offsets != nil {
			suspect = badScale(t, offsets)
		}
	}
	if !suspect {
		return nil
	}
	at, found, err := t.FirstNonFinite()
	if err != nil || !found {
		return err
	}
	return fmt.Errorf("tensor %s: element %d is %w; the file is damaged or the training diverged", t.Name, at, ErrNotFinite)
}

// hasExponent says whether a number in raw may have an exponent of all ones,
// which NaN and infinity have. Words of 8 bytes hold 2 or 4 numbers: mask keeps
// their exponents, and adding one to each carries into the sign bit if all of
// its bits are set.
func hasExponent(raw []byte, mask, one uint64) bool {
	sign := (mask + one) &^ mask
	for len(raw) >= 8 {
		if (binary.LittleEndian.Uint64(raw)&mask+one)&sign != 0 {
			return true
		}
		raw = raw[8:]
	}
	return len(raw) > 0 // a rest shorter than a word is looked at slowly
}

// scaleOffsets are the places of the half-precision numbers in a block, by
// ggml-common.h.
func scaleOffsets(d tensorfile.DType) []int {
	switch d {
	case tensorfile.Q8_0, tensorfile.Q4_0, tensorfile.Q5_0, tensorfile.IQ4_NL, tensorfile.IQ4_XS:
		return []int{0}
	case tensorfile.Q4_1, tensorfile.Q5_1, tensorfile.Q4_K, tensorfile.Q5_K:
		return []int{0, 2}
	case tensorfile.Q2_K:
		return []int{80, 82}
	case tensorfile.Q3_K:
		return []int{108}
	case tensorfile.Q6_K:
		return []int{208}
	case tensorfile.TQ1_0:
		return []int{52}
	case tensorfile.TQ2_0:
		return []int{64}
	}
	return nil
}

func badScale(t *tensorfile.Tensor, offsets []int) bool {
	_, size := t.DType.Block()
	for _, offset := range offsets {
		for at := offset; at+2 <= len(t.Raw); at += size {
			const exponent = 0x7c00
			if binary.LittleEndian.Uint16(t.Raw[at:])&exponent == exponent {
				return true
			}
		}
	}
	return false
}
