// Package serve answers for a base model over HTTP: a page to try edits on, the
// JSON API that the page uses, and OpenAI's completions on the edited model.
//
// The central type is Server. One goroutine, the worker, computes with the model;
// requests become jobs that wait in a fair queue (queue.go, job.go). Every edit is
// made to the base model, by itself, and the model is the base with the edits that
// are on: what keyhole edits apply makes of their files (desk.go). The list of
// edits is kept in a folder (store.go) and survives a kill at any moment.
//
// Read server.go, guard.go (who may ask, and how much), desk.go, trial.go, edits.go
// and openai.go; openapi.yaml describes every route.
package serve
