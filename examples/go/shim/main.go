// Command containerd-shim-riverrun-v2 is what containerd starts to look after a container (or a pod's, all in one), and speaks
// to as long as it lives: its task API, version 2. Where the runc shim spawns a program for each operation, this one calls the
// library in its own process.
//
//	ctr run --runtime io.containerd.riverrun.v2 IMAGE ID
//
// README.md says how it is built and set up. What every shim has to do (flags, socket, log, publishing) is containerd's own
// package runtime/v2/shim; what happens to containers is in service.go, container.go and process.go.
package main

import (
	"context"

	"github.com/containerd/containerd/namespaces"
	"github.com/containerd/containerd/pkg/shutdown"
	"github.com/containerd/containerd/plugin"
	"github.com/containerd/containerd/runtime/v2/shim"
)

const name = "io.containerd.riverrun.v2"

func main() {
	plugin.Register(&plugin.Registration{
		Type:     plugin.TTRPCPlugin,
		ID:       "task",
		Requires: []plugin.Type{plugin.EventPlugin, plugin.InternalPlugin},
		InitFn: func(at *plugin.InitContext) (interface{}, error) {
			publisher, err := at.GetByID(plugin.EventPlugin, "publisher")
			if err != nil {
				return nil, err
			}
			end, err := at.GetByID(plugin.InternalPlugin, "shutdown")
			if err != nil {
				return nil, err
			}
			namespace, err := namespaces.NamespaceRequired(at.Context)
			if err != nil {
				return nil, err
			}
			return newService(at.Context, namespace, publisher.(shim.Publisher), end.(shutdown.Service)), nil
		},
	})
	// The library waits for the processes that it makes, each by its pidfd: a reaper of all children would only take their
	// statuses away. And what a container of the host's pid namespace orphans is the init system's, as without a shim.
	shim.RunManager(context.Background(), manager{}, func(config *shim.Config) {
		config.NoReaper = true
		config.NoSubreaper = true
	})
}
