package hub

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Kind says what a repository holds.
type Kind string

// The kinds of repositories, as the hub's addresses and cache folders spell
// them.
const (
	ModelKind   Kind = "models"
	DatasetKind Kind = "datasets"
)

// Name is a parsed name of something on the hub.
type Name struct {
	Kind     Kind
	Repo     string // org/name
	Revision string // branch, tag or commit; main unless it was given
	File     string // path in the repository, or the tag of a quantisation; "" for all that is wanted
}

const mainRevision = "main"

var (
	repoName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9._-]{1,96}$`)
	revision = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,254}$`)
	commitID = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// Parse reads org/name[@revision][:file], of a data set where datasets/ stands
// in front or kind says so. ok is false for what cannot be such a name; err
// names what is wrong with one that was meant.
func Parse(text string, kind Kind) (n Name, ok bool, err error) {
	n = Name{Kind: kind, Revision: mainRevision}
	rest := text
	if after, set := strings.CutPrefix(rest, "datasets/"); set && strings.Count(after, "/") > 0 {
		n.Kind, rest = DatasetKind, after
	}
	rest, n.File, _ = strings.Cut(rest, ":")
	at := false
	var rev string
	if rest, rev, at = strings.Cut(rest, "@"); at {
		n.Revision = rev
	}
	n.Repo = rest
	if !repoName.MatchString(n.Repo) || strings.Contains(n.Repo, "..") || strings.Contains(n.Repo, "--") {
		return Name{}, false, nil
	}
	if n.File == "" && slices.Contains(fileEndings, strings.ToLower(path.Ext(n.Repo))) {
		return Name{}, false, nil // a path to a file that is missing
	}
	switch {
	case strings.HasSuffix(text, ":"):
		return n, true, fmt.Errorf("%s: a file's name is missing behind the colon", text)
	case !revision.MatchString(n.Revision) || strings.Contains(n.Revision, ".."):
		return n, true, fmt.Errorf("%s: %q is no revision; give a branch, a tag or a commit", text, n.Revision)
	case n.File != "" && !safePath(n.File):
		return n, true, fmt.Errorf("%s: %q is no path in a repository", text, n.File)
	}
	return n, true, nil
}

// fileEndings end paths of files, not names of repositories.
var fileEndings = []string{".gguf", ".safetensors", ".json", ".jsonl", ".gz", ".yaml", ".yml", ".csv", ".txt", ".raw", ".tokens", ".bin"}

// String is the name as it is typed.
func (n Name) String() string {
	s := n.Repo
	if n.Kind == DatasetKind {
		s = "datasets/" + s
	}
	if n.Revision != mainRevision {
		s += "@" + n.Revision
	}
	if n.File != "" {
		s += ":" + n.File
	}
	return s
}

// safePath says whether a path that the hub or a user named stays inside the
// folder that it is put into, on every system.
func safePath(p string) bool {
	return p != "." && fs.ValidPath(p) && !strings.ContainsAny(p, "\\:*?\"<>|") && filepath.IsLocal(filepath.FromSlash(p)) &&
		!strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// Expand puts the user's home folder for a leading ~.
func Expand(p string) (string, error) {
	if p != "~" && !strings.HasPrefix(p, "~/") && !strings.HasPrefix(p, `~\`) {
		return p, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("%s: %w; write the folder out", p, err)
	}
	return filepath.Join(home, p[1:]), nil
}
