module github.com/riverrun/riverrun/examples/go/engined

go 1.19

require github.com/riverrun/riverrun/bindings/go v0.0.0

replace github.com/riverrun/riverrun/bindings/go => ../../../bindings/go
