package report

import (
	"crypto/sha256"
	_ "embed" // the page's parts
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

// Policy is the Content-Security-Policy of pages that WriteHTML writes: they ask
// nobody for anything, and run their own script alone. It stands in the pages too.
func Policy() string {
	sum := func(s string) string {
		h := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(h[:]) + "'"
	}
	return "default-src 'none'; style-src " + sum(pageCSS) + "; script-src " + sum(pageJS) + "; base-uri 'none'; form-action 'none'"
}

// Leading is what a cell shows before its band.
func (c Cell) Leading() string { return leading(c.Text) }

// Behind is the cell's band as text, "" if there is none.
func (c Cell) Behind() string { return strings.TrimPrefix(c.Text[len(leading(c.Text)):], " ") }

// Sorted is the number by which the cell is sorted, "" if it has none.
func (c Cell) Sorted() string {
	v, err := strconv.ParseFloat(c.Text, 64) // a count
	if c.number {
		v, err = c.Value, nil
	}
	if err != nil || !finite(v) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// WriteHTML writes the page as one HTML file with its figures inside, which needs
// nothing else: tables that scroll in their box and are sorted at a press on a
// column's head.
func (p *Page) WriteHTML(w io.Writer) error {
	type shown struct {
		Heading, Text string
		SVG           template.HTML
		Table         *Table
		Terms         []Term
		Facts         [][2]string
	}
	page := struct {
		Title, Policy string
		CSS           template.CSS
		JS            template.JS
		Parts         []shown
	}{Title: p.Title, Policy: Policy(), CSS: template.CSS(pageCSS), JS: template.JS(pageJS)}
	for _, x := range p.parts {
		s := shown{Heading: x.heading, Text: x.text, Table: x.table, Terms: x.terms, Facts: x.facts}
		if x.figure != nil {
			s.SVG = template.HTML(x.figure.scene.svg()) // whose texts are escaped
		}
		page.Parts = append(page.Parts, s)
	}
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	if err := t.Execute(w, page); err != nil {
		return fmt.Errorf("page %q: %w", p.Title, err)
	}
	return nil
}
