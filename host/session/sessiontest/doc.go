// Package sessiontest helps to test applications that keep sessions, as
// net/http/httptest helps to test those that serve HTTP.
//
// [New] makes a session manager over a store in this process, with a clock that
// only the test moves:
//
//	func TestCart(t *testing.T) {
//		sessions := sessiontest.New(t)
//		app := sessions.Handler(shop) // or newApp(sessions.Manager), or newApp(sessions.Store, sessions.Settings)
//		…
//	}
//
// A single request with a session, and what it leaves behind:
//
//	r := sessions.Request("POST", "/cart", body, sessiontest.LoggedIn("ada"), sessiontest.With("items", 2))
//	w := httptest.NewRecorder()
//	app.ServeHTTP(w, r)
//	items := sessiontest.Value(t, sessions.After(r, w.Result()), cart)
//
// A visit of several requests, by a [Browser] that keeps cookies, follows
// redirects and forgets what has expired by the test's clock:
//
//	b := sessions.Browser(app)
//	b.PostForm("/login", url.Values{"user": {"ada"}})
//	sessions.Clock.Advance(31 * time.Minute)
//	b.Get("/account") // logged out?
//
// Requests from pages of other sites, for which browsers keep some cookies back:
//
//	b.From("https://idp.example/").PostForm("/signed-in", answer)
//
// And a storage that fails:
//
//	sessions.Store.Fail(store.ErrUnavailable)
//
// Only the clock and the faults are fake: requests go through the middleware
// itself, and a session that a test begins is stored and given its cookie like
// one that a handler begins.
//
// The package is for tests alone. It depends on package testing only for its
// types.
package sessiontest
