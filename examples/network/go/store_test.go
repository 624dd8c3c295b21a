package main

import (
	"testing"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/guesttest"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

func TestEngine(t *testing.T) {
	server := backend.Redis(t, backend.RedisOptions{})
	guesttest.Run(t, func() guest.Engine { return new(engine) }, info, guesttest.Options{
		Options:   storetest.Options{Soak: 5000, Sequences: 20},
		Settings:  map[string]string{"address": "tcp://" + server.Addr()},
		Namespace: "prefix",
	})
}
