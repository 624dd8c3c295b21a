package main

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The line is written only if the user has to wait.
func TestAfterAWhile(t *testing.T) {
	for took, want := range map[time.Duration]string{0: "", noticeAfter - 1: "", noticeAfter + 1: "a line\n", time.Minute: "a line\n"} {
		synctest.Test(t, func(t *testing.T) {
			var b bytes.Buffer
			done := afterAWhile(&b, "a line")
			time.Sleep(took)
			synctest.Wait()
			done()
			time.Sleep(time.Hour)
			synctest.Wait()
			require.Equal(t, want, b.String(), took)
		})
	}
}
