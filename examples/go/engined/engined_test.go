package main

// The session of README.md against a real engine, and what its API refuses. Needs root and a busybox root filesystem in $ROOTFS;
// tests/bindings/run gives both.

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

type client struct {
	t    *testing.T
	http http.Client
}

// engined serves in a directory of its own and gives a client.
func engined(t *testing.T, data string) *client {
	t.Helper()
	if os.Getenv("ROOTFS") == "" {
		t.Skip("no $ROOTFS: tests/bindings/run sets it")
	}
	e, err := newEngine(data)
	if err != nil {
		t.Fatal(err)
	}
	socket := data + "/socket"
	_ = os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: e.routes()}
	go server.Serve(listener)
	t.Cleanup(func() { e.feed.close(); server.Close() })
	dial := func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) }
	return &client{t, http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: time.Minute}}
}

func (c *client) call(method, path string, body any, status int) string {
	c.t.Helper()
	encoded, _ := json.Marshal(body)
	request, _ := http.NewRequest(method, "http://engine"+path, bytes.NewReader(encoded))
	response, err := c.http.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if response.StatusCode != status {
		c.t.Fatalf("%s %s: %d: %s", method, path, response.StatusCode, text)
	}
	return string(text)
}

func (c *client) expect(text, part string) {
	c.t.Helper()
	if !strings.Contains(text, part) {
		c.t.Fatalf("no %q in %q", part, text)
	}
}

func config(t *testing.T, script string) json.RawMessage {
	t.Helper()
	spec, err := riverrun.Spec(false)
	if err != nil {
		t.Fatal(err)
	}
	var made map[string]any
	if err := json.Unmarshal(spec, &made); err != nil {
		t.Fatal(err)
	}
	made["root"] = map[string]any{"path": os.Getenv("ROOTFS"), "readonly": true}
	process := made["process"].(map[string]any)
	process["terminal"], process["args"] = false, []string{"/bin/sh", "-c", script}
	encoded, _ := json.Marshal(made)
	return encoded
}

func TestAContainersLifeThroughTheAPI(t *testing.T) {
	c := engined(t, t.TempDir())
	id := fmt.Sprintf("engined-%d", os.Getpid())
	c.expect(c.call("GET", "/version", nil, 200), riverrun.Version())
	events := follow(t, c)
	c.call("POST", "/containers", creation{ID: id, Config: config(t, "trap 'exit 3' TERM; echo hello; while :; do sleep 0.1; done")}, 200)
	defer c.http.Do(must(http.NewRequest("DELETE", "http://engine/containers/"+id+"?force=true", nil)))
	c.expect(c.call("GET", "/containers/"+id, nil, 200), `"created"`)
	c.expect(c.call("POST", "/containers", creation{ID: id, Config: config(t, "true")}, 409), "RR_E_EXISTS")
	c.call("POST", "/containers/"+id+"/start", nil, 200)
	c.expect(c.call("POST", "/containers/"+id+"/start", nil, 409), "RR_E_RUNNING")
	c.expect(c.call("GET", "/containers", nil, 200), id)
	c.expect(c.call("POST", "/containers/"+id+"/exec", execution{[]string{"/bin/sh", "-c", "echo inside; exit 4"}}, 200), `{"status":4,"output":"inside\n"}`)
	for end := time.Now().Add(time.Minute); !strings.Contains(c.call("GET", "/containers/"+id+"/logs", nil, 200), "hello\n"); {
		if time.Now().After(end) {
			t.Fatal("no output")
		}
	}
	c.call("DELETE", "/containers/"+id, nil, 409)
	c.call("POST", "/containers/"+id+"/stop?grace=30s", nil, 200)
	c.call("DELETE", "/containers/"+id, nil, 200)
	c.expect(c.call("GET", "/containers/"+id, nil, 404), "RR_E_NOT_FOUND")
	var told []string
	for _, wanted := range []string{"create", "start", "exit", "delete"} {
		e := <-events
		told = append(told, e.Type)
		if e.Type != wanted || e.ID != id || (e.Type == "exit" && *e.Status != 3) {
			t.Fatalf("%v: %+v", told, e)
		}
	}
}

func TestABadRequestChangesNothing(t *testing.T) {
	c := engined(t, t.TempDir())
	c.expect(c.call("POST", "/containers", creation{ID: "a/b", Config: config(t, "true")}, 400), "RR_E_INVALID_ID")
	c.expect(c.call("POST", "/containers", creation{ID: "bad", Config: json.RawMessage(`{"ociVersion":7}`)}, 400), "RR_E_INVALID_SPEC")
	c.call("POST", "/containers", map[string]int{"id": 7}, 400)
	c.call("POST", "/containers", map[string]string{"colour": "red"}, 400)
	c.call("POST", "/containers/nobody/start", nil, 404)
	c.call("PATCH", "/containers", nil, 405)
	if list := c.call("GET", "/containers", nil, 200); list != "[]\n" {
		t.Fatal(list)
	}
}

func TestTheNextEngineFindsWhatRuns(t *testing.T) {
	data := t.TempDir()
	first := engined(t, data)
	id := fmt.Sprintf("engined-next-%d", os.Getpid())
	first.call("POST", "/containers", creation{ID: id, Config: config(t, "sleep 60")}, 200)
	first.call("POST", "/containers/"+id+"/start", nil, 200)
	second := engined(t, data)
	second.expect(second.call("GET", "/containers/"+id, nil, 200), `"running"`)
	second.call("DELETE", "/containers/"+id+"?force=true", nil, 200)
}

func follow(t *testing.T, c *client) chan event {
	t.Helper()
	response, err := c.http.Get("http://engine/events")
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan event, 16)
	go func() {
		defer response.Body.Close()
		defer close(events)
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() {
			var e event
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				events <- e
			}
		}
	}()
	return events
}

func must(request *http.Request, err error) *http.Request {
	if err != nil {
		panic(err)
	}
	return request
}
