// Package report turns results into what people look at: tables as aligned text,
// Markdown, LaTeX and CSV, pages as Markdown and HTML, and plots as SVG and PNG.
// It knows nothing of models or editors.
//
// The central types are Table, Figure and Page. Read table.go (cells, the best of
// a column), text.go (a table cut to a terminal's width), latex.go; then scene.go
// (a drawing as a list of marks), axis.go (round ticks), figure.go with scatter.go,
// bars.go, lines.go and heat.go, svg.go and png.go (the two ways to write a
// drawing), figurefile.go (by the name of a file), font.go (where characters' pictures come from); page.go and html.go.
//
// Promises: equal input gives equal bytes; texts from data are escaped in HTML,
// Markdown and LaTeX; numbers that are not finite are shown as what they are and
// never drawn; no text covers another; a name has one style in all plots of a
// palette; a page asks nobody for anything.
package report
