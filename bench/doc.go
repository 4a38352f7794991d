// Package bench measures Keyhole: kernels against the machine's roofline,
// meta-training and evaluation end to end, side by side with the PyTorch
// yardstick, and how both scale.
//
// Read workload.go (what is measured, and our side of it), peer.go (the other
// side), compare.go (both interleaved), evaluate.go, start.go (memory before a
// first edit), micro.go, scaling.go.
//
// Every workload runs in a process of its own, so that peak memory is that of
// the workload; both sides take turns, and what is reported are minimum,
// median and maximum over the rounds. Times are only ever compared within one
// run.
package bench
