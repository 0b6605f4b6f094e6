package riverrun

// #include <riverrun.h>
import "C"

import (
	"context"
	"os"
	"syscall"
	"unsafe"
)

// limits is an rr_call whose descriptor becomes readable when a context ends.
type limits struct {
	call *C.rr_call
	done chan struct{}
	gone chan struct{}
	file *os.File
}

// limit lends a context to a call; end it afterwards. A context that cannot end costs nothing.
func limit(ctx context.Context, m *memory) (*limits, error) {
	l := &limits{}
	if ctx.Done() == nil {
		return l, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, &Error{Code: ErrCancelled, Message: "cancelled: " + err.Error(), Chain: []string{"cancelled", err.Error()}, cause: err}
	}
	fd, _, errno := syscall.Syscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		return nil, &Error{Code: ErrSystem, Errno: errno, Message: "eventfd: " + errno.Error(), Chain: []string{"eventfd", errno.Error()}}
	}
	l.file = os.NewFile(fd, "eventfd")
	l.call = (*C.rr_call)(m.zeroed(C.sizeof_rr_call))
	l.call.size = C.sizeof_rr_call
	l.call.cancel_fd_plus1 = C.int32_t(fd) + 1
	l.done, l.gone = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(l.gone)
		select {
		case <-ctx.Done():
			one := uint64(1)
			_, _ = l.file.Write((*[8]byte)(unsafe.Pointer(&one))[:])
		case <-l.done:
		}
	}()
	return l, nil
}

func (l *limits) end() {
	if l.file == nil {
		return
	}
	close(l.done)
	<-l.gone
	l.file.Close()
}

// limited makes a call that a context may end.
func limited(ctx context.Context, m *memory, call func(*C.rr_call, **C.rr_error) C.rr_code) error {
	l, err := limit(ctx, m)
	if err != nil {
		return err
	}
	defer l.end()
	return check(ctx, func(e **C.rr_error) C.rr_code { return call(l.call, e) })
}
