// Package jinja runs the Jinja that chat templates are written in, within bounds.
//
// A template comes with a model, from anybody. So a render may take so many steps,
// make texts and lists of so many elements, and nest so deep; then it ends in one
// error (ErrBound). Values cannot be changed, as in the sandbox of transformers, but
// for namespaces. There is no loader: nothing can be read from a file.
//
// Begin at template.go, then lex.go (tokens), parse.go, expression.go and postfix.go
// (the tree), exec.go (statements), eval.go and operators.go (expressions), value.go
// (what values are), show.go (how they are written), filters.go, tests.go and methods.go (what templates may call).
//
// Source: the language as Jinja2 3.1 has it, with trim_blocks and lstrip_blocks, as
// apply_chat_template of transformers sets it up.
package jinja
