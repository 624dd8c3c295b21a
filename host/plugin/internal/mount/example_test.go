package mount_test

import (
	"fmt"
	"log"
	"os"

	"github.com/tetratelabs/wazero/experimental/sys"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	m, err := mount.Open(dir, mount.Options{MaxBytes: 100, MaxFiles: 10})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	// A guest does this through WASI, with wasi.Mount and wasi.Functions.
	f, _ := m.OpenFile("record", sys.O_RDWR|sys.O_CREAT, 0)
	_, errno := f.Write(make([]byte, 60))
	fmt.Println(errno == 0, m.Usage().Bytes)
	_, errno = f.Write(make([]byte, 60))
	fmt.Println(errno == mount.ENOSPC, m.Usage().Bytes)
	f.Close()
	_, errno = m.OpenFile("../etc/passwd", sys.O_RDONLY, 0)
	fmt.Println(errno)

	// Output:
	// true 60
	// true 60
	// operation not permitted
}
