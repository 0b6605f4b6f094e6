package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/containerd/namespaces"
	"github.com/containerd/fifo"

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

// streams are one process's: what it gets itself, and what is moved between it and containerd's client.
//
// Clients open and close their fifos as they come and go. A pipe (or the terminal) between keeps that from the process: it
// neither gets a SIGPIPE nor an end of input because a client went away. Files and loggers are handed to it directly.
type streams struct {
	// io is what the process gets; of it lent is closed once it has it.
	io   riverrun.IO
	lent []*os.File
	// moves are started when the process is there.
	moves  []move
	moving sync.WaitGroup
	// ours is closed at the end.
	ours []io.Closer
	// stdin keeps the client's fifo open, so that the input ends by CloseIO alone.
	stdin  io.Closer
	logger *exec.Cmd
}

// move is one direction of one stream; from or to is nil where it is the terminal.
type move struct {
	from  io.Reader
	to    io.Writer
	ended func()
	input bool
}

// openStreams opens a process's streams. On failure nothing is open.
func openStreams(ctx context.Context, c *container, p *process) (_ *streams, err error) {
	s := &streams{io: riverrun.IO{Rows: p.rows, Cols: p.cols}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := s.openOutputs(ctx, c, p.paths, p.exec); err != nil {
		return nil, err
	}
	return s, s.openInput(c, p.paths)
}

// openOutputs opens stdout and stderr; a terminal has only the first.
func (s *streams) openOutputs(ctx context.Context, c *container, paths paths, exec string) error {
	s.io.Stdout, s.io.Stderr = riverrun.Null, riverrun.Null
	where, err := url.Parse(paths.stdout)
	if err != nil {
		return fmt.Errorf("stdout %q: %w", paths.stdout, err)
	}
	switch where.Scheme {
	case "", "fifo":
		if err := s.openFifo(ctx, c, path(where), paths.terminal, &s.io.Stdout); err != nil || paths.terminal {
			return err
		}
		if where, err = url.Parse(paths.stderr); err != nil {
			return fmt.Errorf("stderr %q: %w", paths.stderr, err)
		}
		return s.openFifo(ctx, c, path(where), false, &s.io.Stderr)
	case "file":
		file, err := os.OpenFile(where.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		s.give(file, paths.terminal, &s.io.Stdout, &s.io.Stderr)
		return nil
	case "binary":
		id := c.id
		if exec != "" {
			id = exec
		}
		return s.openLogger(ctx, where, id, paths.terminal)
	}
	return fmt.Errorf("stdout %q: fifo, file and binary are what a shim knows", paths.stdout)
}

func path(where *url.URL) string { return where.Path }

// give hands a file of ours to the process, or moves a terminal's output there.
func (s *streams) give(file *os.File, terminal bool, to ...*riverrun.Stream) {
	if terminal {
		s.moves = append(s.moves, move{to: file, ended: func() { file.Close() }})
		return
	}
	for _, stream := range to {
		*stream = riverrun.File(file)
	}
	s.lent = append(s.lent, file)
}

// openFifo moves what the process writes to a client's fifo.
func (s *streams) openFifo(ctx context.Context, c *container, path string, terminal bool, stream *riverrun.Stream) error {
	if path == "" {
		return nil
	}
	if found, err := fifo.IsFifo(path); err != nil {
		return err
	} else if !found {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		s.give(file, terminal, stream)
		return nil
	}
	// The first waits for a client; the second keeps the fifo from breaking when that one goes.
	to, err := fifo.OpenFifo(ctx, path, syscall.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	s.ours = append(s.ours, to)
	reader, err := fifo.OpenFifo(ctx, path, syscall.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	s.ours = append(s.ours, reader)
	ended := func() { to.Close(); reader.Close() }
	if terminal {
		s.moves = append(s.moves, move{to: to, ended: ended})
		return nil
	}
	from, theirs, err := pipe(c, false)
	if err != nil {
		return err
	}
	s.ours, s.lent = append(s.ours, from), append(s.lent, theirs)
	*stream = riverrun.File(theirs)
	s.moves = append(s.moves, move{from: from, to: to, ended: ended})
	return nil
}

func (s *streams) openInput(c *container, paths paths) error {
	s.io.Stdin = riverrun.Null
	if paths.stdin == "" {
		return nil
	}
	const flags = syscall.O_NONBLOCK
	from, err := fifo.OpenFifo(context.Background(), paths.stdin, syscall.O_RDONLY|flags, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", paths.stdin, err)
	}
	s.ours = append(s.ours, from)
	if s.stdin, err = fifo.OpenFifo(context.Background(), paths.stdin, syscall.O_WRONLY|flags, 0); err != nil {
		return fmt.Errorf("open %s: %w", paths.stdin, err)
	}
	s.ours = append(s.ours, s.stdin)
	if paths.terminal {
		s.moves = append(s.moves, move{from: from, input: true, ended: func() {}})
		return nil
	}
	to, theirs, err := pipe(c, true)
	if err != nil {
		return err
	}
	s.ours, s.lent = append(s.ours, to), append(s.lent, theirs)
	s.io.Stdin = riverrun.File(theirs)
	s.moves = append(s.moves, move{from: from, to: to, input: true, ended: func() { to.Close() }})
	return nil
}

// pipe gives our end and the process's. Ours parks in the poller; the process's is a blocking one, as programs expect, and is
// owned by whom the options name, so that its /dev/stdout can be opened again.
func pipe(c *container, input bool) (ours, theirs *os.File, err error) {
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	our, their := ends[0], ends[1]
	if input {
		our, their = ends[1], ends[0]
	}
	_ = syscall.SetNonblock(our, true)
	ours, theirs = os.NewFile(uintptr(our), "pipe"), os.NewFile(uintptr(their), "pipe")
	if err := theirs.Chown(int(c.options.IoUid), int(c.options.IoGid)); err != nil {
		ours.Close()
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// openLogger starts a program that reads the output (containerd's runtime/v2/logging): descriptors 3 and 4 are the streams, 5 is
// closed when it is ready.
func (s *streams) openLogger(ctx context.Context, where *url.URL, id string, terminal bool) error {
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return err
	}
	var args []string
	for key, values := range where.Query() {
		args = append(args, key)
		if len(values) > 0 {
			args = append(args, values[0])
		}
	}
	logger := exec.Command(where.Path, args...)
	logger.Env = []string{"CONTAINER_ID=" + id, "CONTAINER_NAMESPACE=" + namespace}
	var ready *os.File
	for _, stream := range []*riverrun.Stream{&s.io.Stdout, &s.io.Stderr, nil} {
		var ends [2]int
		if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
			closeAll(logger.ExtraFiles)
			return os.NewSyscallError("pipe2", err)
		}
		reader, writer := os.NewFile(uintptr(ends[0]), "pipe"), os.NewFile(uintptr(ends[1]), "pipe")
		if stream == nil {
			ready, logger.ExtraFiles = reader, append(logger.ExtraFiles, writer)
			continue
		}
		logger.ExtraFiles = append(logger.ExtraFiles, reader)
		s.give(writer, terminal && stream == &s.io.Stdout, stream)
	}
	defer ready.Close()
	err = logger.Start()
	closeAll(logger.ExtraFiles)
	if err != nil {
		return fmt.Errorf("start the logger: %w", err)
	}
	s.logger = logger
	if _, err := ready.Read(make([]byte, 1)); err != nil && err != io.EOF {
		return fmt.Errorf("wait for the logger: %w", err)
	}
	return nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		file.Close()
	}
}

// start closes what the process has by now, and moves the rest.
func (s *streams) start(handle *riverrun.Process) error {
	closeAll(s.lent)
	s.lent = nil
	console, err := handle.Console()
	if err != nil {
		return err
	}
	if console != nil {
		s.ours = append(s.ours, console)
	}
	for _, m := range s.moves {
		if m.from == nil && console != nil {
			m.from = console
		}
		if m.to == nil && console != nil {
			m.to = console
		}
		if m.from == nil || m.to == nil {
			return fmt.Errorf("a terminal was asked for, and config.json has none")
		}
		s.run(m)
	}
	return nil
}

func (s *streams) run(m move) {
	// Input that nobody sends is not waited for.
	if !m.input {
		s.moving.Add(1)
	}
	go func() {
		_, _ = io.Copy(m.to, m.from)
		m.ended()
		if !m.input {
			s.moving.Done()
		}
	}()
}

func (s *streams) closeStdin() {
	if s.stdin != nil {
		s.stdin.Close()
	}
}

// finish waits for the rest of the output, for so long, and closes everything.
func (s *streams) finish(patience time.Duration) {
	moved := make(chan struct{})
	go func() {
		s.moving.Wait()
		close(moved)
	}()
	select {
	case <-moved:
	case <-time.After(patience):
	}
	s.close()
}

func (s *streams) close() {
	closeAll(s.lent)
	for _, end := range s.ours {
		end.Close()
	}
	s.lent, s.ours = nil, nil
	if logger := s.logger; logger != nil {
		s.logger = nil
		// It ends by itself when it has read all.
		go func() {
			late := time.AfterFunc(10*time.Second, func() { _ = logger.Process.Kill() })
			defer late.Stop()
			_ = logger.Wait()
		}()
	}
}
