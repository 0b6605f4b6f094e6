package main

import (
	"context"
	"io"
	"os"
	"sync"
	"time"
)

// event is a line of GET /events.
type event struct {
	Time   time.Time `json:"time"`
	Type   string    `json:"type"`
	ID     string    `json:"id"`
	Status *int      `json:"status,omitempty"`
	Text   string    `json:"text,omitempty"`
}

// feed hands events to whoever listens now. A listener that does not keep up loses the oldest ones.
type feed struct {
	mu        sync.Mutex
	listeners map[chan event]struct{}
	closed    bool
}

func newFeed() *feed { return &feed{listeners: map[chan event]struct{}{}} }

func (f *feed) tell(e event) {
	e.Time = time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for listener := range f.listeners {
		for done := false; !done; {
			select {
			case listener <- e:
				done = true
			default:
				<-listener
			}
		}
	}
}

// listen gives what is told from now on; the channel is closed when the engine ends.
func (f *feed) listen() (chan event, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	listener := make(chan event, 256)
	if f.closed {
		close(listener)
		return listener, func() {}
	}
	f.listeners[listener] = struct{}{}
	return listener, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.listeners, listener)
	}
}

func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for listener := range f.listeners {
		close(listener)
		delete(f.listeners, listener)
	}
}

// readUntilEnd reads until the last writer is gone or ctx ends.
func readUntilEnd(ctx context.Context, file *os.File) []byte {
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-ctx.Done():
			_ = file.SetReadDeadline(time.Unix(1, 0))
		case <-done:
		}
	}()
	text, _ := io.ReadAll(file)
	return text
}
