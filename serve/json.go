package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"time"

	"keyhole.example/keyhole/internal/seal"
)

// maxBody bounds what a request may hold, in bytes.
const maxBody = 256 << 10

// maxDepth bounds how deep a request's JSON may be nested.
const maxDepth = 32

// read takes the body of a request: JSON of the given type, and nothing behind it.
// Members that the type does not have are refused, unless loose is set.
func read(w http.ResponseWriter, r *http.Request, into any, loose bool) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &problem{http.StatusUnsupportedMediaType, "", "the body must be JSON, with Content-Type application/json"}
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return err
		}
		return wrong("", "the body could not be read: %v", err)
	}
	// the time limit is for bodies; what is computed for them may take longer
	if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if err := seal.CheckText(raw); err != nil {
		return wrong("", "the body is no JSON text: %v", err)
	}
	if deep(raw) {
		return wrong("", "the body is nested deeper than %d", maxDepth)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if !loose {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(into); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return wrong(kind.Field, "%s has to be %s, not %s", kind.Field, kind.Type, kind.Value)
		}
		return wrong("", "the body is no JSON that fits: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return wrong("", "something follows the JSON value")
	}
	return nil
}

// deep reports whether brackets outside of strings are nested deeper than
// maxDepth.
func deep(text []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// reply answers with JSON.
func reply(w http.ResponseWriter, status int, v any) {
	raw, err := encode(v)
	if err != nil { // a number that JSON lacks
		raw, status = []byte(`{"error":{"message":"the answer cannot be written as JSON","field":""}}`), http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(raw, '\n')) // a client that is gone misses nothing
}

// encode is v as JSON, with texts as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// finite is v, or 0 where it is no number: JSON has no other.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}
