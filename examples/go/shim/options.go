package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/log"
	"github.com/containerd/containerd/runtime/linux/runctypes"
	"github.com/containerd/containerd/runtime/v2/runc/options"
	"github.com/containerd/typeurl"
	"github.com/gogo/protobuf/types"

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

const (
	// stateRoot of the runtime, one below it a namespace of containerd's.
	stateRoot = "/run/containerd/riverrun"
	// optionsFile in the bundle is for the shim that cleans up after this one.
	optionsFile = "riverrun.json"
	pidFile     = "init.pid"
)

// readOptions takes the runc shim's options, so that what is configured for one does for the other. What has no meaning where
// no runc is spawned is an error: somebody relies on it.
func readOptions(message *types.Any) (*options.Options, error) {
	if message == nil || message.GetTypeUrl() == "" {
		return &options.Options{}, nil
	}
	value, err := typeurl.UnmarshalAny(message)
	if err != nil {
		return nil, fmt.Errorf("read the runtime's options: %w", err)
	}
	read, err := known(value)
	if err != nil {
		return nil, err
	}
	if read.BinaryName != "" {
		return nil, fmt.Errorf("option BinaryName = %q: this shim spawns no runtime", read.BinaryName)
	}
	return read, nil
}

// known takes both messages that there are: clients send the older one to a shim that they have not heard of.
func known(value interface{}) (*options.Options, error) {
	switch sent := value.(type) {
	case *options.Options:
		return sent, nil
	case *runctypes.CreateOptions:
		if sent.ExternalUnixSockets || sent.Terminal || sent.FileLocks || len(sent.EmptyNamespaces) > 0 || sent.OpenTcp {
			return nil, fmt.Errorf("options of a checkpoint in a create")
		}
		return &options.Options{
			NoPivotRoot: sent.NoPivotRoot, NoNewKeyring: sent.NoNewKeyring, ShimCgroup: sent.ShimCgroup,
			IoUid: sent.IoUid, IoGid: sent.IoGid, CriuImagePath: sent.CriuImagePath, CriuWorkPath: sent.CriuWorkPath,
		}, nil
	}
	return nil, fmt.Errorf("options of type %T: containerd.runc.v1.Options is what this shim knows", value)
}

// readCheckpoint takes either message of what a checkpoint is to be like.
func readCheckpoint(message *types.Any) (*options.CheckpointOptions, error) {
	if message == nil || message.GetTypeUrl() == "" {
		return &options.CheckpointOptions{}, nil
	}
	value, err := typeurl.UnmarshalAny(message)
	if err != nil {
		return nil, fmt.Errorf("read the checkpoint's options: %w", err)
	}
	switch sent := value.(type) {
	case *options.CheckpointOptions:
		return sent, nil
	case *runctypes.CheckpointOptions:
		return &options.CheckpointOptions{
			Exit: sent.Exit, OpenTcp: sent.OpenTcp, ExternalUnixSockets: sent.ExternalUnixSockets, Terminal: sent.Terminal,
			FileLocks: sent.FileLocks, EmptyNamespaces: sent.EmptyNamespaces, CgroupsMode: sent.CgroupsMode,
			ImagePath: sent.ImagePath, WorkPath: sent.WorkPath,
		}, nil
	}
	return nil, fmt.Errorf("options of type %T: containerd.runc.v1.CheckpointOptions is what this shim knows", value)
}

// kept is what optionsFile holds.
type kept struct {
	Root          string `json:"root"`
	SystemdCgroup bool   `json:"systemdCgroup"`
}

// runtimeOptions are those of a namespace's runtime.
func runtimeOptions(namespace string, read *options.Options) riverrun.Options {
	root := read.Root
	if root == "" {
		root = stateRoot
	}
	return riverrun.Options{
		Root: filepath.Join(root, namespace), SystemdCgroup: read.SystemdCgroup, LogLevel: riverrun.LogWarn, Log: tell,
	}
}

func keepOptions(bundle string, made riverrun.Options) error {
	text, err := json.Marshal(kept{made.Root, made.SystemdCgroup})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bundle, optionsFile), text, 0o600)
}

func keptOptions(bundle string) (riverrun.Options, error) {
	text, err := os.ReadFile(filepath.Join(bundle, optionsFile))
	if err != nil {
		return riverrun.Options{}, err
	}
	var found kept
	if err := json.Unmarshal(text, &found); err != nil {
		return riverrun.Options{}, fmt.Errorf("%s: %w", optionsFile, err)
	}
	return riverrun.Options{Root: found.Root, SystemdCgroup: found.SystemdCgroup, LogLevel: riverrun.LogWarn, Log: tell}, nil
}

// tell is the library's log in the shim's.
func tell(level riverrun.Level, line string, _ json.RawMessage) {
	line = strings.TrimSpace(line)
	switch level {
	case riverrun.LogError:
		log.L.Error(line)
	case riverrun.LogWarn:
		log.L.Warn(line)
	default:
		log.L.Info(line)
	}
}
