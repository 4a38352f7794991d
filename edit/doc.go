// Package edit is the one interface of all editors at inference: a Request
// goes in, an Edited comes out, which can be installed in a model, undone to
// the bit, kept as a file, and composed with others.
//
// Each editor has a package of its own below this one (edit/mend, edit/rome,
// edit/ike, edit/ft …); edit/catalog lists them; edit/edittest is the suite that
// every one of them passes. Read edit.go, then change.go, file.go.
package edit
