package kernel

// arch is a set of instructions that the product is written for. All give the
// same bytes.
type arch uint8

const (
	archGo arch = iota
	archAVX2
	archAVX512
)

// tileShape is the shape of a tile of C and of the packed panels.
type tileShape struct {
	mr int // rows of a tile
	nr int // columns of a tile, and of a packed panel of B
	aw int // columns of a packed group of A, at least mr
}

func (a arch) shape() tileShape {
	switch a {
	case archAVX512:
		return tileShape{mr: 14, nr: 32, aw: 16}
	case archAVX2:
		return tileShape{mr: 6, nr: 16, aw: 8}
	}
	return tileShape{mr: goLanes, nr: 2 * goLanes, aw: goLanes}
}

func (a arch) String() string { return [...]string{"go", "avx2", "avx512"}[a] }

func archNamed(name string) (arch, bool) {
	for _, a := range []arch{archGo, archAVX2, archAVX512} {
		if a.String() == name {
			return a, true
		}
	}
	return 0, false
}

// bestArch is the fastest set of instructions that this machine has.
func bestArch() arch {
	for _, a := range []arch{archAVX512, archAVX2} {
		if a.available() {
			return a
		}
	}
	return archGo
}
