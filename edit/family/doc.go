// Package family is what is known of single models: the settings with which
// each editor works on them, and prompts on which an edit's drift is measured.
//
// The *.yaml files are the table: one short file for each family, in which each
// value says where it comes from (published, traced, or swept here with the
// measured result). A family is recognised by the model's shape, so that an
// edited or renamed copy keeps it. A user's own files, such as those that trace
// --write-defaults makes, lie in UserFolder and go before these. The central type
// is Family; read family.go.
package family
