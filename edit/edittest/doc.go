// Package edittest is the suite that every editor passes, and a tiny model to
// run it on.
//
// Call Run from an editor's own tests with a Factory. Read suite.go, then
// model.go (TinyModel).
//
// What it holds an editor to: Apply leaves every byte of the model as it was,
// whatever happens; Install changes the announced weights and no others; undo
// puts every byte back; equal requests give equal bytes, on one thread and on
// two; impossible requests are errors; a cancelled context stops; and an edit
// makes its target likelier.
package edittest
