//go:build !((linux || darwin) && (amd64 || arm64)) || static

package kernel

import "errors"

type openblas struct{}

func openOpenBLAS(int) (*openblas, error) {
	return nil, errors.New("this build loads no libraries (its system cannot, or it was built with -tags static); use backend \"auto\"")
}

func (*openblas) gemm(Matrix, Product, int, int, int) {}
