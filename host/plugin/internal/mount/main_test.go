package mount_test

import (
	"os"
	"testing"
)

// Some tests need another process, which is this binary again.
const helperVariable = "WADDLE_MOUNT_TEST_HELPER"

var helpers = map[string]func(dir string){}

func TestMain(m *testing.M) {
	if helper := helpers[os.Getenv(helperVariable)]; helper != nil {
		helper(os.Args[1])
		return
	}
	os.Exit(m.Run())
}
