// Package torchfile reads weights that torch.save wrote: pytorch_model.bin, or
// shards with an index. Such a file is a zip with a pickle, a program that
// builds objects; here it is run by a machine that knows dictionaries, numbers
// and tensors only, so that no code of the file is ever run.
//
// The central type is File, a tensorfile.File. Read file.go (the zip, shards),
// unpickle.go (the machine), then tensor.go (what it may build).
//
// Source: Python's pickletools and torch/serialization.py.
//
// Promises: a file that asks for anything else than tensors is refused by name;
// no claimed size is believed before it is compared with the bytes that are
// there; no input makes it panic or hang. Tensors are views into the mapped
// file unless their elements lie in another order.
package torchfile
