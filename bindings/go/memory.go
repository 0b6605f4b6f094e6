package riverrun

// #include <stdlib.h>
// #include <string.h>
import "C"

import "unsafe"

// memory is what is lent to the library for one call: option structs point to one another, which memory of Go's may not do.
type memory struct {
	blocks []unsafe.Pointer
}

func (m *memory) free() {
	for _, block := range m.blocks {
		C.free(block)
	}
}

func (m *memory) zeroed(size C.size_t) unsafe.Pointer {
	block := C.calloc(1, size)
	m.blocks = append(m.blocks, block)
	return block
}

// text is a C string.
func (m *memory) text(s string) *C.char {
	block := unsafe.Pointer(C.CString(s))
	m.blocks = append(m.blocks, block)
	return (*C.char)(block)
}

// optional is a C string, NULL for an empty one.
func (m *memory) optional(s string) *C.char {
	if s == "" {
		return nil
	}
	return m.text(s)
}

func (m *memory) bytes(b []byte) unsafe.Pointer {
	if len(b) == 0 {
		return unsafe.Pointer(m.text(""))
	}
	block := C.CBytes(b)
	m.blocks = append(m.blocks, block)
	return block
}

// texts is an array of C strings.
func (m *memory) texts(all []string) **C.char {
	block := m.zeroed(C.size_t(len(all)) * C.sizeof_size_t)
	for i, text := range all {
		unsafe.Slice((**C.char)(block), len(all))[i] = m.text(text)
	}
	return (**C.char)(block)
}
