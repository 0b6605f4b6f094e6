package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

// routes is the API:
//
//	GET    /version
//	GET    /containers                 all, as the runtime's list
//	POST   /containers                 {"id": …, "bundle": … | "config": {…}}
//	GET    /containers/ID              its state
//	POST   /containers/ID/start
//	POST   /containers/ID/exec         {"args": […]} → {"status": …, "output": …}
//	POST   /containers/ID/stop         ?grace=10s
//	GET    /containers/ID/logs
//	DELETE /containers/ID              ?force=true
//	GET    /events                     a line of JSON each, until the client goes
func (e *engine) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]string{"riverrun": riverrun.Version()}, nil)
	})
	mux.HandleFunc("/events", e.events)
	mux.HandleFunc("/containers", e.all)
	mux.HandleFunc("/containers/", e.one)
	return mux
}

func (e *engine) all(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		list, err := e.runtime.List()
		if list == nil {
			list = []riverrun.StateDocument{}
		}
		answer(w, list, err)
	case http.MethodPost:
		var request creation
		if read(w, r, &request) {
			err := e.create(r.Context(), request)
			answer(w, map[string]string{"id": request.ID}, err)
		}
	default:
		refuse(w, http.StatusMethodNotAllowed, "GET or POST", "")
	}
}

func (e *engine) one(w http.ResponseWriter, r *http.Request) {
	id, verb, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/containers/"), "/")
	switch r.Method + " " + verb {
	case "GET ":
		container, err := e.container(id)
		if err != nil {
			answer(w, nil, err)
			return
		}
		state, err := container.StateDocument()
		answer(w, state, err)
	case "DELETE ":
		answer(w, struct{}{}, e.delete(r.Context(), id, r.URL.Query().Get("force") == "true"))
	case "POST start":
		answer(w, struct{}{}, e.start(r.Context(), id))
	case "POST exec":
		var request execution
		if read(w, r, &request) {
			done, err := e.exec(r.Context(), id, request)
			answer(w, done, err)
		}
	case "POST stop":
		grace := 10 * time.Second
		if text := r.URL.Query().Get("grace"); text != "" {
			parsed, err := time.ParseDuration(text)
			if err != nil || parsed <= 0 {
				refuse(w, http.StatusBadRequest, "grace: not a positive duration", "")
				return
			}
			grace = parsed
		}
		answer(w, struct{}{}, e.stop(r.Context(), id, grace))
	case "GET logs":
		if _, err := e.container(id); err != nil {
			answer(w, nil, err)
			return
		}
		http.ServeFile(w, r, e.output(id))
	default:
		refuse(w, http.StatusNotFound, "no such call", "")
	}
}

// events streams until the client goes away or the engine ends.
func (e *engine) events(w http.ResponseWriter, r *http.Request) {
	listener, leave := e.feed.listen()
	defer leave()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	flusher, _ := w.(http.Flusher)
	for {
		if flusher != nil {
			flusher.Flush()
		}
		select {
		case told, open := <-listener:
			if !open || json.NewEncoder(w).Encode(told) != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

func read(w http.ResponseWriter, r *http.Request, request any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 8<<20))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(request); err != nil {
		refuse(w, http.StatusBadRequest, "request: "+err.Error(), "")
		return false
	}
	return true
}

// answer is the value, or the error with the status that its code means.
func answer(w http.ResponseWriter, value any, err error) {
	if err == nil {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(value)
		return
	}
	status := http.StatusInternalServerError
	for code, meaning := range map[riverrun.Code]int{
		riverrun.ErrNotFound: http.StatusNotFound, riverrun.ErrExists: http.StatusConflict,
		riverrun.ErrRunning: http.StatusConflict, riverrun.ErrNotRunning: http.StatusConflict,
		riverrun.ErrPaused: http.StatusConflict, riverrun.ErrInvalidID: http.StatusBadRequest,
		riverrun.ErrInvalidSpec: http.StatusBadRequest, riverrun.ErrInvalidArgument: http.StatusBadRequest,
		riverrun.ErrExecNotFound: http.StatusBadRequest,
	} {
		if errors.Is(err, code) {
			status = meaning
		}
	}
	if errors.Is(err, os.ErrNotExist) && status == http.StatusInternalServerError {
		status = http.StatusNotFound
	}
	name := ""
	var taken *riverrun.Error
	var code riverrun.Code
	if errors.As(err, &taken) {
		name = taken.Code.Error()
	} else if errors.As(err, &code) {
		name = code.Error()
	}
	refuse(w, status, err.Error(), name)
}

func refuse(w http.ResponseWriter, status int, text, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text, "code": code})
}
