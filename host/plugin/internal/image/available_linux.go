package image

import (
	"bytes"
	"errors"
	"fmt"
	"os"
)

func try() error {
	err := strict()
	if err == nil {
		err = tryAll()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// strict returns an error if the system counts what could be written to as taken.
// Regions are far larger than what is written.
func strict() error {
	mode, err := os.ReadFile("/proc/sys/vm/overcommit_memory")
	if err == nil && string(bytes.TrimSpace(mode)) == "2" {
		return errors.New("vm.overcommit_memory is 2, which counts address space as memory; it must be 0 or 1")
	}
	return nil
}

// tryAll does once all that memories do, and looks whether it came out right.
func tryAll() error {
	const size, limit = 2 * Granularity, 3 * Granularity
	first, second := make([]byte, size), make([]byte, size)
	first[0], first[Granularity], second[Granularity] = 1, 2, 3
	a, err := New(first)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := New(second)
	if err != nil {
		return err
	}
	defer b.Close()
	m, err := Map(a, limit)
	if err != nil {
		return err
	}
	defer m.Release()

	mem, s := m.Bytes(limit), new(Scratch)
	if mem[0] != 1 || mem[size] != 0 {
		return wrong("a memory does not equal its image")
	}
	if n, err := m.Dirty(size, s); err != nil || n != 0 {
		return orElse(err, "the kernel says that a memory which was only read has %d bytes of its own", n)
	}
	mem[Granularity] = 5
	mem[size] = 4
	if n, err := m.Dirty(limit, s); err != nil || n != 2*max(systemPage, pageSize) {
		return orElse(err, "the kernel says that two pages which were written to have %d bytes", n)
	}
	delta, err := m.Delta(limit, b, s, nil)
	if err != nil {
		return err
	}
	if err := m.Reset(b); err != nil {
		return err
	}
	if mem[0] != 0 || mem[Granularity] != 3 || mem[size] != 0 {
		return wrong("a memory that was reset does not equal its image")
	}
	if err := m.Apply(delta); err != nil {
		return err
	}
	if mem[0] != 1 || mem[Granularity] != 5 || mem[size] != 4 {
		return wrong("a memory is not what it was after its delta was applied")
	}
	return m.Reset(b)
}

// errWrong is that the kernel did everything and it came out differently.
var errWrong = errors.New("it was tried")

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w, and %s", errWrong, fmt.Sprintf(format, args...))
}

func orElse(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return wrong(format, args...)
}
