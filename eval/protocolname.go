package eval

import (
	"fmt"
	"strings"
)

// protocolNames are the short names of Protocols, as they are typed.
func protocolNames() [][2]string {
	return [][2]string{
		{"single", "single_restore"}, {"batch", "batch"},
		{"sequential", "sequential_final"}, {"sequential-immediate", "sequential_immediate"},
		{"sequential-both", "sequential_both"},
	}
}

// ProtocolNames are the short names of Protocols, for flags and configurations.
func ProtocolNames() []string {
	var out []string
	for _, n := range protocolNames() {
		out = append(out, n[0])
	}
	return out
}

// FindProtocol returns the one of Protocols that a short name stands for.
func FindProtocol(short string) (string, error) {
	for _, n := range protocolNames() {
		if n[0] == short {
			return n[1], nil
		}
	}
	return "", fmt.Errorf("protocol %q is none of %s", short, strings.Join(ProtocolNames(), ", "))
}

// InSequence reports whether a protocol, by either name, makes edits in a row.
func InSequence(protocol string) bool { return strings.HasPrefix(protocol, "sequential") }
