// Command engined is a small container engine: an HTTP/JSON API over a unix socket, with the containers made in this process by
// the riverrun package. README.md shows a session with curl.
//
//	engined --socket /run/engined.sock --data /var/lib/engined
//
// What a real engine adds is images and networks; what this one has is the whole life of a container, its output in a file, and
// a stream of what happens.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	socket := flag.String("socket", "/run/engined.sock", "where to listen")
	data := flag.String("data", "/var/lib/engined", "where output is kept, and the state of containers")
	flag.Parse()
	if err := serve(*socket, *data); err != nil {
		log.Fatalf("engined: %v", err)
	}
}

func serve(socket, data string) error {
	engine, err := newEngine(data)
	if err != nil {
		return err
	}
	// A socket that an engine left which was killed.
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return err
	}
	server := &http.Server{Handler: engine.routes(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-ended
		// Containers go on; the next engine finds them by the state root.
		engine.feed.close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
	}()
	log.Printf("engined: listening on %s", socket)
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}
