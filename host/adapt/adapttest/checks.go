package adapttest

// checks are what a behaviour must keep. Each starts its own servers.
var checks = map[Behaviour]func(*bench){
	Streaming:          func(b *bench) { b.startNative(Options{}); b.streams(nil) },
	SSE:                (*bench).serverSentEvents,
	WebSocket:          (*bench).webSocket,
	Hijack:             (*bench).hijacks,
	TimeOuts:           (*bench).timeLimits,
	CompressionInside:  func(b *bench) { b.compression(Inside) },
	CompressionOutside: func(b *bench) { b.compression(Outside) },
	ReverseProxy:       func(b *bench) { b.behindProxies(); b.again().asProxy() },
	HTTP2:              (*bench).http2,
	TracingOutside:     func(b *bench) { b.traced(Outside) },
	TracingInside:      func(b *bench) { b.traced(Inside) },
}

// again returns a bench for another server.
func (b *bench) again() *bench { return newBench(b.test, b.TestingT, b.framework, b.patience) }
