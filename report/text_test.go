package report_test

import (
	"bytes"
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

func TestLaTeXAndCSV(t *testing.T) {
	var tex, csv bytes.Buffer
	if err := wide().WriteLaTeX(&tex, "100 % of a_b", "tab:x"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`\begin{tabular}{llrrrrr}`, `editor & prompt & reliability &`, `\toprule`, `\midrule`, `\bottomrule`,
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
