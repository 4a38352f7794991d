package serve

import "net/http"

func failOpenAI(w http.ResponseWriter, err error) { fail(w, err) }
