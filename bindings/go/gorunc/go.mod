module github.com/riverrun/riverrun/bindings/go/gorunc

go 1.19

require (
	github.com/containerd/go-runc v1.0.0
	github.com/opencontainers/runtime-spec v1.0.2
	github.com/riverrun/riverrun/bindings/go v0.0.0
	golang.org/x/sys v0.0.0-20210324051608-47abb6519492
)

replace github.com/riverrun/riverrun/bindings/go => ../
