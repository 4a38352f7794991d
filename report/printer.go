package report

import (
	"fmt"
	"io"
)

// Printer writes lines and tables for the people at a stream, up to the first error.
type Printer struct {
	to  io.Writer
	err error
}

// To prints to w.
func To(w io.Writer) *Printer { return &Printer{to: w} }

// Say writes a line.
func (p *Printer) Say(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.to, format+"\n", args...)
	}
}

// Table shows a table.
func (p *Printer) Table(t *Table) {
	if p.err == nil {
		p.err = t.Show(p.to)
	}
}

// Err is the first error.
func (p *Printer) Err() error { return p.err }
