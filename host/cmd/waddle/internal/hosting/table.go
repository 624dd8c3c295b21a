package hosting

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/host/tenant"
)

// query is which tenants a page shows, and in which order.
type query struct {
	text string
	sort string
	page int
}

func queryOf(v url.Values) query {
	page, _ := strconv.Atoi(v.Get("page"))
	q := query{strings.TrimSpace(v.Get("q")), v.Get("sort"), max(page, 1)}
	if len(q.text) > 253 {
		q.text = q.text[:253] // no host name is longer
	}
	if !slices.ContainsFunc(columns, func(c column) bool { return c.key == q.sort }) {
		q.sort = columns[0].key
	}
	return q
}

// address returns the address of a page like this one.
func (q query) address(sort string, page int) string {
	v := url.Values{}
	if q.text != "" {
		v.Set("q", q.text)
	}
	if sort != columns[0].key {
		v.Set("sort", sort)
	}
	if page > 1 {
		v.Set("page", strconv.Itoa(page))
	}
	if len(v) == 0 {
		return "/"
	}
	return "/?" + v.Encode()
}

// choose returns the tenants of the page, and how many were found.
func (q query) choose(all []View) (shown []*View, found int) {
	text := strings.ToLower(q.text)
	for i := range all {
		v := &all[i]
		if strings.Contains(v.Name, text) || slices.ContainsFunc(v.Hosts, func(h string) bool { return strings.Contains(h, text) }) {
			shown = append(shown, v)
		}
	}
	for _, c := range columns {
		if c.key == q.sort && c.value != nil {
			// Those with equal figures stay in the order of their names.
			slices.SortStableFunc(shown, func(a, b *View) int { return cmp.Compare(c.value(b), c.value(a)) })
		}
	}
	found = len(shown)
	from := min((q.page-1)*pageSize, found)
	return shown[from:min(from+pageSize, found)], found
}

// column is a column of the table. Its value is what it is sorted by, the largest first.
type column struct {
	key, title string
	value      func(*View) int64
	cell       func(m *markup, v *View)
}

// statesInOrder are the states as the summary names them, the worst last.
var statesInOrder = []tenant.State{tenant.StateServing, tenant.StateAsleep, tenant.StateCompiling, tenant.StateDeploying,
	tenant.StateBackoff, tenant.StateDown, tenant.StateFailed}

var columns = []column{
	{"name", "Tenant", nil, nil},
	{"state", "State", func(v *View) int64 { return int64(slices.Index(statesInOrder, v.State)) }, func(m *markup, v *View) { m.state(v) }},
	{"requests", "Requests", func(v *View) int64 { return int64(v.Requests) }, func(m *markup, v *View) { m.put("%s", number(v.Requests)) }},
	{"calls", "Calls", func(v *View) int64 { return int64(total(v.Calls)) }, func(m *markup, v *View) { m.put("%s", number(total(v.Calls))) }},
	{"errors", "Errors", func(v *View) int64 { return int64(total(v.Errors)) }, func(m *markup, v *View) { m.kinds(v.Errors) }},
	{"latency", "p50 / p99", func(v *View) int64 { return int64(v.P99) }, func(m *markup, v *View) {
		if total(v.Calls) == 0 {
			m.put(`<span class="none">none</span>`)
			return
		}
		m.put(`<span class="pair">%s</span> / <span class="pair">%s</span>`, pause(v.P50), pause(v.P99))
	}},
	{"fuel", "Fuel", func(v *View) int64 { return int64(v.Fuel) }, func(m *markup, v *View) { m.put("%s", short(v.Fuel)) }},
	{"memory", "Memory", func(v *View) int64 { return v.Memory }, func(m *markup, v *View) { m.put("%s", size(v.Memory)) }},
	{"restarts", "Restarts", func(v *View) int64 { return int64(v.Restarts) }, func(m *markup, v *View) { m.put("%s", number(v.Restarts)) }},
	{"limits", "Limits hit", func(v *View) int64 { return int64(total(v.Limits)) }, func(m *markup, v *View) { m.kinds(v.Limits) }},
}

// table shows tenants. On a narrow screen each is a card, so the roles say what is lost by
// that.
func (m *markup) table(shown []*View, q query, reach func(string) string) {
	m.put(`<table role="table"><caption class="hidden">Tenants</caption><thead role="rowgroup"><tr role="row">`)
	for _, c := range columns {
		order := raw("")
		if c.key == q.sort {
			order = ` aria-sort="descending"`
			if c.value == nil {
				order = ` aria-sort="ascending"`
			}
		}
		m.put(`<th role="columnheader" scope="col" class="%s"%s><a href="%s">%s</a></th>`, c.key, order, q.address(c.key, 1), c.title)
	}
	m.put(`</tr></thead><tbody role="rowgroup">`)
	for _, v := range shown {
		m.put(`<tr role="row"><th role="rowheader" scope="row"><a href="%s">%s</a>`, tenantAddress(v.Name), v.Name)
		m.hosts(v, reach)
		m.put(`</th>`)
		for _, c := range columns[1:] {
			m.put(`<td role="cell" class="%s" data-title="%s">`, c.key, c.title)
			c.cell(m, v)
			m.put(`</td>`)
		}
		m.put(`</tr>`)
	}
	m.put(`</tbody></table>`)
}

// hosts links to where a tenant is reached.
func (m *markup) hosts(v *View, reach func(string) string) {
	const most = 2
	for i, host := range v.Hosts {
		if i == most {
			m.put(`<span class="host">and %d more</span>`, len(v.Hosts)-most)
			break
		}
		if reach == nil {
			m.put(`<span class="host">%s</span>`, host)
			continue
		}
		m.put(`<a class="host" href="%s" rel="noreferrer">%s</a>`, reach(host), host)
	}
}

// stateClass says how a state looks.
var stateClass = map[tenant.State]string{tenant.StateServing: "good", tenant.StateAsleep: "", tenant.StateCompiling: "warm", tenant.StateDeploying: "warm"}

func (m *markup) state(v *View) {
	class, known := stateClass[v.State]
	if !known {
		class = "bad"
	}
	m.put(`<span class="pill %s">%s</span>`, class, string(v.State))
	if v.Failure != "" {
		m.put(` <span class="pill bad">last deploy failed</span>`)
	}
}

// kinds shows counts by kind, the most frequent first.
func (m *markup) kinds(by map[string]uint64) {
	if len(by) == 0 {
		m.put(`<span class="none">none</span>`)
		return
	}
	keys := slices.SortedFunc(maps.Keys(by), func(a, b string) int { return cmp.Or(cmp.Compare(by[b], by[a]), strings.Compare(a, b)) })
	m.put(`<ul class="kinds">`)
	for _, key := range keys {
		m.put(`<li>%s <b>%s</b></li>`, strings.ReplaceAll(key, "_", " "), number(by[key]))
	}
	m.put(`</ul>`)
}

// pager leads to the other pages.
func (m *markup) pager(q query, found int) {
	pages := (found + pageSize - 1) / pageSize
	if pages <= 1 {
		return
	}
	m.put(`<nav class="pager" aria-label="Pages">`)
	if q.page > 1 {
		m.put(`<a rel="prev" href="%s">Previous</a>`, q.address(q.sort, q.page-1))
	}
	m.put(`<span>Page %d of %d</span>`, min(q.page, pages), pages)
	if q.page < pages {
		m.put(`<a rel="next" href="%s">Next</a>`, q.address(q.sort, q.page+1))
	}
	m.put(`</nav>`)
}
