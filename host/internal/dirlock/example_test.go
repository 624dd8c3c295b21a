package dirlock_test

import (
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/waddle-sessions/waddle/host/internal/dirlock"
)

func ExampleAcquire() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	lock, err := dirlock.Acquire(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer lock.Close()

	_, err = dirlock.Acquire(dir)
	var inUse *dirlock.InUseError
	if errors.As(err, &inUse) {
		fmt.Println(inUse.Dir == dir, inUse.PID == os.Getpid())
	}

	// Output:
	// true true
}
