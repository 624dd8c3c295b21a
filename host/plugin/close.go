package plugin

import "context"

// Close saves every shard and ends the plugin. It waits for running calls. Later
// operations get [store.ErrClosed].
//
// The shards are saved side by side. If the context ends while some of them do
// not return, Close goes on for as long as others make progress, two seconds
// from one sign of it to the next. It then returns an error that is both [ErrHung]
// and the context's, and names those that hang. The others have been saved by then,
// and the snapshot, if there is one, has been written; it keeps the previous file's
// records of the shards that hang. What only those shards know is lost if the process
// ends. If they return later, they are saved and everything is released; until then a
// directory stays locked.
//
// A guest that waits for a network stops soon: what comes within a moment still arrives, and then
// its call gets ETIMEDOUT. Saving may wait for as long as any call, until the context ends.
//
// A second Close waits until everything has been released, or for its context.
func (p *Plugin) Close(ctx context.Context) error {
	p.chores.end()
	defer p.machine.network.ends(ctx)()
	return p.store.Close(closing{ctx}, p.judged(), func() error {
		p.chores.wait() // calls of closed shards return
		p.store.CountLast()
		return p.free()
	})
}
