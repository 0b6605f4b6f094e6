package riverrun

// #include <riverrun.h>
import "C"

import (
	"os"
	"syscall"
	"unsafe"
)

// Stream is where one standard stream of a process leads.
type Stream struct {
	kind C.uint32_t
	file *os.File
}

var (
	// Inherit is the host's own stream; it is the zero Stream.
	Inherit = Stream{}
	// Null is /dev/null.
	Null = Stream{kind: C.RR_STDIO_NULL}
	// Pipe is a new pipe; the host's end is in Pipes.
	Pipe = Stream{kind: C.RR_STDIO_PIPE}
)

// File is an open file, which stays the caller's.
func File(file *os.File) Stream { return Stream{kind: C.RR_STDIO_FD, file: file} }

// IO is streams, terminal and further descriptors of a process; the zero IO is the host's own three streams. The three are
// ignored when the process has a terminal.
type IO struct {
	Stdin, Stdout, Stderr Stream
	// ConsoleSocket is a listening unix socket that receives the terminal's master; empty: Process.Console.
	ConsoleSocket string
	// Rows and Cols are the terminal's first size.
	Rows, Cols uint16
	// Files are further files, by their number in the process: 3 or more.
	Files map[int]*os.File
}

// NullIO leads nowhere.
var NullIO = IO{Stdin: Null, Stdout: Null, Stderr: Null}

// Pipes are the host's ends of pipes, nil where none was asked for. The caller closes them.
type Pipes struct {
	Stdin, Stdout, Stderr *os.File
}

// Close closes those that there are.
func (p *Pipes) Close() error {
	for _, file := range []*os.File{p.Stdin, p.Stdout, p.Stderr} {
		if file != nil {
			file.Close()
		}
	}
	return nil
}

// lend makes the rr_io of a call.
func (io *IO) lend(m *memory) *C.rr_io {
	c := (*C.rr_io)(m.zeroed(C.sizeof_rr_io))
	C.rr_io_init(c, C.sizeof_rr_io)
	for _, pair := range []struct {
		to   *C.rr_stdio
		from Stream
	}{{&c.in, io.Stdin}, {&c.out, io.Stdout}, {&c.err, io.Stderr}} {
		pair.to.kind = pair.from.kind
		if pair.from.file != nil {
			pair.to.fd = C.int32_t(number(pair.from.file))
		}
	}
	c.console_socket = m.optional(io.ConsoleSocket)
	c.rows, c.cols = C.uint16_t(io.Rows), C.uint16_t(io.Cols)
	if len(io.Files) > 0 {
		block := m.zeroed(C.size_t(len(io.Files)) * C.sizeof_rr_fd_map)
		fds := unsafe.Slice((*C.rr_fd_map)(block), len(io.Files))
		next := 0
		for inside, file := range io.Files {
			fds[next] = C.rr_fd_map{host_fd: C.int32_t(number(file)), container_fd: C.int32_t(inside)}
			next++
		}
		c.fds, c.n_fds = (*C.rr_fd_map)(block), C.size_t(len(io.Files))
	}
	return c
}

// number is the descriptor of an open file, -1 of a closed one. (File.Fd would make the file a blocking one.)
func number(file *os.File) int {
	found := -1
	if conn, err := file.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { found = int(fd) })
	}
	return found
}

// pollable is a file whose reads and writes park in the runtime's poller. It owns the descriptor.
func pollable(fd int, name string) *os.File {
	_ = syscall.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), name)
}

// pipes takes the host's ends, once, after the call succeeded.
func pipes(c *C.rr_io) Pipes {
	take := func(stream C.rr_stdio, name string) *os.File {
		if stream.kind != C.RR_STDIO_PIPE {
			return nil
		}
		return pollable(int(stream.fd), name)
	}
	return Pipes{take(c.in, "stdin"), take(c.out, "stdout"), take(c.err, "stderr")}
}
