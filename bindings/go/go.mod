module github.com/riverrun/riverrun/bindings/go

go 1.19
