// Package probes tells those who run a server how it is: whether the process is alive,
// whether it can answer requests, and in figures what it has done. It watches one store
// and the sessions over it.
//
//	p := probes.New(engine, probes.Config{})
//	settings.OnEvent = session.Events(settings.OnEvent, p.OnEvent)
//	manager, err := session.New(p.Store(), settings)
//	site := p.Requests("", manager.Handler(app))
//	operator := p.Handler() // /healthz, /readyz and /metrics
//
// Nothing that it tells has an id, a value or a user's name. Its handler belongs on an
// address of its own all the same, which visitors do not reach.
package probes
