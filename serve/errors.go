package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// problem is an error that the client can do something about.
type problem struct {
	status  int
	field   string // of the request; "": none in particular
	message string
}

func (p *problem) Error() string { return p.message }

// wrong says that a field of the request cannot be used.
func wrong(field, format string, args ...any) error {
	return &problem{http.StatusBadRequest, field, fmt.Sprintf(format, args...)}
}

// missing says that there is nothing of that name.
func missing(what, name string) error {
	return &problem{http.StatusNotFound, "", fmt.Sprintf("there is no %s %q", what, name)}
}

// refused says that the request does not fit the state of the server.
func refused(format string, args ...any) error {
	return &problem{http.StatusConflict, "", fmt.Sprintf(format, args...)}
}

// statusOf is an error's status and the field at fault.
func statusOf(err error) (status int, field string) {
	var p *problem
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p.status, p.field
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge, ""
	case errors.Is(err, errFull):
		return http.StatusTooManyRequests, ""
	case errors.Is(err, errStopping), errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable, ""
	}
	return http.StatusInternalServerError, ""
}

// errorBody is an error as the API tells it, of a request or of a job.
type errorBody struct {
	Message string `json:"message"`
	Field   string `json:"field"`
}

func errorOf(err error) *errorBody {
	status, field := statusOf(err)
	return &errorBody{messageOf(err, status), field}
}

// fail answers with an error.
func fail(w http.ResponseWriter, err error) {
	status, _ := statusOf(err)
	later(w, status)
	reply(w, status, map[string]any{"error": errorOf(err)})
}

// later tells clients of a full server when to come again.
func later(w http.ResponseWriter, status int) {
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
}

// retryAfter is how many seconds a client shall wait before it asks again.
const retryAfter = 2

func messageOf(err error, status int) string {
	if status == http.StatusRequestEntityTooLarge {
		return fmt.Sprintf("the body is larger than %d bytes", maxBody)
	}
	return err.Error()
}
