module github.com/riverrun/riverrun/examples/go/shim

go 1.19

require (
	github.com/containerd/cgroups v1.0.4
	github.com/containerd/containerd v1.6.20
	github.com/containerd/fifo v1.0.0
	github.com/containerd/ttrpc v1.1.1
	github.com/containerd/typeurl v1.0.2
	github.com/gogo/protobuf v1.3.2
	github.com/riverrun/riverrun/bindings/go v0.0.0
)

replace github.com/riverrun/riverrun/bindings/go => ../../../bindings/go
