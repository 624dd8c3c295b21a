package crash

import (
	"io"
	"syscall"
)

// file is an open handle.
type file struct {
	disk     *Disk
	node     *node
	name     string
	life     int
	writable bool
	closed   bool
	behind
}

func (f *file) check() error {
	if f.closed || f.life != f.disk.life {
		return syscall.EBADF
	}
	return nil
}

func (f *file) ReadAt(b []byte, offset int64) (int, error) {
	if err := f.check(); err != nil {
		return 0, err
	}
	if _, err := f.disk.do(Op{Kind: Read, Name: f.name, Size: len(b)}); err != nil {
		return 0, err
	}
	if offset >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.node.data[offset:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(b []byte, offset int64) (int, error) {
	if err := f.check(); err != nil {
		return 0, err
	}
	if !f.writable {
		return 0, syscall.EBADF
	}
	keep, err := f.disk.do(Op{Kind: Write, Name: f.name, Size: len(b)})
	if err != nil {
		if keep = min(keep, len(b)); keep > 0 && !f.disk.off {
			f.node.change(write{offset: offset, data: b[:keep]})
		}
		return keep, err
	}
	f.node.change(write{offset: offset, data: b, cut: f.disk.off})
	if err := f.disk.done(); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (f *file) Truncate(size int64) error {
	if err := f.check(); err != nil {
		return err
	}
	if !f.writable || size < 0 {
		return syscall.EINVAL
	}
	if _, err := f.disk.do(Op{Kind: Truncate, Name: f.name}); err != nil {
		return err
	}
	f.node.change(write{truncate: true, offset: size, cut: f.disk.off})
	return f.disk.done()
}

func (f *file) Size() (int64, error) {
	if err := f.check(); err != nil {
		return 0, err
	}
	if _, err := f.disk.do(Op{Kind: Stat, Name: f.name}); err != nil {
		return 0, err
	}
	return int64(len(f.node.data)), nil
}

func (f *file) Close() error {
	if err := f.check(); err != nil {
		return err
	}
	f.closed = true
	f.forget()
	if _, err := f.disk.do(Op{Kind: Close, Name: f.name}); err != nil && !f.disk.off {
		return err
	}
	return nil
}
