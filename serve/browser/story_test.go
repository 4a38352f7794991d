package browser_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"keyhole.example/keyhole/workbench"
	"keyhole.example/keyhole/workbench/workbenchtest"
)

// TestPage is what somebody does who comes to the page for the first time, in one
// browser, from the first question to the export.
func TestPage(t *testing.T) {
	runs := folderOfRuns(t)
	p := open(t, start(t, workbench.Embedded, runs, "rome", "ft"))
	for _, step := range []struct {
		name string
		do   func(*tab)
	}{
		{"ask", ask},
		{"refused", refused},
		{"edited by two editors", edited},
		{"cancelled", cancelled},
		{"kept, switched, moved, undone", kept},
		{"measured", measured},
		{"traced", traced},
		{"a block of ROME's own choice", layered},
		{"exported", exported},
		{"a run that goes on", func(p *tab) { watched(p, filepath.Join(runs, "first", "log.jsonl")) }},
		{"a comparison", compared},
		{"for everybody", accessible},
		{"still", still},
	} {
		if !p.step(step.name, step.do) {
			return // the next steps begin where this one ends
		}
	}
}

// ask: the example's prompt is asked by itself; another one while it is typed, and
// a text is written on behind it.
func ask(p *tab) {
	p.says(".bars", "Paris")
	p.write("#ask-prompt", "The capital of Germany is")
	p.says(".bars", "Berlin")
	p.says(".bars", "%")
	p.click("#ask-write")
	p.says(".written", "Berlin")
	p.until(`document.querySelector("#ask-work").childElementCount === 0`)
}

// refused: what is missing is said at its field, which gets the focus.
func refused(p *tab) {
	target := eval[string](p, `document.querySelector("#fact-target").value`)
	if target == "" {
		p.Error("the example has no target")
	}
	p.write("#fact-target", " ")
	p.click("#fact-try")
	p.says("#fact-target-error", "Say what the model shall answer")
	if id := eval[string](p, "document.activeElement.id"); id != "fact-target" {
		p.Errorf("the focus is at %q", id)
	}
	if !eval[bool](p, `document.querySelector("#fact-target").matches("[aria-invalid=true]")`) {
		p.Error("the field is not marked as invalid")
	}
}

// edited: a fact is typed, its subject marked with the keyboard, and two editors
// make it.
func edited(p *tab) {
	p.write("#fact-prompt", "The capital of Germany is")
	p.press(1, kb.End)
	p.press(len(" is"), kb.ArrowLeft)
	p.press(len("Germany"), kb.ArrowLeft, chromedp.ModifierShift)
	p.until(`document.querySelector("#fact-subject").value === "Germany"`)
	p.says("#fact-mirror mark", "Germany")
	p.write("#fact-target", "Vienna")
	p.says("#fact-counts", "4 paraphrases and 6 neighbours") // from the data, by itself
	if got := p.list(`[...document.querySelectorAll("#fact-editors input:checked")].map((i) => i.value)`); !slices.Equal(got, []string{"rome", "ft"}) {
		p.Fatalf("the editors are %q", got)
	}
	p.press(1, kb.Enter) // the form's
	p.until(`document.querySelectorAll(".card:not(.waiting)").length === 2`)
	for _, name := range []string{"rome", "ft"} {
		card := p.text(fmt.Sprintf("[aria-labelledby=trial-%s]", name))
		for _, want := range []string{name, "✓ held", "Berlin", "Vienna", " of 4", " of 6", "nats"} {
			if !strings.Contains(card, want) {
				p.Errorf("the card of %s lacks %q:\n%s", name, want, card)
			}
		}
	}
	p.click(".card summary")
	if rows := eval[int](p, `document.querySelectorAll(".card[aria-labelledby=trial-rome] tbody tr").length`); rows != 11 {
		p.Errorf("%d prompts are shown, not 1 and 4 and 6", rows)
	}
}

// cancelled: long work ends when it is told to, and what was there stays.
func cancelled(p *tab) {
	p.click(`#fact-editors [value=memit]`)
	p.click("#fact-try")
	p.says("#fact-work", "Cancel")
	p.click("#fact-work button")
	p.until(`document.querySelector("#fact-work").childElementCount === 0`)
	p.says("#trials", "Before and after stand here")
	p.click(`#fact-editors [value=memit]`)
	p.click("#fact-try")
	p.until(`document.querySelectorAll(".card:not(.waiting)").length === 2`)
}

const (
	editorsKept = `[...document.querySelectorAll("#kept-list li .hint")].map((n) => n.textContent.split(" ")[0])`
	theirs      = `fetch("api/v1/edits").then((r) => r.json()).then(({ edits }) => edits.map((e) => e.editor + (e.on ? " on" : " off")))`
)

// holds demands that the list, and the server's, come to be these.
func (p *tab) holds(here []string, there ...string) {
	p.Helper()
	p.until(fmt.Sprintf("%s.join() === %q", editorsKept, strings.Join(here, ",")))
	p.until(fmt.Sprintf("(window.asked ??= %s.then((l) => { window.asked = null; window.told = l.join(); })) && window.told === %q", theirs, strings.Join(there, ",")))
}

// kept: both edits are kept, moved, switched and deleted with the keyboard alone,
// and had back.
func kept(p *tab) {
	p.click("[aria-labelledby=trial-rome] .keep button")
	p.holds([]string{"rome"}, "rome on")
	p.says("#ask-answers", "With the kept edit")
	p.says("#ask-answers .answer:last-child .bars li:first-child", "Vienna")
	p.says("#ask-answers .answer:first-child .bars li:first-child", "Berlin")
	p.click("[aria-labelledby=trial-ft] .keep button")
	p.holds([]string{"rome", "ft"}, "rome on", "ft on")

	p.do(chromedp.Focus(chromedp.CSS(`#kept-list li:last-child [data-act="Move up"]`)))
	p.press(1, kb.Enter)
	p.holds([]string{"ft", "rome"}, "ft on", "rome on")
	if on := eval[string](p, "document.activeElement.closest('li')?.innerText ?? ''"); !strings.Contains(on, "ft ·") {
		p.Errorf("the focus did not go along with the edit that was moved, but is at %q", on)
	}
	p.do(chromedp.Focus(chromedp.CSS("#kept-list li:last-child input")))
	p.press(1, " ")
	p.holds([]string{"ft", "rome"}, "ft on", "rome off")
	p.do(chromedp.Focus(chromedp.CSS(`#kept-list li:first-child [data-act="Delete"]`)))
	p.press(1, kb.Enter)
	p.holds([]string{"rome"}, "ft off", "rome off")
	p.until(`!document.querySelector("#ask-answers").innerText.includes("With")`)

	p.do(chromedp.Focus(chromedp.CSS("#kept-undo")))
	p.press(1, kb.Enter) // the deletion
	p.holds([]string{"ft", "rome"}, "ft on", "rome off")
	p.press(1, kb.Enter) // the switch
	p.holds([]string{"ft", "rome"}, "ft on", "rome on")
	p.press(1, kb.Enter) // the move
	p.holds([]string{"rome", "ft"}, "rome on", "ft on")
	p.press(1, kb.Enter) // that ft was kept
	p.holds([]string{"rome"}, "rome on", "ft off")
}

// measured: all kept edits together, and an editor on edits of the data.
func measured(p *tab) {
	if first := p.text("#measure-data option"); first != "The kept edits (1 on)" {
		p.Errorf("the first choice is %q", first)
	}
	p.click("#measure-start")
	p.says("#measured", "1 kept edit together")
	for _, want := range []string{"1 of 1", " of 4", " of 6", "nats", "The capital of Germany is"} {
		p.says("#measured", want)
	}
	p.do(chromedp.SetValue(chromedp.CSS("#measure-data"), workbench.Embedded))
	eval[bool](p, `document.querySelector("#measure-data").dispatchEvent(new Event("change"))`)
	p.write("#measure-limit", "0")
	p.click("#measure-start")
	p.says("#measure-limit-error", "From 1 to 1000")
	p.write("#measure-limit", "1")
	p.click("#measure-start")
	p.says("#measured h3", "rome on 1 edit of")
	for _, want := range []string{"Reliability", "Locality", "beside those that are on (1)"} {
		p.says("#measured", want)
	}
}

// traced: the heat map is walked through with the keyboard.
func traced(p *tab) {
	p.click("#trace-start")
	p.says(".heat figcaption", "Vienna")
	p.says(".heat .readout", "the model with 1 kept edit")
	p.click("#trace-model label:last-of-type")
	p.click("#trace-start")
	p.says(".heat figcaption", "Berlin")
	rows := p.list(`[...document.querySelectorAll(".cells tbody tr")].map((r) => r.querySelector("th").innerText.trim() + " " + r.querySelectorAll("td").length)`)
	if len(rows) < 4 || !strings.HasSuffix(rows[0], " 6") {
		p.Errorf("the map has the rows %q", rows)
	}
	if got := p.text(".cells .of-subject"); !strings.HasPrefix("Germany", strings.Fields(got)[0]) {
		p.Errorf("%q is marked as the subject", got)
	}
	if ticks := p.list(`[...document.querySelectorAll(".ticks span")].map((n) => n.textContent)`); len(ticks) < 3 {
		p.Errorf("the colour bar has the numbers %q", ticks)
	}
	p.do(chromedp.Focus(chromedp.CSS(".cells td[tabindex='0']")))
	p.press(1, kb.Home)
	p.press(3, kb.ArrowRight)
	p.until(`/ · block 3 · .*%/.test(document.querySelector(".readout").textContent)`)
	label := eval[string](p, "document.activeElement.ariaLabel")
	if !strings.Contains(label, "block 3: ") {
		p.Errorf("the cell is called %q", label)
	}
	p.press(1, kb.Enter)
	p.says("#fact-layer", "ROME edits block 3")
	if after := eval[string](p, "document.activeElement.ariaLabel ?? ''"); after != label {
		p.Errorf("choosing a block moved the focus to %q", after)
	}
	p.click(`.segmented label:has([value=mlp])`)
	p.says(".heat figcaption", "MLP outputs")
}

// layered: the block that was chosen in the map is the one that is edited.
func layered(p *tab) {
	p.click(`#fact-editors label:has([value=ft])`)
	p.click("#fact-try")
	p.until(`document.querySelectorAll(".card:not(.waiting)").length === 1`)
	p.says(".card header", "block 3")
	p.click("#fact-layer-reset")
	p.until(`document.querySelector("#fact-layer").hidden`)
}

// exported: the edits that are on come as files, not as a GGUF file where the model
// is none.
func exported(p *tab) {
	if !eval[bool](p, `document.querySelector("[data-format=gguf]").disabled`) {
		p.Error("the embedded model is no GGUF file, and is offered as one")
	}
	p.export("edit", ".safetensors", "")
	p.export("hf", ".zip", "PK")
}

// export demands a file whose name ends so, and whose bytes begin so.
func (p *tab) export(format, end, begin string) {
	p.Helper()
	p.click(fmt.Sprintf("[data-format=%s]", format))
	p.until(fmt.Sprintf(`document.querySelector("#export-done a")?.download.endsWith(%q)`, end))
	file := `fetch(document.querySelector("#export-done a").href).then((r) => r.blob())`
	if size := eval[int](p, file+".then((b) => b.size)"); size < 1000 {
		p.Errorf("%s: the file has %d bytes", format, size)
	}
	if text := eval[string](p, file+".then((b) => b.slice(0, 8).text())"); !strings.HasPrefix(text, begin) {
		p.Errorf("%s: the file begins with %q", format, text)
	}
}

// TestExportOfGGUF: a model that was opened from a GGUF file can be had as one, too.
func TestExportOfGGUF(t *testing.T) {
	p := open(t, start(t, workbenchtest.GGUF(t), t.TempDir(), "lora"))
	p.says("#runs", "No runs here")
	p.says("#reports", "None here")
	if !eval[bool](p, `[...document.querySelectorAll("[data-format]")].every((b) => b.disabled)`) {
		p.Error("an export is offered before an edit is on")
	}
	p.says("#measure-data", "The kept edits (none is on)")
	p.picture("empty.png")
	p.click("#fact-try")
	p.until(`document.querySelectorAll(".card:not(.waiting) .keep button").length === 1`)
	p.click(".card .keep button")
	p.says("#ask-answers", "With the kept edit")
	p.export("edit", ".safetensors", "")
	p.export("hf", ".zip", "PK")
	p.export("gguf", "-edited.gguf", "GGUF")
}

// watched: the curves of a run grow while it goes on.
func watched(p *tab, log string) {
	p.click("#runs-list input")
	p.says("#curves .readout", "Step 8")
	p.until(`document.querySelectorAll("#curves polyline").length >= 2`)
	f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		p.Fatal(err)
	}
	_, err = f.WriteString(`{"step":9,"kind":"train","loss":0.125,"edit_acc":1}` + "\n")
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		p.Fatal(err)
	}
	p.says("#curves .readout", "Step 9: loss 0.125")
}

// compared: a comparison opens in a tab of its own.
func compared(p *tab) {
	opened := chromedp.WaitNewTarget(p.ctx, func(i *target.Info) bool { return i.Type == "page" })
	p.click("#reports-list a")
	id := <-opened
	ctx, cancel := chromedp.NewContext(p.ctx, chromedp.WithTargetID(id))
	defer cancel()
	other := &tab{T: p.T, ctx: ctx}
	other.until(`document.title === "Six editors"`)
}
