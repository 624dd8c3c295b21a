package hosting

import (
	"net/http"

	"github.com/waddle-sessions/waddle/host/session"
)

// page returns what a browser sees. It is within the manager's middleware, which also
// refuses changes that another site has caused.
func (a *Admin) page() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) { a.showLogin(w, r, http.StatusOK, "") })
	mux.HandleFunc("POST /login", a.logIn)
	mux.Handle("POST /logout", a.loggedIn(a.logOut))
	mux.Handle("GET /{$}", a.loggedIn(a.showTenants))
	mux.Handle("POST /deploy", a.loggedIn(a.formDeploy))
	mux.Handle("GET /tenants/{name}", a.loggedIn(a.showTenant))
	mux.Handle("POST /tenants/{name}/sleep", a.loggedIn(a.formSleep))
	mux.Handle("GET /tenants/{name}/remove", a.loggedIn(a.askRemove))
	mux.Handle("POST /tenants/{name}/remove", a.loggedIn(a.formRemove))
	mux.Handle("POST /tenants/{name}/sessions/{handle}/end", a.loggedIn(a.formEnd))
	return mux
}

// loggedIn sends others to the log-in.
func (a *Admin) loggedIn(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		user := session.Value(s, s.User)
		if !s.Check(nil) {
			return // the middleware answers
		}
		if user != operator {
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return
		}
		next(w, r)
	})
}

func (a *Admin) logIn(w http.ResponseWriter, r *http.Request) {
	if !a.admits(r.PostFormValue("token")) {
		a.refuse(r)
		a.showLogin(w, r, http.StatusUnauthorized, "That is not the token.")
		return
	}
	s := session.From(r)
	if s.Check(s.LogIn(operator, nil)) {
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

func (a *Admin) logOut(w http.ResponseWriter, r *http.Request) {
	s := session.From(r)
	if s.Check(s.Destroy()) {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
	}
}

func (a *Admin) showLogin(w http.ResponseWriter, _ *http.Request, status int, problem string) {
	m := newPage("Log in", false)
	m.put(`<main class="narrow"><section class="card"><h1>Waddle host</h1>` +
		`<p class="hint">This page shows the tenants of this process to those who operate it.</p>`)
	if problem != "" {
		m.put(`<p class="bad note" role="alert">%s</p>`, problem)
	}
	m.put(`<form method="post" action="/login"><label for="token">Token of the admin interface</label>` +
		`<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>` +
		`<p class="hint">It is in WADDLE_ADMIN_TOKEN, or in the file that the program named when it started.</p>` +
		`<button>Log in</button></form></section></main>`)
	m.send(w, status)
}
