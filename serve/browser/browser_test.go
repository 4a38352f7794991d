// Package browser_test tries the page of keyhole serve in a real browser: Chromium,
// driven over its DevTools protocol. Without one the tests are skipped.
//
// PAGE_CHROMIUM names the browser, PAGE_SCREENSHOTS a folder for pictures of
// the page, PAGE_AXE a file of axe-core's that looks for what keeps people out.
package browser_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/serve"
	"keyhole.example/keyhole/workbench"
	"keyhole.example/keyhole/workbench/workbenchtest"
)

func TestMain(m *testing.M) { workbenchtest.Main(m) }

// patience is how long a test waits for one thing on the page. It is long, as the
// machine may have much else to do.
const patience = 3 * time.Minute

// chromium finds the browser.
func chromium(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short is set, and this needs minutes: run it without")
	}
	if path := os.Getenv("PAGE_CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium is installed; apt-get install chromium, or set PAGE_CHROMIUM to one")
	return ""
}

// start serves a model and gives the address. runs is the folder of runs, editors are
// those that are chosen at first.
func start(t *testing.T, model, runs string, editors ...string) string {
	t.Helper()
	b, err := workbench.Open(model, 0, lm.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := serve.New(t.Context(), serve.Options{
		Bench: b, Name: filepath.Base(model), Store: t.TempDir(), Runs: runs, Version: "test",
		Editors: editors, Log: log.New(io.Discard, "", 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String() + "/"
}

// tab is a tab of the browser with the page.
type tab struct {
	*testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string // what the browser complained of
}

// open shows the page in a new browser. What the page asks for elsewhere, errors of
// scripts and breaches of the content security policy fail the test at its end.
func open(t *testing.T, address string) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // it does not run as root otherwise
	}
	browser, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end)
	ctx, leave := chromedp.NewContext(browser)
	t.Cleanup(leave)
	p := &tab{T: t, ctx: ctx}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900)); err != nil { // the browser lives as long as the context of its first action
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, func(event any) { p.heed(event, address) }); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, cdplog.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	p.prefers("light") // a mouse that aims at what scrolls by itself misses it
	p.do(chromedp.Navigate(address))
	p.until(`document.documentElement.dataset.ready === "true"`)
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, text := range p.problems {
			t.Error(text)
		}
	})
	return p
}

// step is a test of its own with the tab as it is.
func (p *tab) step(name string, do func(*tab)) bool {
	return p.Run(name, func(t *testing.T) {
		whole := p.T
		p.T = t
		defer func() { p.T = whole }()
		do(p)
	})
}

// heed takes down what is wrong.
func (p *tab) heed(event any, address string) {
	text := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text = "a script failed: " + e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError && !strings.Contains(e.Entry.Text, "status of 4") { // refusals are shown by the page
			text = "the browser logged: " + e.Entry.Text + " " + e.Entry.URL
		}
	case *network.EventRequestWillBeSent:
		if url := e.Request.URL; !strings.HasPrefix(url, address) && strings.HasPrefix(url, "http") {
			text = "the page asked " + url
		}
	}
	if text != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.problems = append(p.problems, text)
	}
}

// do performs actions, of which each may take some time.
func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	for _, a := range actions {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		err := chromedp.Do(ctx, a)
		cancel()
		if err != nil {
			p.Fatal(err)
		}
	}
}

// prefers makes the browser one of somebody who wants a theme, and no motion.
func (p *tab) prefers(theme string) {
	p.Helper()
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}
	if _, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		p.Fatal(err)
	}
}

// until waits until an expression is true.
func (p *tab) until(expression string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	poll := chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(0))
	if err := chromedp.Do(ctx, poll); err != nil {
		p.Fatalf("waiting for %s: %v; the page says:\n%s", expression, err, eval[string](p, "document.body.innerText.slice(0, 20000)"))
	}
}

// eval is the value of an expression, or of what it promises.
func eval[T any](p *tab, expression string) T {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.Fatalf("%.200s: %v", expression, err)
	}
	return v
}

// click clicks what a CSS selector finds, with the mouse.
func (p *tab) click(selector string) {
	p.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

// write replaces the text of a field by typing.
func (p *tab) write(selector, text string) {
	p.Helper()
	p.do(chromedp.Focus(chromedp.CSS(selector)), chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)), chromedp.KeyEvent(text))
}

// press presses a key so many times.
func (p *tab) press(n int, key string, modifiers ...chromedp.Modifier) {
	p.Helper()
	for range n {
		p.do(chromedp.KeyEvent(key, chromedp.KeyModifiers(modifiers...)))
	}
}

// text is what is written in an element.
func (p *tab) text(selector string) string {
	p.Helper()
	return strings.TrimSpace(eval[string](p, fmt.Sprintf("document.querySelector(%q)?.innerText ?? '(there is none)'", selector)))
}

// says demands that an element comes to hold a text.
func (p *tab) says(selector, text string) {
	p.Helper()
	p.until(fmt.Sprintf(`document.querySelector(%q)?.innerText.replaceAll("\u00a0", " ").includes(%q)`, selector, text))
}

// list is the expressions's list, a line each.
func (p *tab) list(expression string) []string {
	p.Helper()
	return eval[[]string](p, expression)
}

// folderOfRuns makes one with a run that was cut short, and a comparison.
func folderOfRuns(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "first"), os.DirFS("../../cmd/keyhole/testdata/v0/run")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "side-by-side"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "side-by-side", "report.html"), []byte("<!doctype html><title>Six editors</title>"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}
