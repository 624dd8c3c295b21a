package plugin

import "context"

// Close saves every shard and ends the plugin. It waits for calls that run, and
// operations that come later get [store.ErrClosed].
//
// The shards are saved side by side. If the context ends while some of them do
// not come back, Close goes on for as long as others make progress, two seconds
// from one sign of it to the next, and then returns an error that is [ErrHung]
// and the context's, and names them. The others have been saved by then, and the
// snapshot, if there is one, has been written; for a shard that is missing it
// keeps what the file before had of it. What only those shards know is lost if
// the process ends. Should they come back later, they are saved and everything is
// given back; until then a directory stays locked.
//
// A second Close waits until everything has been given back, or for its context.
func (p *Plugin) Close(ctx context.Context) error {
	p.chores.end()
	return p.store.Close(ctx, p.judged(), func() error {
		p.chores.wait() // they come back from calls of shards that have been closed
		p.store.CountLast()
		return p.free()
	})
}
