// Package golden finds the values that reference implementations computed, and
// the models and data sets beside them, for tests.
package golden

import (
	"os"
	"path/filepath"
	"testing"
)

// Variable is the environment variable that names the folder with golden/,
// models/ and data/.
const Variable = "KEYHOLE_SHARED"

// Path joins the folder's path and parts. Where there is no such folder it skips
// the test.
func Path(t testing.TB, parts ...string) string {
	t.Helper()
	dir := os.Getenv(Variable)
	if dir == "" {
		t.Skipf("set %s to the folder with golden/, models/ and data/ to run this", Variable)
	}
	return filepath.Join(append([]string{dir}, parts...)...)
}
