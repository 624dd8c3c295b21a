package hosting

import (
	"embed"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/assets"
	"github.com/waddle-sessions/waddle/host/session"
)

//go:embed assets
var embedded embed.FS

var files = assets.New(embedded, "assets")

// asset serves a file of the page. Nothing in them is secret.
func asset(w http.ResponseWriter, r *http.Request) {
	file, ok := files[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	file.ServeHTTP(w, r)
}

// refreshEvery is how often the page shows new figures, in seconds. Its script asks for
// them; without scripts, the browser loads the page again.
const refreshEvery = 5

// newPage begins a page. A live one shows new figures by itself.
func newPage(title string, live bool) *markup {
	m := new(markup)
	m.put(`<!doctype html><html lang="en"><head><meta charset="utf-8">`+
		`<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">`+
		`<title>%s - Waddle host</title><link rel="icon" type="image/svg+xml" href="/assets/duck.svg">`+
		`<link rel="stylesheet" href="/assets/base.css"><link rel="stylesheet" href="/assets/host.css">`, title)
	if live {
		m.put(`<script type="module" src="/assets/host.js"></script>`+
			`<noscript><meta http-equiv="refresh" content="%d"></noscript>`, refreshEvery)
	}
	m.put(`</head><body>`)
	return m
}

// send ends a page.
func (m *markup) send(w http.ResponseWriter, status int) {
	m.put(`</body></html>`)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(m.String()))
}

// top is the head of a page for those who are logged in.
func (m *markup) top(csrf raw) {
	m.put(`<a class="skip" href="#main">To the content</a><header class="top"><img src="/assets/duck.svg" alt="" width="40" height="40">`+
		`<a class="home" href="/">Waddle host</a><form method="post" action="/logout">%s<button class="quiet">Log out</button></form></header>`, csrf)
}

// csrfField returns the hidden field that proves that a form is ours.
func csrfField(r *http.Request) raw {
	s := session.From(r)
	m := new(markup)
	m.put(`<input type="hidden" name="%s" value="%s">`, session.CSRFField, session.Value(s, s.CSRFToken))
	return raw(m.String())
}

// pageSize is how many tenants a page shows.
const pageSize = 100

// showTenants shows the tenants live.
func (a *Admin) showTenants(w http.ResponseWriter, r *http.Request) {
	q := queryOf(r.URL.Query())
	s := a.snapshots.take()
	shown, found := q.choose(s.Tenants)
	csrf := csrfField(r)
	m := newPage("Tenants", true)
	m.top(csrf)
	m.put(`<main id="main"><div class="head"><h1>Tenants</h1><p class="live hint"><span id="live" role="status">As of <time datetime="%s">%s</time> UTC</span></p></div>`,
		s.Time.UTC().Format(time.RFC3339), s.Time.UTC().Format("15:04:05"))
	m.put(`<div id="figures" data-every="%d">`, refreshEvery)
	m.summary(s)
	m.problems(s)
	m.put(`<section class="card" aria-labelledby="list-title"><div class="head"><h2 id="list-title">%s</h2>`, counted(found, "tenant"))
	m.put(`<form class="search" method="get" action="/" role="search"><label class="hidden" for="q">Name or host</label>`+
		`<input id="q" name="q" type="search" placeholder="Name or host" value="%s"><label class="hidden" for="sort">Sort by</label><select id="sort" name="sort">`, q.text)
	for _, c := range columns {
		m.put(`<option value="%s"%s>%s</option>`, c.key, map[bool]raw{true: " selected"}[c.key == q.sort], c.title)
	}
	m.put(`</select><button class="quiet">Search</button></form></div>`)
	if len(shown) == 0 {
		m.put(`<p class="empty">%s</p>`, map[bool]string{true: "No tenant has that in its name or hosts.", false: "No tenants yet. Put a manifest into the directory, or deploy one below."}[q.text != ""])
	} else {
		m.table(shown, q, a.config.Reach)
	}
	m.pager(q, found)
	m.put(`</section></div>`)
	m.deployForm(csrf, "", "")
	m.put(`</main>`)
	m.send(w, http.StatusOK)
}

// summary shows the figures of the process.
func (m *markup) summary(s *Snapshot) {
	var requests, errors, limits, restarts uint64
	var memory int64
	for i := range s.Tenants {
		v := &s.Tenants[i]
		requests += v.Requests
		errors += total(v.Errors)
		limits += total(v.Limits)
		restarts += v.Restarts
		memory += max(v.Memory, 0)
	}
	m.put(`<dl class="tiles">`)
	tile := func(name, value, hint string) {
		m.put(`<div class="tile"><dt>%s</dt><dd><strong>%s</strong> <span>%s</span></dd></div>`, name, value, hint)
	}
	room := "no bound"
	if s.MaxTenants >= 0 {
		room = "of at most " + number(uint64(s.MaxTenants))
	}
	tile("Tenants", number(uint64(len(s.Tenants))), room)
	var states []string
	for _, state := range statesInOrder {
		if n := s.States[state]; n > 0 {
			states = append(states, number(uint64(n))+" "+string(state))
		}
	}
	tile("State", strings.Join(states, ", "), "")
	tile("Requests", number(requests), "")
	tile("Errors", number(errors), "")
	tile("Limits hit", number(limits), "")
	tile("Restarts", number(restarts), "")
	tile("Memory", size(memory), counted(s.Modules, "module"))
	m.put(`</dl>`)
}

// problems shows what is wrong with manifests.
func (m *markup) problems(s *Snapshot) {
	if len(s.Problems) == 0 {
		return
	}
	m.put(`<section class="card problems" aria-labelledby="problems-title"><h2 id="problems-title">%s</h2><ul>`, counted(len(s.Problems), "manifest")+" not deployed")
	const most = 50
	for i, p := range s.Problems {
		if i == most {
			m.put(`<li>and %d more</li>`, len(s.Problems)-most)
			break
		}
		file := p.File
		if file == "" {
			file = "the directory"
		}
		m.put(`<li><strong>%s</strong> <span class="why">%s</span>`, file, p.Error)
		if p.Tenant != "" {
			m.put(` <span class="hint">Tenant %s goes on as before.</span>`, p.Tenant)
		}
		m.put(`</li>`)
	}
	m.put(`</ul></section>`)
}

// deployForm is where a manifest is pasted.
func (m *markup) deployForm(csrf raw, text, problem string) {
	open := raw("")
	if problem != "" {
		open = " open"
	}
	m.put(`<details class="card deploy"%s><summary>Deploy a tenant, or replace one</summary>`, open)
	if problem != "" {
		m.put(`<p class="bad note" role="alert">%s</p>`, problem)
	}
	if text == "" {
		text = "{\n  \"name\": \"example\",\n  \"hosts\": [\"example.localhost\"],\n  \"plugin\": {\"bundled\": \"memory\"}\n}"
	}
	m.put(`<form method="post" action="/deploy">%s<label for="manifest">Manifest</label>`+
		`<textarea id="manifest" name="manifest" rows="10" spellcheck="false" required>%s</textarea>`+
		`<p class="hint">A tenant that has this name is replaced. The manifest is kept in the directory.</p><button>Deploy</button></form></details>`,
		csrf, "\n"+text)
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return number(uint64(n)) + " " + what
}

// number groups digits by three.
func number(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// size returns bytes in the unit that makes them short.
func size(n int64) string {
	value, unit := float64(n), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if value < 1024 {
			break
		}
		value, unit = value/1024, next
	}
	if unit == "B" || value >= 100 {
		return fmt.Sprintf("%.0f %s", value, unit)
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}

// short returns a count in the unit that makes it short.
func short(n uint64) string {
	value, unit := float64(n), ""
	for _, next := range []string{"k", "M", "G", "T"} {
		if value < 10_000 {
			break
		}
		value, unit = value/1000, " "+next
	}
	return fmt.Sprintf("%.0f%s", value, unit)
}

// pause returns a duration as people compare them.
func pause(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func tenantAddress(name string) string { return "/tenants/" + url.PathEscape(name) }
