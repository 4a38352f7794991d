package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// kind is a command that is killed. It runs in the folder of its trial and
// writes to out there; $IN stands for the folder of inputs.
type kind struct {
	name    string
	command []string
	// again is typed once the file begun is there, instead of command; nil: the
	// same.
	again []string
	begun string
	// whole is a file that is there when nothing is left to do: the command would
	// refuse to write over it. "": it may always be typed again.
	whole string
	timed []string // files that tell times: only that they are there is compared
	loose []string // files whose very names tell times: not compared
}

var kinds = []kind{
	{
		name: "train",
		command: []string{"train", "quickstart-mend", "--steps", "60", "--out", "out", "--set", "hypernet.rank=8", "--set", "model.blocks=1",
			"--set", "train.accumulate=2", "--set", "train.val_every=10", "--set", "train.val_edits=10", "--set", "train.save_every=4"},
		again: []string{"resume", "out"}, begun: "out/config.yaml",
		loose: []string{"out/tb/*"},
	}, {
		name: "learned",
		command: []string{"train", "quickstart", "--steps", "20", "--out", "out", "--set", "hypernet.rank=16", "--set", "model.sites=[mlp.down@5]",
			"--set", "hypernet.update.tokens=2000", "--set", "train.mix=[1, 2]", "--set", "train.accumulate=2",
			"--set", "train.val_every=8", "--set", "train.val_edits=6", "--set", "train.save_every=3"},
		again: []string{"resume", "out"}, begun: "out/config.yaml",
		loose: []string{"out/tb/*"},
	}, {
		name: "serac",
		command: []string{"train", "quickstart-serac", "--steps", "20", "--out", "out", "--set", "serac.new_encoder.width=16", "--set", "train.edits=3",
			"--set", "train.accumulate=2", "--set", "train.val_every=8", "--set", "train.val_edits=6", "--set", "train.save_every=3"},
		again: []string{"resume", "out"}, begun: "out/config.yaml",
		loose: []string{"out/tb/*"},
	}, {
		name:    "eval",
		command: []string{"eval", "$IN/run", "--data", "embedded", "--limit", "60", "--out", "out.jsonl"},
		timed:   []string{"out*times*"},
	}, {
		name:    "sequence",
		command: []string{"eval", "$IN/run", "--data", "embedded", "--limit", "40", "--protocol", "sequential-immediate", "--out", "out.jsonl"},
		timed:   []string{"out*times*"},
	}, {
		name:    "compare",
		command: []string{"compare", "$IN/compare.yaml", "--out", "out"},
		timed:   []string{"out/editors/*times*", "out/report.*", "out/results.jsonl", "out/*.svg", "out/*.png"},
		loose:   []string{"out/runs/*/tb/*"},
	}, {
		name:    "stats",
		command: []string{"stats", "embedded", "--tokens", "6000", "--sites", "mlp.down@2,mlp.down@3", "--out", "out"},
	}, {
		name:    "trace",
		command: []string{"trace", "embedded", "--data", "$IN/facts.jsonl", "--restore", "hidden", "--set", "samples=2", "--out", "out"},
	}, {
		name:    "pretrain",
		command: []string{"pretrain", "$IN/recipe.yaml", "--set", "facts.path=$IN/objects.jsonl", "--out", "out"},
		whole:   "out/manifest.json",
	}, {
		name:    "edits apply",
		command: []string{"edits", "apply", "embedded", "$IN/edit.safetensors", "--save", "out"},
		whole:   "out/config.json",
	},
}

const comparison = `data: {limit: 12}
editors:
  - name: rates
    train: quickstart-mend
    set: ["hypernet.kind=rates", "train.steps=12", "train.val_every=0", "train.save_every=4"]
  - editor: ft
    set: ["steps=2"]
  - editor: none
`

const recipe = `model: {layers: 2, width: 32, heads: 2, ffn: 64, context: 32, vocab: 400}
train: {epochs: 25, batch: 30, lr: 1e-2, warmup: 10}
edits: {test: 6, val: 4, per_fact: 3, paraphrases: 2, neighborhood: 2, unrelated: 1, same_subject: 1}
relations:
  - {id: P1, patterns: ["[X] lives in [Y]", "The home of [X] is [Y]", "[X] stays in [Y]"]}
  - {id: P2, patterns: ["[X] speaks [Y]", "The language of [X] is [Y]", "[X] writes in [Y]"]}
`

// objects are facts for the recipe.
func objects() []byte {
	var b bytes.Buffer
	for i := range 60 {
		for r, list := range [][]string{{"Paris", "Rome", "Oslo"}, {"Latin", "Greek", "Dutch"}} {
			fmt.Fprintf(&b, `{"relation_id":"P%d","subject":"%c%c%d","object":"%s"}`+"\n", r+1, 'A'+i%7, 'a'+i%23, i, list[(i*7+i/3+r)%3])
		}
	}
	return b.Bytes()
}

// traced are facts that the embedded model knows.
func traced() []byte {
	var b bytes.Buffer
	for i, f := range [][3]string{
		{"Domenico Fontana", "died in", "Naples"}, {"Friedrich Rosen", "succumbed at", "Beijing"},
		{"Bo Yibo", "lost their life at", "Beijing"}, {"Jim Rome Is Burning", "debuted on", "ESPN"},
	} {
		fmt.Fprintf(&b, `{"known_id":%[1]d,"subject":"%[2]s","attribute":"%[4]s","template":"{} %[3]s","prediction":" %[4]s","prompt":"%[2]s %[3]s","relation_id":"P%[1]d"}`+"\n",
			i, f[0], f[1], f[2])
	}
	return b.Bytes()
}

// inputs makes what the commands work on.
func (t *tries) inputs() error {
	in := filepath.Join(t.dir, "inputs")
	if err := os.Mkdir(in, 0o777); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"compare.yaml": []byte(comparison), "recipe.yaml": []byte(recipe), "objects.jsonl": objects(), "facts.jsonl": traced(),
	} {
		if err := os.WriteFile(filepath.Join(in, name), content, 0o666); err != nil {
			return err
		}
	}
	for _, command := range [][]string{
		{"train", "quickstart-mend", "--steps", "10", "--out", "run", "--set", "hypernet.rank=8", "--set", "model.blocks=1", "--set", "train.val_every=0"},
		{"edit", "--editor", "ft", "--model", "embedded", "--set", "lr=1e-2", "--prompt", "Friedrich Rosen succumbed at", "--subject", "Friedrich Rosen",
			"--target", "Rome", "--keep", "edit.safetensors", "--force"},
	} {
		if b, err := t.start(in, command).CombinedOutput(); err != nil {
			return fmt.Errorf("inputs: keyhole %v: %w:\n%s", command, err, b)
		}
	}
	return nil
}
