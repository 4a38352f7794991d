// Package catalog is the list of the editors that need no trained checkpoint:
// by what name each goes, what it does, its default configuration, and how it is
// made. Flags, help, completion, errors and the conformance suite of
// edit/edittest all run over this list.
//
// The central type is Entry. Read catalog.go (the list), then build.go (what
// editors are made of). A new editor is one entry in Entries and a package of
// its own.
package catalog
