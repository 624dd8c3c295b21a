package serving_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/serving"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestBodiesThatAreWrong are told what is wrong, and change nothing.
func TestBodiesThatAreWrong(t *testing.T) {
	s := over(t, store.NewMemory())
	id := s.ask(t, 200, "/v1/commit", `{"id":"","set":{"k":1}}`).Session.ID
	before := s.ask(t, 200, "/v1/load", `{"id":%q}`, id).Session
	for _, c := range []struct{ path, body, says string }{
		{"/v1/commit", ``, "is empty: must be a JSON object with clear, delete, expiry, id"},
		{"/v1/commit", `{`, "not JSON"},
		{"/v1/commit", `{"id":"ID"} {}`, "not JSON"},
		{"/v1/commit", `[]`, "is an array"},
		{"/v1/commit", `null`, "is null"},
		{"/v1/commit", "{\"id\":\"\xff\"}", "not UTF-8"},
		{"/v1/commit", `{"set":{"k":2}}`, "has no id"},
		{"/v1/commit", `{"ID":"ID","id":"ID"}`, `has "ID"`},
		{"/v1/commit", `{"id":"ID","id":"ID"}`, "twice"},
		{"/v1/commit", `{"id":"ID","i\u0064":"ID"}`, "twice"},
		{"/v1/commit", `{"id":null}`, "id is null"},
		{"/v1/commit", `{"id":5}`, "id is the number"},
		{"/v1/commit", `{"id":"ID","set":{"k":2,"\u006b":3}}`, "twice"},
		{"/v1/commit", `{"id":"ID","set":{"\ud800":2}}`, "whole characters"},
		{"/v1/commit", `{"id":"ID","set":[1]}`, "set is an array"},
		{"/v1/commit", `{"id":"ID","set":{"":2}}`, "has 0 bytes"},
		{"/v1/commit", `{"id":"ID","set":{"` + strings.Repeat("k", 256) + `":2}}`, "256 bytes"},
		{"/v1/commit", `{"id":"ID","set":{"waddle.user":2}}`, "the library's own"},
		{"/v1/commit", `{"id":"ID","set":{"k":` + strings.Repeat("[", 1001) + strings.Repeat("]", 1001) + `}}`, "deep"},
		{"/v1/commit", `{"id":"ID","set":{"k":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}}`, "not JSON"},
		{"/v1/commit", `{"id":"ID","set":{"k":2},"delete":["k"]}`, "both have"},
		{"/v1/commit", `{"id":"ID","delete":"k"}`, "array of strings"},
		{"/v1/commit", `{"id":"ID","delete":[1]}`, "strings only"},
		{"/v1/commit", `{"id":"ID","clear":1}`, "true or false"},
		{"/v1/commit", `{"id":"ID","modified":null}`, "true or false"},
		{"/v1/commit", `{"id":"ID","revision":-1}`, "whole number"},
		{"/v1/commit", `{"id":"ID","revision":1.0}`, "whole number"},
		{"/v1/commit", `{"id":"ID","revision":9223372036854775808}`, "whole number"},
		{"/v1/commit", `{"id":"","revision":1}`, "a new session has none"},
		{"/v1/commit", `{"id":"ID","on_conflict":"fail"}`, "revision is missing"},
		{"/v1/commit", `{"id":"ID","on_conflict":"overwrite"}`, "merge or fail"},
		{"/v1/commit", `{"id":"ID","log_in":{}}`, "has no user"},
		{"/v1/commit", `{"id":"ID","log_in":{"user":""}}`, "a user's name has 0 bytes"},
		{"/v1/commit", `{"id":"ID","log_in":{"user":"a\u0000b"}}`, "no NUL"},
		{"/v1/commit", `{"id":"ID","log_in":{"user":"a","note":{"n":1}}}`, "strings only"},
		{"/v1/commit", `{"id":"ID","log_in":{"user":"a","note":{"n":"` + strings.Repeat("x", 5000) + `"}}}`, "at most 4096"},
		{"/v1/load", `{"id":"ID","touch":null}`, "touch is null"},
		{"/v1/users/revoke", `{"user":"a"}`, "has no public_id"},
	} {
		body := strings.ReplaceAll(c.body, "ID", id)
		if strings.Contains(c.body, `"ID":`) {
			body = c.body
		}
		a := s.ask(t, 400, c.path, "%s", body)
		require.Equal(t, "bad_request", a.Error.Code)
		require.Contains(t, a.Error.Message, c.says, c.body)
		require.NotContains(t, a.Error.Message, id)
	}
	require.Equal(t, before, s.ask(t, 200, "/v1/load", `{"id":%q}`, id).Session)
}

// TestRequestsThatAreWrong in other ways than their bodies.
func TestRequestsThatAreWrong(t *testing.T) {
	s := over(t, store.NewMemory(), func(c *serving.Config) { c.Limits.MaxBody = 1000 })
	for _, c := range []struct {
		name, method, path string
		header             http.Header
		body               io.Reader
		status             int
		code               string
	}{
		{"a form", "POST", "/v1/load", http.Header{"Content-Type": {"text/plain"}}, strings.NewReader(`{"id":""}`), 415, "unsupported_media_type"},
		{"no type", "POST", "/v1/load", http.Header{}, strings.NewReader(`{"id":""}`), 415, "unsupported_media_type"},
		{"another charset", "POST", "/v1/load", http.Header{"Content-Type": {"application/json; charset=latin1"}}, strings.NewReader(`{"id":""}`), 415, "unsupported_media_type"},
		{"compressed", "POST", "/v1/load", http.Header{"Content-Encoding": {"gzip"}}, strings.NewReader(`{"id":""}`), 415, "unsupported_media_type"},
		{"a page", "POST", "/v1/load", http.Header{"Origin": {"https://evil.example"}}, strings.NewReader(`{"id":""}`), 403, "forbidden"},
		{"a query", "POST", "/v1/load?id=x", nil, strings.NewReader(`{"id":""}`), 400, "bad_request"},
		{"a method", "GET", "/v1/load", nil, nil, 405, "method_not_allowed"},
		{"another", "PUT", "/v1/commit", nil, strings.NewReader(`{"id":""}`), 405, "method_not_allowed"},
		{"a path", "POST", "/v1/load/", nil, strings.NewReader(`{"id":""}`), 404, "not_found"},
		{"too large", "POST", "/v1/load", nil, strings.NewReader(strings.Repeat(" ", 2000)), 413, "body_too_large"},
		{"too large, in chunks", "POST", "/v1/load", nil, io.MultiReader(strings.NewReader(strings.Repeat(" ", 2000))), 413, "body_too_large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), c.method, "http://waddle"+c.path, c.body)
			require.NoError(t, err)
			if c.header != nil {
				r.Header = c.header
			}
			if c.header == nil || c.header["Content-Encoding"] != nil || c.header["Origin"] != nil {
				r.Header.Set("Content-Type", "application/json")
			}
			resp, err := s.clients.Do(r)
			require.NoError(t, err)
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, c.status, resp.StatusCode, "%s", text)
			var a answer
			require.NoError(t, json.Unmarshal(text, &a))
			require.Equal(t, c.code, a.Error.Code)
			require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
		})
	}
	status, _, _, err := post(s.clients, "/v1/load", `{"id":"`+strings.Repeat("x", 900)+`"}`)
	require.NoError(t, err)
	require.Equal(t, 200, status)
}

// TestSizes: a session above Settings.MaxSize is not stored.
func TestSizes(t *testing.T) {
	s := over(t, store.NewMemory(), settings(func(c *session.Settings) { c.MaxSize = 2000 }))
	id := s.ask(t, 200, "/v1/commit", `{"id":"","set":{"a":%q}}`, strings.Repeat("x", 1000)).Session.ID
	require.Equal(t, "session_too_large", s.ask(t, 507, "/v1/commit", `{"id":%q,"set":{"b":%q}}`, id, strings.Repeat("x", 1000)).Error.Code)
	require.Len(t, s.ask(t, 200, "/v1/load", `{"id":%q}`, id).Session.Values, 1)
}

// TestManyValues: a commit changes so many values at most that it takes no time, however
// many the session has.
func TestManyValues(t *testing.T) {
	s := over(t, store.NewMemory())
	names := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"%d":0`, i)
		}
		return b.String()[1:]
	}
	id := s.ask(t, 200, "/v1/commit", `{"id":"","set":{%s}}`, names(serving.MaxChanges)).Session.ID
	require.Len(t, s.ask(t, 200, "/v1/load", `{"id":%q}`, id).Session.Values, serving.MaxChanges)
	require.Contains(t, s.ask(t, 400, "/v1/commit", `{"id":%q,"set":{%s},"delete":["x"]}`, id, names(serving.MaxChanges)).Error.Message, "at most 1000")
}

// TestTooManyRequests of one client are refused until it has waited. However slow the
// machine is, so many cannot take a second each.
func TestTooManyRequests(t *testing.T) {
	s := over(t, store.NewMemory(), func(c *serving.Config) { c.Limits.Rate = 1 })
	refused := false
	for range 100 {
		status, text, a, err := post(s.clients, "/v1/load", `{"id":""}`)
		require.NoError(t, err)
		if refused = status == 429; refused {
			require.Equal(t, "too_many_requests", a.Error.Code)
			require.Positive(t, a.Error.RetryAfter, "%s", text)
			require.LessOrEqual(t, a.Error.RetryAfter, 1000)
			break
		}
	}
	require.True(t, refused)
	require.Eventually(t, func() bool {
		status, _, _, err := post(s.clients, "/v1/load", `{"id":""}`)
		return err == nil && status == 200
	}, patience, 50*time.Millisecond, "it may again")
}

// TestRates: each client has its own tokens, as many as the rate, which come back.
func TestRates(t *testing.T) {
	now := time.Unix(1000, 0)
	take := serving.Rates(10)
	for range 10 {
		require.Zero(t, take("a", now))
	}
	require.Equal(t, 100*time.Millisecond, take("a", now))
	require.Zero(t, take("b", now))
	require.Equal(t, 50*time.Millisecond, take("a", now.Add(50*time.Millisecond)))
	require.Zero(t, take("a", now.Add(100*time.Millisecond)))
	require.Positive(t, take("a", now.Add(100*time.Millisecond)))
	for range 10 {
		require.Zero(t, take("a", now.Add(time.Hour)), "no more than a burst is saved up")
	}
	require.Positive(t, take("a", now.Add(time.Hour)))
	require.Positive(t, take("a", now), "a clock that goes back gives nothing")
}

// TestTooManyConnections: one more than allowed gets an answer, and many more are closed.
// When others leave there is room again.
func TestTooManyConnections(t *testing.T) {
	s := over(t, store.NewMemory(), func(c *serving.Config) { c.Limits.Connections = 2 })
	dial := func() net.Conn {
		c, err := net.Dial("unix", s.socket)
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		return c
	}
	ask := func(c net.Conn) (int, http.Header) {
		_, err := io.WriteString(c, "POST /v1/load HTTP/1.1\r\nHost: w\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"id\":\"\"}")
		require.NoError(t, err)
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		defer r.Body.Close()
		_, err = io.Copy(io.Discard, r.Body)
		require.NoError(t, err)
		return r.StatusCode, r.Header
	}
	first := dial()
	for _, c := range []net.Conn{first, dial()} {
		status, _ := ask(c)
		require.Equal(t, 200, status)
	}
	status, header := ask(dial())
	require.Equal(t, 429, status)
	require.Equal(t, "1", header.Get("Retry-After"))
	require.NoError(t, first.Close())
	require.Eventually(t, func() bool { status, _ := ask(dial()); return status == 200 }, patience, 10*time.Millisecond)
}

// TestClientsThatHangUp in the middle of a request harm nobody.
func TestClientsThatHangUp(t *testing.T) {
	s := over(t, store.NewMemory())
	id := s.ask(t, 200, "/v1/commit", `{"id":"","set":{"k":1}}`).Session.ID
	for _, sent := range []string{
		"POST /v1/commit HTTP/1.1\r\n",
		"POST /v1/commit HTTP/1.1\r\nHost: w\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"id\":\"" + id + `","clear":true`,
		fmt.Sprintf("POST /v1/commit HTTP/1.1\r\nHost: w\r\nContent-Type: application/json\r\nContent-Length: 200000\r\n\r\n{\"id\":%q", id),
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	} {
		c, err := net.Dial("unix", s.socket)
		require.NoError(t, err)
		_, err = io.WriteString(c, sent)
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
	require.Equal(t, map[string]string{"k": "1"}, values(s.ask(t, 200, "/v1/load", `{"id":%q}`, id).Session))
}

// TestStorageThatFails is said to be one, with a time to try again, and without its words.
func TestStorageThatFails(t *testing.T) {
	st := store.NewMemory()
	s := over(t, broken{st})
	a := s.ask(t, 503, "/v1/commit", `{"id":"","set":{"k":1}}`)
	require.Equal(t, "unavailable", a.Error.Code)
	require.Positive(t, a.Error.RetryAfter)
	require.NotContains(t, a.Error.Message, "10.1.0.7")
	r, err := s.operator.Get("http://waddle/readyz")
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Equal(t, 503, r.StatusCode)
}

// TestHTTP2OnASocket is for clients that ask for it from the beginning.
func TestHTTP2OnASocket(t *testing.T) {
	s := over(t, store.NewMemory())
	transport := s.clients.Transport.(*http.Transport).Clone()
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	r, err := (&http.Client{Transport: transport}).Post("http://waddle/v1/load", "application/json", strings.NewReader(`{"id":""}`))
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Equal(t, 200, r.StatusCode)
	require.Equal(t, "HTTP/2.0", r.Proto)
}
