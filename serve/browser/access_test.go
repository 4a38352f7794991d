package browser_test

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// findings lists what is wrong with the page as it stands: ids twice, text that
// hardly differs from what is behind it, things wider than the window.
//
//go:embed findings.js
var findings string

// accessible looks at the page at the widths and in the themes that people have,
// keeps a picture of each, and walks through it with the Tab key.
func accessible(p *tab) {
	p.do(chromedp.Click(chromedp.CSS(".card summary")))
	for _, theme := range []string{"light", "dark"} {
		p.prefers(theme)
		for _, width := range []int64{400, 1280, 1600} {
			p.do(chromedp.EmulateViewport(width, 900))
			eval[bool](p, "new Promise((f) => requestAnimationFrame(() => requestAnimationFrame(() => { scrollTo(0, 0); f(true); })))")
			for _, text := range p.list(findings) {
				p.Errorf("%s, %d px: %s", theme, width, text)
			}
			p.picture(fmt.Sprintf("%s-%d.png", theme, width))
		}
		p.step("axe, "+theme, axe)
	}
	p.names()
	p.walk()
	p.themes()
}

// picture keeps what the whole page looks like, if that is wanted.
func (p *tab) picture(name string) {
	dir := os.Getenv("PAGE_SCREENSHOTS")
	if dir == "" {
		return
	}
	raw, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), raw, 0o644)
	}
	if err != nil {
		p.Error(err)
	}
}

// axe has axe-core look at the page, where there is one.
func axe(p *tab) {
	path := os.Getenv("PAGE_AXE")
	if path == "" {
		p.Skip("set PAGE_AXE to axe-core's axe.min.js to have it look at the page")
	}
	script, err := os.ReadFile(path)
	if err != nil {
		p.Fatal(err)
	}
	eval[bool](p, string(script)+"; true")
	for _, text := range p.list(`axe.run().then((r) => r.violations.map((v) => v.impact + ": " + v.id + ", " + v.help + ": " + v.nodes.map((n) => n.html.slice(0, 120)).join(" | ")))`) {
		p.Error(text)
	}
}

// names demands a name of whatever can get the focus.
func (p *tab) names() {
	tree, err := chromedp.Call(p.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		p.Fatal(err)
	}
	focusable, roles := 0, map[string]int{}
	for _, n := range tree.Nodes {
		role := ""
		if n.Role != nil {
			role = strings.Trim(string(n.Role.Value), `"`)
			roles[role]++
		}
		for _, property := range n.Properties {
			if property.Name != accessibility.PropertyNameFocusable || n.Ignored || role == "RootWebArea" {
				continue
			}
			focusable++
			if n.Name == nil || strings.Trim(string(n.Name.Value), `" `) == "" {
				p.Errorf("a %s that can get the focus has no name (node %d)", role, n.BackendDOMNodeID)
			}
		}
	}
	if focusable < 30 {
		p.Errorf("only %d things can get the focus: %v", focusable, roles)
	}
	for _, role := range []string{"main", "navigation", "grid", "gridcell", "switch", "status", "heading"} {
		if roles[role] == 0 {
			p.Errorf("nothing has the role %s: %v", role, roles)
		}
	}
}

// walk presses Tab from the page's first link to its end: everything is reached once, in
// the order of the page, and can be seen to be.
func (p *tab) walk() {
	wanted := eval[int](p, `window.stops = (() => {
		const seen = (n) => n.checkVisibility({ visibilityProperty: true }) && !n.disabled && n.tabIndex >= 0;
		const radios = new Set();
		return [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")].filter((n) => {
			if (!seen(n)) return false;
			if (n.type !== "radio") return true;
			const first = !radios.has(n.name);
			radios.add(n.name);
			return first;
		}).length;
	})()`)
	p.do(chromedp.Focus(chromedp.CSS(".skip")))
	last, reached := -1.0, 1
	for range wanted + 5 {
		p.press(1, kb.Tab)
		stop := eval[map[string]any](p, `(() => {
			const n = document.activeElement;
			if (n === document.body) return { end: true };
			const shown = n.matches("input[type=checkbox], input[type=radio]") && getComputedStyle(n).opacity === "0" ? n.nextElementSibling : n;
			const style = getComputedStyle(shown);
			const box = shown.getBoundingClientRect();
			return {
				end: false,
				what: n.outerHTML.slice(0, 100),
				at: [...document.querySelectorAll("*")].indexOf(n),
				ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1,
				inside: box.width > 0 && box.bottom > 0 && box.top < innerHeight,
			};
		})()`)
		if stop["end"] == true {
			break
		}
		reached++
		if stop["ring"] != true {
			p.Errorf("the focus cannot be seen at %v", stop["what"])
		}
		if stop["inside"] != true {
			p.Errorf("the focus is out of sight at %v", stop["what"])
		}
		if at := stop["at"].(float64); at < last {
			p.Errorf("Tab goes back to %v", stop["what"])
		} else {
			last = at
		}
	}
	if reached != wanted {
		p.Errorf("Tab reaches %d of %d", reached, wanted)
	}
}

// themes: the switch has its way over the system, also when the page is opened
// again.
func (p *tab) themes() {
	const ground = "getComputedStyle(document.documentElement).backgroundColor"
	dark := eval[string](p, ground)
	p.do(chromedp.SetValue(chromedp.CSS("#theme"), "light"))
	eval[bool](p, `document.querySelector("#theme").dispatchEvent(new Event("change"))`)
	light := eval[string](p, ground)
	if light == dark {
		p.Errorf("the light theme has the dark one's ground, %s", dark)
	}
	p.do(chromedp.Reload())
	p.until(`document.documentElement.dataset.ready === "true"`)
	if again := eval[string](p, ground); again != light {
		p.Errorf("opened again, the page has the ground %s, not %s", again, light)
	}
	if value := eval[string](p, `document.querySelector("#theme").value`); value != "light" {
		p.Errorf("the switch stands at %s", value)
	}
}

// still: what comes late does not push away what is there. The measure is the web's
// cumulative layout shift, of which up to 0.1 counts as good.
func still(p *tab) {
	p.do(chromedp.EmulateViewport(1280, 900), chromedp.Reload())
	p.until(`document.documentElement.dataset.ready === "true"`)
	p.until(`document.querySelectorAll(".bars li:not(.blank)").length > 0`)
	p.click("#fact-try")
	p.until(`document.querySelectorAll(".card:not(.waiting)").length === 2`)
	shift := eval[float64](p, `new Promise((f) => new PerformanceObserver((l, o) => {
		o.disconnect();
		f(l.getEntries().reduce((sum, e) => sum + (e.hadRecentInput ? 0 : e.value), 0));
	}).observe({ type: "layout-shift", buffered: true }) ?? setTimeout(() => f(0), 1000))`)
	p.Logf("cumulative layout shift %.4f", shift)
	if shift > 0.1 {
		p.Errorf("the page moves by %.3f", shift)
	}
}
