package main

import (
	"errors"
	"fmt"

	"github.com/containerd/containerd/errdefs"

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

// kinds says what containerd calls the library's codes; any other is unknown to it.
var kinds = map[riverrun.Code]error{
	riverrun.ErrInvalidArgument: errdefs.ErrInvalidArgument,
	riverrun.ErrInvalidSpec:     errdefs.ErrInvalidArgument,
	riverrun.ErrInvalidID:       errdefs.ErrInvalidArgument,
	riverrun.ErrUnsupported:     errdefs.ErrNotImplemented,
	riverrun.ErrBusy:            errdefs.ErrUnavailable,
	riverrun.ErrExists:          errdefs.ErrAlreadyExists,
	riverrun.ErrNotFound:        errdefs.ErrNotFound,
	riverrun.ErrNotRunning:      errdefs.ErrFailedPrecondition,
	riverrun.ErrRunning:         errdefs.ErrFailedPrecondition,
	riverrun.ErrPaused:          errdefs.ErrFailedPrecondition,
	riverrun.ErrNotPaused:       errdefs.ErrFailedPrecondition,
}

// outward is an error as it goes to containerd: with what was done, in the words that its clients know from the runc shim.
func outward(doing string, err error) error {
	if err == nil {
		return nil
	}
	var ours *riverrun.Error
	if errors.As(err, &ours) {
		if kind, ok := kinds[ours.Code]; ok {
			return errdefs.ToGRPC(fmt.Errorf("%s: %s: %w", doing, ours.Message, kind))
		}
	}
	return errdefs.ToGRPC(fmt.Errorf("%s: %w", doing, err))
}

// finished is what a signal to a process that has ended gets; clients take it for done.
func finished() error {
	return errdefs.ToGRPC(fmt.Errorf("process already finished: %w", errdefs.ErrNotFound))
}
