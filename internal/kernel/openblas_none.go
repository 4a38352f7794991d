//go:build !((linux || darwin) && (amd64 || arm64))

package kernel

import "errors"

type openblas struct{}

func openOpenBLAS(int) (*openblas, error) {
	return nil, errors.New("libraries are not loaded on this system; use backend \"auto\"")
}

func (*openblas) gemm(Matrix, Product, int, int, int) {}
