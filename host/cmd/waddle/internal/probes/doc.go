// Package probes shows operators how a server is: whether the process is alive, whether it
// can answer requests, and figures of what it has done. It watches one store and the
// sessions over it.
//
//	p := probes.New(engine, probes.Config{})
//	settings.OnEvent = session.Events(settings.OnEvent, p.OnEvent)
//	manager, err := session.New(p.Store(), settings)
//	site := p.Requests("", manager.Handler(app))
//	operator := p.Handler() // /healthz, /readyz and /metrics
//
// Its answers have no id, value or user's name. Still, its handler belongs on an address of
// its own, which visitors cannot reach.
package probes
