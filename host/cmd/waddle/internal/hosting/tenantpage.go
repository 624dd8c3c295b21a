package hosting

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// tenantOf returns the tenant of a page, or answers that there is none.
func (a *Admin) tenantOf(w http.ResponseWriter, r *http.Request) (*tenant.Tenant, bool) {
	t, ok := a.config.Host.Tenant(r.PathValue("name"))
	if !ok {
		a.say(w, r, http.StatusNotFound, "There is no such tenant", unknown(r.PathValue("name")).Error())
	}
	return t, ok
}

// showTenant shows one tenant with its sessions.
func (a *Admin) showTenant(w http.ResponseWriter, r *http.Request) {
	if t, ok := a.tenantOf(w, r); ok {
		a.showTenantWith(w, r, t, http.StatusOK, "")
	}
}

func (a *Admin) showTenantWith(w http.ResponseWriter, r *http.Request, t *tenant.Tenant, status int, problem string) {
	v, csrf := viewOf(t), csrfField(r)
	m := newPage(v.Name, false)
	m.top(csrf)
	m.put(`<main id="main"><p class="hint"><a href="/">All tenants</a></p><div class="head"><h1>%s</h1><div class="actions">`, v.Name)
	m.put(`<form method="post" action="%s/sleep">%s<button class="quiet">Put to sleep</button></form>`, tenantAddress(v.Name), csrf)
	m.put(`<form method="get" action="%s/remove"><button class="quiet danger">Remove…</button></form></div></div>`, tenantAddress(v.Name))
	if problem != "" {
		m.put(`<p class="bad note" role="alert">%s</p>`, problem)
	}
	m.put(`<section class="card" aria-labelledby="figures-title"><h2 id="figures-title">Figures</h2><dl class="facts">`)
	fact := func(name string, value func()) {
		m.put(`<div><dt>%s</dt><dd>`, name)
		value()
		m.put(`</dd></div>`)
	}
	text := func(name, value string) { fact(name, func() { m.put("%s", value) }) }
	for _, c := range columns[1:] {
		fact(c.title, func() { c.cell(m, &v) })
	}
	fact("Hosts", func() { m.hosts(&v, a.config.Reach) })
	text("Plugin", v.Plugin)
	if v.Records >= 0 {
		text("Records", number(uint64(v.Records)))
	}
	text("Deployed", moment(v.Deployed))
	text("Deploys", number(v.Deploys)+", "+number(v.Failures)+" failed")
	if v.Reason != "" {
		text("Reason of the state", v.Reason)
	}
	if v.Failure != "" {
		text("Last deploy failed", v.Failure)
	}
	m.put(`</dl></section>`)
	a.sessionsCard(m, r, t, csrf)
	m.put(`</main>`)
	m.send(w, status)
}

// sessionsCard lists a tenant's sessions if they were asked for: counting them wakes the
// tenant and takes time.
func (a *Admin) sessionsCard(m *markup, r *http.Request, t *tenant.Tenant, csrf raw) {
	m.put(`<section class="card" aria-labelledby="sessions-title"><div class="head"><h2 id="sessions-title">Sessions</h2></div>`)
	defer m.put(`</section>`)
	if r.URL.Query().Get("sessions") == "" {
		m.put(`<form method="get"><input type="hidden" name="sessions" value="list"><p class="hint">Counting them reads each record, and wakes the tenant.</p>` +
			`<button class="quiet">List the sessions</button></form>`)
		return
	}
	list, err := sessionsOf(r.Context(), t, "", listed)
	switch {
	case errors.Is(err, store.ErrUnsupported):
		m.put(`<p class="empty">This tenant's plugin cannot enumerate what it keeps, so its sessions cannot be counted or listed.</p>`)
		return
	case err != nil:
		m.put(`<p class="bad note" role="alert">%s</p>`, err.Error())
		return
	case list.Count == 0:
		m.put(`<p class="empty">No sessions.</p>`)
		return
	}
	count := counted(list.Count, "session")
	if !list.Complete {
		count = "At least " + count
	}
	if len(list.Sessions) < list.Count {
		count += ", of which " + number(uint64(len(list.Sessions))) + " are shown"
	}
	m.put(`<p class="hint">%s.</p><table role="table" class="sessions"><caption class="hidden">Sessions</caption><thead role="rowgroup"><tr role="row">`, count)
	for _, title := range []string{"User", "Created", "Last seen", "Expires", "Size", "Handle"} {
		m.put(`<th role="columnheader" scope="col">%s</th>`, title)
	}
	m.put(`<th role="columnheader" scope="col"><span class="hidden">Action</span></th></tr></thead><tbody role="rowgroup">`)
	for _, s := range list.Sessions {
		user := s.User
		if user == "" {
			user = "nobody"
		}
		m.put(`<tr role="row"><th role="rowheader" scope="row">%s</th>`, user)
		for _, cell := range [][2]string{{"Created", moment(s.Created)}, {"Last seen", moment(s.LastSeen)}, {"Expires", moment(s.Expires)}, {"Size", size(int64(s.Size))}} {
			m.put(`<td role="cell" data-title="%s">%s</td>`, cell[0], cell[1])
		}
		m.put(`<td role="cell" data-title="Handle"><code title="%s">%s…</code></td>`, s.Handle, s.Handle[:8])
		m.put(`<td role="cell"><form method="post" action="%s/sessions/%s/end">%s<button class="quiet danger" aria-label="End the session %s of %s">End</button></form></td></tr>`,
			tenantAddress(t.Name()), url.PathEscape(s.Handle), csrf, s.Handle[:8], user)
	}
	m.put(`</tbody></table>`)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05") + " UTC"
}

func (a *Admin) formSleep(w http.ResponseWriter, r *http.Request) {
	t, ok := a.tenantOf(w, r)
	if !ok {
		return
	}
	if err := a.sleep(r.Context(), t.Name()); err != nil {
		a.showTenantWith(w, r, t, statusOf(err), "It cannot be put to sleep: "+err.Error())
		return
	}
	http.Redirect(w, r, tenantAddress(t.Name()), http.StatusSeeOther)
}

func (a *Admin) formEnd(w http.ResponseWriter, r *http.Request) {
	t, ok := a.tenantOf(w, r)
	if !ok {
		return
	}
	if err := a.end(r.Context(), t.Name(), r.PathValue("handle")); err != nil {
		a.showTenantWith(w, r, t, statusOf(err), err.Error())
		return
	}
	http.Redirect(w, r, tenantAddress(t.Name())+"?sessions=list", http.StatusSeeOther)
}

func (a *Admin) askRemove(w http.ResponseWriter, r *http.Request) {
	t, ok := a.tenantOf(w, r)
	if !ok {
		return
	}
	csrf := csrfField(r)
	m := newPage("Remove "+t.Name(), false)
	m.top(csrf)
	m.put(`<main id="main" class="narrow"><section class="card"><h1>Remove %s?</h1><p>Its manifest is removed from the directory, and requests for it are answered with 404. `+
		`Sessions that it has only in memory are lost.</p><form class="actions" method="post" action="%s/remove">%s<button class="danger">Remove %s</button>`+
		`<a class="button quiet" href="%s">Cancel</a></form></section></main>`, t.Name(), tenantAddress(t.Name()), csrf, t.Name(), tenantAddress(t.Name()))
	m.send(w, http.StatusOK)
}

func (a *Admin) formRemove(w http.ResponseWriter, r *http.Request) {
	if err := a.remove(r.Context(), r.PathValue("name")); err != nil {
		a.say(w, r, statusOf(err), "It was not removed", err.Error())
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (a *Admin) formDeploy(w http.ResponseWriter, r *http.Request) {
	// Forms end lines with two characters.
	text := strings.ReplaceAll(r.PostFormValue("manifest"), "\r\n", "\n")
	m, err := tenant.ParseManifest([]byte(text))
	if err == nil {
		err = a.deploy(r.Context(), "", []byte(text))
	}
	if err == nil {
		http.Redirect(w, r, tenantAddress(m.Name), http.StatusSeeOther)
		return
	}
	csrf := csrfField(r)
	out := newPage("Not deployed", false)
	out.top(csrf)
	out.put(`<main id="main"><p class="hint"><a href="/">All tenants</a></p><h1>Not deployed</h1>`)
	out.deployForm(csrf, text, err.Error())
	out.put(`</main>`)
	out.send(w, statusOf(err))
}

// say answers with a page that says one thing.
func (a *Admin) say(w http.ResponseWriter, r *http.Request, status int, title, text string) {
	m := newPage(title, false)
	m.top(csrfField(r))
	m.put(`<main id="main" class="narrow"><section class="card"><h1>%s</h1><p>%s</p><p><a href="/">All tenants</a></p></section></main>`, title, text)
	m.send(w, status)
}
