package runc

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

// Checkpoint writes a container's processes as images. It stops unless LeaveRunning is among the actions.
func (r *Runc) Checkpoint(ctx context.Context, id string, opts *CheckpointOpts, actions ...CheckpointAction) error {
	if opts == nil {
		opts = &CheckpointOpts{}
	}
	shared, err := r.criu(opts)
	if err != nil {
		return err
	}
	images, work := directories(opts)
	options := riverrun.CheckpointOptions{Images: images, Work: work, Parent: opts.ParentPath, Status: opts.StatusFile, CRIU: shared}
	if opts.CriuPageServer != "" {
		host, port, err := net.SplitHostPort(opts.CriuPageServer)
		if err != nil {
			return fmt.Errorf("page server %s: %w", opts.CriuPageServer, err)
		}
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return fmt.Errorf("page server %s: %w", opts.CriuPageServer, err)
		}
		options.PageServer, options.PageServerPort = host, uint16(number)
	}
	for _, action := range actions {
		for _, flag := range action(nil) {
			switch flag {
			case "--leave-running":
				options.LeaveRunning = true
			case "--pre-dump":
				options.PreDump = true
			default:
				return fmt.Errorf("checkpoint %s: no option %s: %w", id, flag, riverrun.ErrUnsupported)
			}
		}
	}
	return r.on(id, func(container *riverrun.Container) error { return container.Checkpoint(ctx, options) })
}

// criu is what a checkpoint and a restore share.
func (r *Runc) criu(opts *CheckpointOpts) (riverrun.CRIUOptions, error) {
	shared := riverrun.CRIUOptions{
		TCPEstablished: opts.AllowOpenTCP, ExtUnixSockets: opts.AllowExternalUnixSockets, ShellJob: opts.AllowTerminal,
		FileLocks: opts.FileLocks, LazyPages: opts.LazyPages, Program: r.Criu,
	}
	if shared.Program == "" {
		shared.Program, _ = exec.LookPath("criu") // As runc finds it; without one, the library says so.
	}
	for _, empty := range opts.EmptyNamespaces {
		if empty != "network" { // That one always is.
			return shared, fmt.Errorf("empty namespace %s: %w", empty, riverrun.ErrUnsupported)
		}
	}
	modes := map[CgroupMode]riverrun.ManageCgroups{
		"": riverrun.CgroupsSoft, Soft: riverrun.CgroupsSoft, Full: riverrun.CgroupsFull, Strict: riverrun.CgroupsStrict,
		"ignore": riverrun.CgroupsIgnore,
	}
	mode, ok := modes[opts.Cgroups]
	if !ok {
		return shared, fmt.Errorf("cgroups mode %s: %w", opts.Cgroups, riverrun.ErrInvalidArgument)
	}
	shared.ManageCgroups = mode
	return shared, nil
}

func directories(opts *CheckpointOpts) (images, work riverrun.Directory) {
	images.Path, work.Path = opts.ImagePath, opts.WorkDir
	if images.Path == "" {
		images.Path = "checkpoint" // In the working directory, as runc does.
	}
	return images, work
}

// Restore makes a container of a checkpoint's images. Without Detach it waits for its end, deletes it, and returns its exit status.
func (r *Runc) Restore(ctx context.Context, id, bundle string, opts *RestoreOpts) (int, error) {
	if opts == nil {
		opts = &RestoreOpts{}
	}
	shared, err := r.criu(&opts.CheckpointOpts)
	if err != nil {
		return -1, err
	}
	restore := riverrun.RestoreOptions{CRIU: shared}
	restore.Images, restore.Work = directories(&opts.CheckpointOpts)
	status := -1
	err = r.with(func(runtime *riverrun.Runtime) error {
		streams := lend(opts.IO, opts.ConsoleSocket)
		options := riverrun.CreateOptions{Bundle: bundle, NoPivot: opts.NoPivot, IO: streams.io}
		if err := absolute(&options.PidFile, opts.PidFile); err != nil {
			return err
		}
		container, err := runtime.Restore(ctx, id, options, restore)
		if err != nil {
			return err
		}
		defer container.Close()
		if err := streams.taken(opts.IO, container.Pipes); err != nil {
			return err
		}
		status, err = finish(ctx, container, opts.Detach, nil, streams)
		return err
	})
	return status, err
}
