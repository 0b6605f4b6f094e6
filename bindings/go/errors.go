package riverrun

// #include <riverrun.h>
import "C"

import (
	"context"
	"syscall"
)

// Code is one of riverrun.h's RR_E_*. Codes are errors, so that errors.Is(err, riverrun.ErrNotFound) asks for one.
type Code int32

// The codes that programs tell apart; riverrun.h has them all.
const (
	ErrInternal        Code = C.RR_E_INTERNAL
	ErrInvalidArgument Code = C.RR_E_INVALID_ARGUMENT
	ErrUnsupported     Code = C.RR_E_UNSUPPORTED
	ErrForked          Code = C.RR_E_FORKED
	ErrTimeout         Code = C.RR_E_TIMEOUT
	ErrCancelled       Code = C.RR_E_CANCELLED
	ErrBusy            Code = C.RR_E_BUSY
	ErrInvalidSpec     Code = C.RR_E_INVALID_SPEC
	ErrInvalidID       Code = C.RR_E_INVALID_ID
	ErrExists          Code = C.RR_E_EXISTS
	ErrNotFound        Code = C.RR_E_NOT_FOUND
	ErrNotRunning      Code = C.RR_E_NOT_RUNNING
	ErrRunning         Code = C.RR_E_RUNNING
	ErrPaused          Code = C.RR_E_PAUSED
	ErrNotPaused       Code = C.RR_E_NOT_PAUSED
	ErrExecNotFound    Code = C.RR_E_EXEC_NOT_FOUND
	ErrExecPermission  Code = C.RR_E_EXEC_PERMISSION
	ErrPermission      Code = C.RR_E_PERMISSION
	ErrCgroup          Code = C.RR_E_CGROUP
	ErrOOM             Code = C.RR_E_OOM
	ErrHook            Code = C.RR_E_HOOK
	ErrConsole         Code = C.RR_E_CONSOLE
	ErrCRIU            Code = C.RR_E_CRIU
	ErrSystem          Code = C.RR_E_SYSTEM
)

// Error is the code's name in riverrun.h.
func (c Code) Error() string { return C.GoString(C.rr_code_name(C.rr_code(c))) }

// Error is a call that did not succeed.
//
// errors.Is finds its Code, the syscall.Errno that was the cause, and context.Canceled or context.DeadlineExceeded if the call's
// context ended it.
type Error struct {
	// Code is stable; the message is not.
	Code Code
	// Errno of the system call that did not succeed, 0 if none is the cause.
	Errno syscall.Errno
	// Message is the whole story in one line.
	Message string
	// Chain is what was being done, outermost first, and last the cause.
	Chain []string
	// Details are facts by name: phase, step, path, syscall, hook.
	Details map[string]string

	cause error
}

func (e *Error) Error() string { return e.Message }

// Is says whether target is the code.
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == e.Code
}

// Unwrap is the end of the call's context, or the errno.
func (e *Error) Unwrap() error {
	if e.cause != nil {
		return e.cause
	}
	if e.Errno != 0 {
		return e.Errno
	}
	return nil
}

var detailNames = []string{"phase", "step", "path", "syscall", "hook", "criu-log", "migration"}

// check makes a call, and takes over the error that it gives.
func check(ctx context.Context, call func(**C.rr_error) C.rr_code) error {
	var m memory
	defer m.free()
	slot := (**C.rr_error)(m.zeroed(C.size_t(C.sizeof_size_t)))
	if call(slot) == C.RR_OK {
		return nil
	}
	handle := *slot
	defer C.rr_error_free(handle)
	taken := &Error{
		Code:    Code(C.rr_error_code(handle)),
		Errno:   syscall.Errno(C.rr_error_errno(handle)),
		Message: C.GoString(C.rr_error_message(handle)),
		Details: map[string]string{},
	}
	for i := C.size_t(0); i < C.rr_error_chain_len(handle); i++ {
		taken.Chain = append(taken.Chain, C.GoString(C.rr_error_chain(handle, i)))
	}
	for _, name := range detailNames {
		if value := C.rr_error_detail(handle, m.text(name)); value != nil {
			taken.Details[name] = C.GoString(value)
		}
	}
	if ctx != nil && taken.Code == ErrCancelled {
		taken.cause = ctx.Err()
	}
	return taken
}
