package data_test

import (
	"flag"
	"testing"

	"keyhole.example/keyhole/data/datatest"
)

var update = flag.Bool("update", false, "write the .want files of testdata anew")

func TestConformance(t *testing.T) { datatest.Run(t, "testdata", *update) }
