package riverrun

// #include <poll.h>
// #include <riverrun.h>
import "C"

import (
	"context"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Exit is how a process ended.
type Exit struct {
	// Code if it exited by itself.
	Code int
	// Signal that ended it, else 0.
	Signal syscall.Signal
	// Core: it left a core dump.
	Core bool
	// StatusLost: somebody else reaped it and this kernel does not keep the status; Code and Signal say nothing.
	StatusLost bool
	// At is when its end was seen.
	At time.Time
}

// ShellStatus is the code, or 128 plus the signal.
func (e Exit) ShellStatus() int {
	if e.Signal != 0 {
		return 128 + int(e.Signal)
	}
	return e.Code
}

// Process is made by Container's InitProcess and Exec. It stays valid after the process has ended and after the container is
// deleted.
type Process struct {
	// Pipes are the host's ends of the pipes that were asked for.
	Pipes Pipes

	handle *C.rr_process
	once   sync.Once
}

func newProcess(handle *C.rr_process, pipes Pipes) *Process {
	made := &Process{Pipes: pipes, handle: handle}
	runtime.SetFinalizer(made, func(p *Process) { p.Close() })
	return made
}

// Close gives the handle back; the process goes on, the pipes stay open.
func (p *Process) Close() error {
	p.once.Do(func() {
		runtime.SetFinalizer(p, nil)
		C.rr_process_unref(p.handle)
		p.handle = nil
	})
	return nil
}

// Pid in the host's pid namespace; to act on the process use Signal, which cannot hit another one.
func (p *Process) Pid() int {
	defer runtime.KeepAlive(p)
	return int(C.rr_process_pid(p.handle))
}

// Pidfd is a pidfd of the caller's own: readable once the process has ended.
func (p *Process) Pidfd() (*os.File, error) {
	defer runtime.KeepAlive(p)
	return duplicate(int(C.rr_process_pidfd(p.handle)), "pidfd")
}

// Console is the terminal's master, a file of the caller's own; nil without a terminal.
func (p *Process) Console() (*os.File, error) {
	defer runtime.KeepAlive(p)
	fd := int(C.rr_process_console_fd(p.handle))
	if fd < 0 {
		return nil, nil
	}
	file, err := duplicate(fd, "console")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	again, err := syscall.Dup(number(file))
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	syscall.CloseOnExec(again)
	return pollable(again, "console"), nil
}

func duplicate(fd int, name string) (*os.File, error) {
	copied, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 3)
	if errno != 0 {
		return nil, os.NewSyscallError("fcntl", errno)
	}
	return os.NewFile(copied, name), nil
}

// Wait waits for the end, from any goroutine and any number of times. While it waits it holds no thread.
func (p *Process) Wait(ctx context.Context) (Exit, error) {
	defer runtime.KeepAlive(p)
	if err := parked(ctx, C.rr_process_pidfd(p.handle), "wait for process"); err != nil {
		return Exit{}, err
	}
	var m memory
	defer m.free()
	end := (*C.rr_exit)(m.zeroed(C.sizeof_rr_exit))
	end.size = C.sizeof_rr_exit
	// The process has ended: this does not block.
	if err := check(ctx, func(err **C.rr_error) C.rr_code { return C.rr_process_wait(p.handle, nil, end, err) }); err != nil {
		return Exit{}, err
	}
	return Exit{
		Code: int(end.code), Signal: syscall.Signal(end.sig), Core: end.flags&C.RR_EXIT_CORE != 0,
		StatusLost: end.flags&C.RR_EXIT_STATUS_LOST != 0, At: time.Unix(0, int64(end.exited_ns)),
	}, nil
}

// parked returns when a descriptor of the library's is readable. An epoll of its own holds the descriptor, and the runtime's
// poller that epoll: so the library's descriptor keeps the mode that it has.
func parked(ctx context.Context, fd C.int, doing string) error {
	ready := func(uintptr) bool { return readable(fd) }
	// A descriptor of a forked process is none: the call that follows says so.
	if fd < 0 || ready(0) {
		return nil
	}
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	file := pollable(epoll, "epoll")
	defer file.Close()
	event := syscall.EpollEvent{Events: syscall.EPOLLIN}
	if err := syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, int(fd), &event); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	done := make(chan struct{})
	defer close(done)
	if ctx.Done() != nil {
		go func() {
			select {
			case <-ctx.Done():
				_ = file.SetReadDeadline(time.Unix(1, 0))
			case <-done:
			}
		}()
	}
	if err := conn.Read(ready); err != nil {
		if cause := ctx.Err(); cause != nil {
			return &Error{Code: ErrCancelled, Message: doing + ": " + cause.Error(), Chain: []string{doing, cause.Error()}, cause: cause}
		}
		return err
	}
	return nil
}

func readable(fd C.int) bool {
	var m memory
	defer m.free()
	entry := (*C.struct_pollfd)(m.zeroed(C.sizeof_struct_pollfd))
	entry.fd, entry.events = fd, C.POLLIN
	return C.poll(entry, 1, 0) == 1
}

// Signal sends a signal to this process and to no other.
func (p *Process) Signal(signal syscall.Signal) error {
	defer runtime.KeepAlive(p)
	return check(nil, func(err **C.rr_error) C.rr_code { return C.rr_process_signal(p.handle, C.int(signal), err) })
}

// Resize sets the size of the terminal, in characters.
func (p *Process) Resize(rows, cols uint16) error {
	defer runtime.KeepAlive(p)
	return check(nil, func(err **C.rr_error) C.rr_code {
		return C.rr_process_resize(p.handle, C.uint16_t(rows), C.uint16_t(cols), err)
	})
}

// numbers copies pids.
func numbers(pids *C.pid_t, count int) []int {
	all := make([]int, count)
	for i, pid := range unsafe.Slice(pids, count) {
		all[i] = int(pid)
	}
	return all
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}
