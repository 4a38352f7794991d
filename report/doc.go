// Package report turns results into what people look at: aligned tables,
// Markdown and HTML pages, and plots as SVG and PNG. It knows nothing of
// models or editors.
//
// The central types are Table and Figure. Read table.go (cells, the best of a
// column, text and Markdown), figure.go (plots through gonum/plot), page.go
// (a page of texts, tables and figures, as Markdown with its pictures beside it
// or as one HTML file).
//
// Promises: equal input gives equal bytes; texts from data are escaped in HTML
// and Markdown; numbers that are not finite are shown as what they are and
// never drawn.
package report
