// Package saved keeps an edited model as a folder: the weights, and in its
// subfolder edits the edits that they were made by, so that these can be listed
// and taken out again. docs/formats/edit.md describes the folder.
//
// The central type is Model, in saved.go.
package saved
