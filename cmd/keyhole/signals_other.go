//go:build !unix

package main

import "os"

// jobSignals are those by which schedulers tell that time is short: none here.
var jobSignals []os.Signal
