package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/probes"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

const (
	probeVariable = "WADDLE_PROBE_ADDR"
	noProbes      = "off"
	unixAddr      = "unix:" // begins an address that is a socket's path
)

// checkProbeAddr says what is wrong with an address for probes.
func checkProbeAddr(addr string) error {
	path, isUnix := strings.CutPrefix(addr, unixAddr)
	switch {
	case addr == noProbes:
		return nil
	case isUnix && path == "":
		return usagef("the address for probes is %q: must have a path behind unix:, such as unix:/run/waddle/probes.sock", addr)
	case isUnix:
		return nil
	}
	if checkAddr(addr) != nil {
		return usagef("the address for probes is %q: must be HOST:PORT, such as 127.0.0.1:9090, unix:PATH, or %s", addr, noProbes)
	}
	return nil
}

// probing answers probes, or is nil if there are none. A process that answers none does
// not pay for the figures either.
type probing struct {
	server *probes.Server
	probes *probes.Probes
}

// listenForProbes begins to answer: the program is alive, and starting.
func listenForProbes(ctx context.Context, addr string) (*probing, error) {
	if addr == noProbes {
		return nil, nil
	}
	s, err := probes.Listen(ctx, addr)
	switch {
	case err == nil:
		return &probing{server: s}, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("another program already listens on %s; end it, or choose another address with --probe-addr or %s", addr, probeVariable)
	}
	return nil, fmt.Errorf("cannot listen on %s; choose another address with --probe-addr or %s: %w", addr, probeVariable, err)
}

// watch returns the store to use in place of one, and adds to the settings what counts
// events. From the end of the context on, the program is not ready.
func (p *probing) watch(ctx context.Context, s store.Store, settings *session.Settings) store.Store {
	if p == nil {
		return s
	}
	p.probes = probes.New(s, probes.Config{Now: settings.Now})
	if settings.OnEvent == nil {
		settings.OnEvent = logWarnings()
	}
	settings.OnEvent = session.Events(settings.OnEvent, p.probes.OnEvent)
	p.server.Watch(p.probes)
	context.AfterFunc(ctx, p.probes.End)
	return p.probes.Store()
}

// logWarnings logs what a program without OnEvent logs.
func logWarnings() func(context.Context, session.Event) {
	log := session.LogEvents(nil)
	return func(ctx context.Context, e session.Event) {
		if e.Level() >= slog.LevelWarn {
			log(ctx, e)
		}
	}
}

// requests counts the requests to a handler.
func (p *probing) requests(next http.Handler) http.Handler {
	if p == nil {
		return next
	}
	return p.probes.Requests("", next)
}

// at returns where probes are answered, or "" if they are not.
func (p *probing) at() string {
	if p == nil {
		return ""
	}
	if unix, ok := p.server.Addr().(*net.UnixAddr); ok {
		return unixAddr + unix.Name
	}
	return "http://" + reachable(p.server.Addr())
}

// Close stops answering.
func (p *probing) Close() {
	if p != nil {
		_ = p.server.Close()
	}
}
