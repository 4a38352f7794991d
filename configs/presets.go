package configs

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed *.yaml
var presetFiles embed.FS

// Preset gives the text of the embedded configuration NAME.yaml.
func Preset(name string) ([]byte, bool) {
	text, err := presetFiles.ReadFile(name + ".yaml")
	return text, err == nil
}

// Presets lists the names of the embedded configurations, sorted.
func Presets() []string {
	files, err := fs.Glob(presetFiles, "*.yaml")
	if err != nil {
		panic("configs: bad pattern for presets: " + err.Error())
	}
	return trimSuffixes(files, ".yaml")
}

func trimSuffixes(list []string, suffix string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strings.TrimSuffix(s, suffix)
	}
	return out
}
