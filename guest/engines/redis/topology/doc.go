// Package topology finds the server that has a key: one that stands alone, the master that
// Sentinel has chosen, or a master of a cluster. It follows when another server takes over.
//
// A caller sends many commands before it reads the first answer, so a topology hands out
// connections and does not send commands of keys itself:
//
//	nodes.Begin(now, until)
//	for {
//		conn, err := nodes.For(key)  // or Redirect, if a server has turned the command away
//		…                            // for each key; then append all, flush all, read all
//		if nothing has to be sent again {
//			break
//		}
//		nodes.Round()
//	}
//
// For and Redirect may send commands of their own. All connections of a round must
// therefore be asked for before the first command is appended, and all answers must be read
// before the next round.
//
// # What it trusts
//
// No server. A list of slots or a redirect may name any address, and is followed only
// through the dialer that the caller gives, which reaches what the plugin was granted. How
// many servers there may be is bounded, and how often they are asked for the list.
package topology
