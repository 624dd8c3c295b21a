package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// relay stands between the engine and a server. When it is told to, it waits for the
// server's answer, does something, and only then cuts the connection instead of giving the
// answer.
type relay struct {
	net.Listener
	target string

	mu      sync.Mutex
	between func() error // nil: answers pass
	result  error        // of between
}

var errNothingDropped = errors.New("no answer was dropped")

func newRelay(t *testing.T, target string) *relay {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{Listener: listener, target: target}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go r.serve(client)
		}
	}()
	return r
}

func (r *relay) Addr() string { return r.Listener.Addr().String() }

// dropNextAnswer says what is done before the next answer is dropped. The test's engines are
// all idle then, but one waits within a harness: no other may be used.
func (r *relay) dropNextAnswer(between func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.between, r.result = between, errNothingDropped
}

// dropped returns what was done has returned.
func (r *relay) dropped() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.result
}

func (r *relay) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", r.target)
	if err != nil {
		return
	}
	defer server.Close()
	go func() { _, _ = io.Copy(server, client) }()
	answer := make([]byte, 64<<10)
	for {
		n, err := server.Read(answer)
		if err != nil {
			return
		}
		r.mu.Lock()
		dropping := r.between != nil
		if dropping {
			r.result = r.between()
			r.between = nil
		}
		r.mu.Unlock()
		if dropping {
			return
		}
		if _, err := client.Write(answer[:n]); err != nil {
			return
		}
	}
}
