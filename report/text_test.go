package report_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rivo/uniseg"

	"keyhole.example/keyhole/report"
)

func wide() *report.Table {
	t := &report.Table{
		Columns: []report.Column{
			{Name: "editor"}, {Name: "prompt"}, {Name: "reliability", Right: true, Better: 1}, {Name: "generalization", Right: true, Better: 1},
			{Name: "locality KL", Right: true, Better: -1, Rank: 2}, {Name: "s/edit", Right: true, Better: -1, Rank: 1}, {Name: "peak memory", Right: true, Better: -1, Rank: 3},
		},
		Note: "target new, decode teacher_forced, match token_all, macro average",
	}
	t.Add(report.Text("rome"), report.Text("The Space Needle is in the city of"), report.Number(0.96, 0.024, 3), report.Number(0.885, 0.033, 3), report.Number(0.629, 0.117, 3), report.Number(0.0282, 0, 4), report.Scaled(273678336, "261 MiB"))
	t.Add(report.Text("ft"), report.Text("東京は日本の首都で 👩‍👩‍👧‍👦"), report.Number(1, 0, 3), report.Number(0.991, 0.008, 3), report.Number(3.239, 0.258, 3), report.Number(0.0066, 0, 4), report.Scaled(386924544, "369 MiB"))
	t.MarkBest()
	return t
}

func asText(t *testing.T, table *report.Table, l report.Layout) string {
	t.Helper()
	var b bytes.Buffer
	if err := table.WriteText(&b, l); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTablesFit(t *testing.T) {
	for width, want := range map[int]string{
		120: `editor  prompt                               reliability  generalization   locality KL  s/edit  peak memory
rome    The Space Needle is in the city of  0.960 ±0.024    0.885 ±0.033  0.629 ±0.117  0.0282      261 MiB
ft      東京は日本の首都で 👩‍👩‍👧‍👦                      1.000    0.991 ±0.008  3.239 ±0.258  0.0066      369 MiB
target new, decode teacher_forced, match token_all, macro average
`,
		80: `editor  prompt             reliability  generalization  locality  s/edit    peak
                                                              KL          memory
rome    The Space Needle         0.960           0.885     0.629  0.0282     261
        is in the city of       ±0.024          ±0.033    ±0.117             MiB
ft      東京は日本の首都         1.000           0.991     3.239  0.0066     369
        で 👩‍👩‍👧‍👦                                   ±0.008    ±0.258             MiB
target new, decode teacher_forced, match token_all, macro average
`,
		40: `editor  prompt               reliability
rome    The Space Needle is        0.960
        in the city of            ±0.024
ft      東京は日本の首都で         1.000
        👩‍👩‍👧‍👦
not shown for want of room:
generalization, s/edit, locality KL,
peak memory; --wide shows them
target new, decode teacher_forced, match
token_all, macro average
`,
	} {
		if got := asText(t, wide(), report.Layout{Width: width, Wide: "--wide shows them"}); got != want {
			t.Errorf("%d columns: got\n%s\nwant\n%s", width, got, want)
		}
	}
	for width := 20; width <= 200; width++ {
		for _, bold := range []bool{false, true} {
			text := strings.NewReplacer("\x1b[1m", "", "\x1b[0m", "").Replace(asText(t, wide(), report.Layout{Width: width, Bold: bold}))
			for line := range strings.Lines(text) {
				if n := uniseg.StringWidth(strings.TrimSuffix(line, "\n")); n > width {
					t.Fatalf("%d columns: a line of %d: %q", width, n, line)
				}
			}
		}
	}
	if got := asText(t, wide(), report.Layout{}); strings.Count(got, "\n") != 4 || !strings.Contains(got, "peak memory") {
		t.Errorf("without a width:\n%s", got)
	}
}

// TeX sets what compare writes without an overfull line, however many columns there
// are and whatever stands in them.
func TestLaTeXFitsAColumn(t *testing.T) {
	tex, err := exec.LookPath("pdflatex")
	if err != nil {
		t.Skip("no pdflatex is installed: apt-get install texlive-latex-recommended")
	}
	dir := t.TempDir()
	body := ""
	for n := 1; n <= 16; n += 3 {
		table := &report.Table{Columns: []report.Column{{Name: "editor"}}, Note: `a_b $ % & # { } \ ^ ~ < > | ± – − × … ‖ é`}
		for c := range n {
			table.Columns = append(table.Columns, report.Column{Name: []string{"reliability", "generalization", "S", "peak memory"}[c%4], Right: true, Better: 1})
		}
		for _, name := range []string{"memit-history", "ft_l", "a^b~c|d<e>"} {
			row := []report.Cell{report.Text(name)}
			for c := range n {
				row = append(row, report.Number(float64(c)*7.125, []float64{0.026, 0}[c%2], 3))
			}
			table.Add(row...)
		}
		table.MarkBest()
		file := fmt.Sprintf("t%d.tex", n)
		var out bytes.Buffer
		if err := table.WriteLaTeX(&out, "100 % of a_b", "tab:"+file); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), out.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		body += `\input{` + file + "}\n"
	}
	paper := "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n" + body + "\\end{document}\n"
	if err := os.WriteFile(filepath.Join(dir, "paper.tex"), []byte(paper), 0o666); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(tex, "-interaction=nonstopmode", "-halt-on-error", "paper.tex")
	c.Dir = dir
	log, err := c.CombinedOutput()
	if err != nil || bytes.Contains(log, []byte("Overfull")) || bytes.Contains(log, []byte("LaTeX Error")) {
		t.Errorf("%v\n%s", err, log)
	}
}

func TestLaTeXAndCSV(t *testing.T) {
	var tex, csv bytes.Buffer
	if err := wide().WriteLaTeX(&tex, "100 % of a_b", "tab:x"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`\begin{tabular}{@{}llrr@{}}`, `\begin{tabular}{@{}lrrr@{}}`, `editor & prompt & reliability & generalization \\`, `\toprule`, `\midrule`, `\bottomrule`,
		`0.960 {\scriptsize$\pm$0.024} &`, `\textbf{1.000} & \textbf{0.991} {\scriptsize$\pm$0.008}`, `\caption{100 \% of a\_b}`, `\label{tab:x}`, `teacher\_forced`,
	} {
		if !strings.Contains(tex.String(), want) {
			t.Errorf("LaTeX lacks %q:\n%s", want, tex.String())
		}
	}
	table := wide()
	table.Columns[6].Unit = "bytes"
	if err := table.WriteCSV(&csv); err != nil {
		t.Fatal(err)
	}
	want := "editor,prompt,reliability,reliability ±95 %,generalization,generalization ±95 %,locality KL,locality KL ±95 %,s/edit,peak memory (bytes)\n" +
		"rome,The Space Needle is in the city of,0.96,0.024,0.885,0.033,0.629,0.117,0.0282,2.73678336e+08\n" +
		"ft,東京は日本の首都で 👩‍👩‍👧‍👦,1,0,0.991,0.008,3.239,0.258,0.0066,3.86924544e+08\n"
	if csv.String() != want {
		t.Errorf("got\n%s\nwant\n%s", csv.String(), want)
	}
	if wide().WriteLaTeX(broken{}, "", "") == nil || wide().WriteCSV(broken{}) == nil {
		t.Error("a failing writer went unnoticed")
	}
}
