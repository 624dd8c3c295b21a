// Package session is HTTP session middleware over a [store.Store].
//
// A [Manager] wraps handlers. In a handler, [From] returns the request's
// [Session], and a [Key] reads and writes one value of it with its type:
//
//	var name, visits = session.NewKey[string]("name"), session.NewKey[int]("visits")
//
//	func hello(w http.ResponseWriter, r *http.Request) {
//		s := session.From(r)
//		n, err := session.Increment(s, visits, 1)
//		s.Check(err)
//		fmt.Fprintf(w, "Hello %s, visit %d", name.Value(s), n)
//	}
//
// A session is loaded when a handler first looks into it. It is saved, if it was
// changed, just before the first byte of the response leaves. A request that
// never touches its session costs no storage call and no header.
//
// [Key.Value], [Key.Put] and [Value] return no error: the session keeps the first
// one, and the response answers for it in the handler's place; see [Session.Err].
//
// # What is guaranteed
//
//   - The cookie holds 256 random bits and nothing else. The store sees
//     only a SHA-256 of them and of Settings.Namespace: managers of other
//     namespaces find nothing by the id. An id that this host did not issue,
//     or that has expired, is never adopted.
//   - Two requests that change different values of one session both keep
//     their change. [Key.Update] makes a read-modify-write of one value
//     atomic.
//   - A session that was destroyed stays destroyed: no request that was still
//     running brings it back, and none that arrives late replaces the cookie
//     of a newer one.
//   - Values are encoded when they are set and decoded when they are read, so
//     no request sees the memory of another.
package session
