package main

import (
	"os"
	"testing"

	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

func TestMain(m *testing.M) { os.Exit(backend.Main(m)) }

// eachServer runs a test over each server that is installed; the server is shared.
func eachServer(t *testing.T, test func(t *testing.T, server *backend.Server)) {
	for _, program := range backend.RedisPrograms {
		t.Run(program, func(t *testing.T) {
			test(t, backend.SharedRedis(t, backend.RedisOptions{Program: program}))
		})
	}
}

// anyServer is the shared server of tests to which it does not matter which one it is.
func anyServer(t *testing.T) *backend.Server { return backend.SharedRedis(t, backend.RedisOptions{}) }
