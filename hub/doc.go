// Package hub finds models and data sets by name, and fetches what is missing.
//
// A name is a path, or a repository of the Hugging Face hub,
// org/name[@revision][:file], or a short name of a data set (zsre). Names that
// are paths stay what they are; all others end in the cache that the hub's own
// library uses too, so that what one of them fetched serves the other.
//
//	c, err := hub.FromEnv(os.Getenv)
//	path, err := c.Model(ctx, "Qwen/Qwen2.5-0.5B")  // fetched only if it is not there
//	path, err = c.Data(ctx, "zsre/eval")
//	path, err = c.Pull(ctx, "Qwen/Qwen2.5-0.5B")    // asks the hub for what is new
//
// Reading order: name.go (what a name means), resolve.go (Model, Data, Pull),
// want.go (which files of a repository are fetched), fetch.go (one file),
// client.go (requests), cache.go (where files lie), known.go (the table of data
// sets). Package hubtest has a hub on loopback for tests.
//
// Promises:
//   - A file is in the cache whole and verified, or not at all: its size, and
//     the SHA-256 (LFS files) or git's hash (others) that the hub names it by.
//   - A part of a file is kept and continued by a range request, also after the
//     program was killed.
//   - Several programs may fetch the same at once: one does, the others wait.
//   - The token goes to the hub's own address and nowhere else; redirects are
//     bounded and never leave https for http.
//   - Only files of the kinds that the program reads are fetched, nothing is
//     written outside the cache, and nothing from the hub is run.
//   - Without a network, or with HF_HUB_OFFLINE, the error says what to fetch,
//     from where, how large it is, and where to put it.
package hub
