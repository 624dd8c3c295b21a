package session_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

const largeFile = 40 << 20

var contents = bytes.Repeat([]byte("what is in the file. "), 1000)

// filler produces a file's contents without using memory for them.
type filler struct{ left int }

func (f *filler) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	n := 0
	for n < min(len(p), f.left) {
		n += copy(p[n:min(len(p), f.left)], contents)
	}
	f.left -= n
	return n, nil
}

const formBoundary = "a-boundary-of-a-form"

// formWithFile is a form with a file of the given size. The token is before it,
// behind it, or absent.
func formWithFile(size int, before, behind string) io.Reader {
	part := func(header, text string) io.Reader {
		return strings.NewReader("--" + formBoundary + "\r\nContent-Disposition: form-data; " + header + "\r\n\r\n" + text)
	}
	var parts []io.Reader
	token := func(value string) {
		if value != "" {
			parts = append(parts, part(`name="`+session.CSRFField+`"`, value+"\r\n"))
		}
	}
	token(before)
	parts = append(parts, part(`name="title"`, "a title\r\n"), part(`name="file"; filename="a.bin"`, ""), &filler{size}, strings.NewReader("\r\n"))
	token(behind)
	return io.MultiReader(append(parts, strings.NewReader("--"+formBoundary+"--\r\n"))...)
}

func digest(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	n, err := io.Copy(h, r)
	require.NoError(t, err)
	return fmt.Sprintf("%d %x", n, h.Sum(nil))
}

// protected serves handler behind Protect. It returns its address and the
// cookie and token of a session.
func protected(t *testing.T, handler http.Handler) (a *app, address, id, token string) {
	t.Helper()
	a = newApp(t, store.NewMemory())
	b := a.browser()
	b.set("user", "ada")
	token = b.csrfToken()
	server := httptest.NewServer(a.manager.Handler(a.manager.Protect(nil)(handler)))
	t.Cleanup(server.Close)
	return a, server.URL, b.id(), token
}

func postAs(t *testing.T, address, id, contentType string, body io.Reader, header ...string) *reply {
	t.Helper()
	return sendAs(t, http.MethodPost, address, id, contentType, body, header...)
}

func sendAs(t *testing.T, method, address, id, contentType string, body io.Reader, header ...string) *reply {
	t.Helper()
	r, err := http.NewRequest(method, address, body)
	require.NoError(t, err)
	r.Header.Set("Content-Type", contentType)
	r.AddCookie(&http.Cookie{Name: "session_id", Value: id})
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return fetch(t, http.DefaultClient, r)
}

// TestBodyBelongsToTheHandler: whatever Protect had to read, a reverse proxy
// behind it passes on the same bytes, and a handler reads parts as a stream.
func TestBodyBelongsToTheHandler(t *testing.T) {
	var got string
	var length int64
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		length, got = r.ContentLength, digest(t, r.Body)
	}))
	defer backend.Close()
	target, err := url.Parse(backend.URL)
	require.NoError(t, err)
	_, address, id, token := protected(t, httputil.NewSingleHostReverseProxy(target))
	const multi = "multipart/form-data; boundary=" + formBoundary
	const form = "application/x-www-form-urlencoded"
	long := strings.Repeat("x=y&", 100<<10)
	for _, c := range []struct {
		name   string
		kind   string
		body   func() io.Reader
		header []string
	}{
		{"upload with the token in it", multi, func() io.Reader { return formWithFile(largeFile, token, "") }, nil},
		{"upload with the token in the header", multi, func() io.Reader { return formWithFile(largeFile, "", "") }, []string{session.CSRFHeader, token}},
		{"small upload with the token behind", multi, func() io.Reader { return formWithFile(100, "", token) }, nil},
		{"upload of a page that says where it is", multi, func() io.Reader { return formWithFile(1<<20, "", "") }, []string{"Sec-Fetch-Site", "same-origin"}},
		{"form", form, func() io.Reader { return strings.NewReader("a=1&" + session.CSRFField + "=" + token + "&b=2") }, nil},
		{"long form", form, func() io.Reader { return strings.NewReader(session.CSRFField + "=" + token + "&" + long) }, nil},
		{"form whose token is its end", form, func() io.Reader { return strings.NewReader("a=1&" + session.CSRFField + "=" + token) }, nil},
		{"form in other letters", "Application/X-WWW-Form-Urlencoded; charset=utf-8", func() io.Reader { return strings.NewReader("csrf%5Ftoken=" + token) }, nil},
		{"JSON", "application/json", func() io.Reader { return strings.NewReader(`{"a":1}`) }, []string{session.CSRFHeader, token}},
	} {
		for _, chunked := range []bool{false, true} {
			if !chunked && c.kind == multi {
				continue // an upload has no length
			}
			t.Run(fmt.Sprintf("%s, chunked %v", c.name, chunked), func(t *testing.T) {
				got = ""
				body := c.body()
				if !chunked { // net/http sets the length
					text, err := io.ReadAll(body)
					require.NoError(t, err)
					body = bytes.NewReader(text)
				}
				resp := postAs(t, address, id, c.kind, body, c.header...)
				require.Equal(t, http.StatusOK, resp.StatusCode)
				require.Equal(t, digest(t, c.body()), got)
				if !chunked {
					require.Positive(t, length)
				}
			})
		}
	}

	t.Run("MultipartReader", func(t *testing.T) {
		var names []string
		var file string
		_, address, id, token := protected(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			parts, err := r.MultipartReader()
			require.NoError(t, err)
			for {
				part, err := parts.NextPart()
				if err == io.EOF {
					return
				}
				require.NoError(t, err)
				names = append(names, part.FormName())
				if part.FileName() != "" {
					file = digest(t, part)
				}
			}
		}))
		require.Equal(t, http.StatusOK, postAs(t, address, id, multi, formWithFile(largeFile, token, "")).StatusCode)
		require.Equal(t, []string{session.CSRFField, "title", "file"}, names)
		require.Equal(t, digest(t, &filler{largeFile}), file)
	})

	t.Run("the handler may parse it, and others before Protect", func(t *testing.T) {
		a := newApp(t, store.NewMemory())
		b := a.browser()
		b.set("user", "ada")
		token := b.csrfToken()
		for _, early := range []bool{false, true} {
			h := a.manager.Protect(nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				require.Equal(t, "a title", r.FormValue("title"))
				require.Equal(t, token, r.FormValue(session.CSRFField))
				_, header, err := r.FormFile("file")
				require.NoError(t, err)
				require.EqualValues(t, 5000, header.Size)
			}))
			server := httptest.NewServer(a.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if early {
					require.NoError(t, r.ParseMultipartForm(1<<20))
				}
				h.ServeHTTP(w, r)
			})))
			defer server.Close()
			require.Equal(t, http.StatusOK, postAs(t, server.URL, b.id(), multi, formWithFile(5000, token, "")).StatusCode)
		}
	})
}

// counting counts the bytes read from a body.
type counting struct {
	io.Reader
	read   int
	closed bool
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += n
	return n, err
}

func (c *counting) Close() error { c.closed = true; return nil }

// TestRefusalReadsLittle: the part read from a refused body is bounded,
// whatever the body is. If there is nothing to look for, none is read.
func TestRefusalReadsLittle(t *testing.T) {
	const look = 256 << 10
	a := newApp(t, store.NewMemory())
	b := a.browser()
	b.set("user", "ada")
	token := b.csrfToken()
	h := a.manager.Handler(a.manager.Protect(nil)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("let through")
	})))
	const multi = "multipart/form-data; boundary=" + formBoundary
	const form = "application/x-www-form-urlencoded"
	endless := func() io.Reader { return &filler{1 << 40} }
	for _, c := range []struct {
		name   string
		kind   string
		body   io.Reader
		header []string
		most   int
	}{
		{"upload without a token", multi, formWithFile(1<<40, "", ""), nil, look},
		{"upload with the token behind the file", multi, formWithFile(1<<40, "", token), nil, look},
		{"upload with a wrong token", multi, formWithFile(1<<40, flip(token), ""), nil, 8 << 10},
		{"upload with a wrong token in the header", multi, formWithFile(1<<40, token, ""), []string{session.CSRFHeader, flip(token)}, 0},
		{"a token that is a file", multi, io.MultiReader(strings.NewReader("--"+formBoundary+"\r\nContent-Disposition: form-data; name=\"csrf_token\"; filename=\"x\"\r\n\r\n"+token+"\r\n--"+formBoundary+"--\r\n"), endless()), nil, look},
		{"a token without end", multi, io.MultiReader(strings.NewReader("--"+formBoundary+"\r\nContent-Disposition: form-data; name=\"csrf_token\"\r\n\r\n"), endless()), nil, look},
		{"a header without end", multi, io.MultiReader(strings.NewReader("--"+formBoundary+"\r\nContent-Disposition: "), endless()), nil, look},
		{"no boundary", "multipart/form-data", endless(), nil, look},
		{"form without a token", form, endless(), nil, look},
		{"form with a token behind", form, io.MultiReader(io.LimitReader(endless(), look), strings.NewReader("&csrf_token="+token)), nil, look},
		{"form with half a token at the end of what is read", form, io.MultiReader(io.LimitReader(endless(), look-50), strings.NewReader("&csrf_token="+token)), nil, look},
		{"JSON", "application/json", endless(), nil, 0},
		{"nothing said", "", endless(), nil, 0},
		{"junk said", "a b; c", endless(), nil, 0},
		{"another site", multi, formWithFile(1<<40, token, ""), []string{"Sec-Fetch-Site", "cross-site"}, 0},
		{"a body that breaks off", form, &breaksOff{strings.NewReader("a=1&csrf_token=" + token)}, nil, look},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := &counting{Reader: c.body}
			r := httptest.NewRequest(http.MethodPost, "/", body)
			r.Header.Set("Content-Type", c.kind)
			r.AddCookie(&http.Cookie{Name: "session_id", Value: b.id()})
			for i := 0; i < len(c.header); i += 2 {
				r.Header.Set(c.header[i], c.header[i+1])
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, http.StatusForbidden, w.Code)
			require.LessOrEqual(t, body.read, c.most)
			require.False(t, body.closed, "that is the server's to do")
		})
	}
}

var errBroken = errors.New("the client went away")

// breaksOff is a body that breaks off.
type breaksOff struct{ io.Reader }

func (b *breaksOff) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = errBroken
	}
	return n, err
}

// TestBodyThatBreaksOff: the handler gets the same error at the same place.
func TestBodyThatBreaksOff(t *testing.T) {
	a := newApp(t, store.NewMemory())
	b := a.browser()
	b.set("user", "ada")
	token := b.csrfToken()
	text := session.CSRFField + "=" + token + "&a=1&b=half of"
	closed := &counting{Reader: &breaksOff{strings.NewReader(text)}}
	reached := false
	h := a.manager.Handler(a.manager.Protect(nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached = true
		for range 2 {
			got, err := io.ReadAll(r.Body)
			require.ErrorIs(t, err, errBroken)
			require.Equal(t, text, string(got))
			text = ""
		}
		require.NoError(t, r.Body.Close())
	})))
	r := httptest.NewRequest(http.MethodPost, "/", closed)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.AddCookie(&http.Cookie{Name: "session_id", Value: b.id()})
	h.ServeHTTP(httptest.NewRecorder(), r)
	require.True(t, reached)
	require.True(t, closed.closed)
}

// TestRefusedUploadLeavesNothing: any number of uploads of 40 MB, refused with
// 403 or accepted, leaves no file behind.
func TestRefusedUploadLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	setTempDir(t, dir)
	require.Equal(t, dir, os.TempDir())
	reached := false
	_, address, id, token := protected(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached = true
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	target, err := url.Parse(address)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		header        string
		before, after string
		status        int
	}{
		"no token":           {"", "", "", http.StatusForbidden},
		"a token behind":     {"", "", token, http.StatusForbidden},
		"another site":       {"Sec-Fetch-Site: cross-site\r\n", token, "", http.StatusForbidden},
		"let through":        {"", token, "", http.StatusOK},
		"let through by now": {session.CSRFHeader + ": " + token + "\r\n", "", "", http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			reached = false
			conn, err := net.Dial("tcp", target.Host)
			require.NoError(t, err)
			defer conn.Close()
			body := formWithFile(largeFile, c.before, c.after)
			length, err := io.Copy(io.Discard, formWithFile(largeFile, c.before, c.after))
			require.NoError(t, err)
			_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: %s\r\nCookie: session_id=%s\r\n%sContent-Type: multipart/form-data; boundary=%s\r\nContent-Length: %d\r\n\r\n",
				target.Host, id, c.header, formBoundary, length)
			require.NoError(t, err)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_, _ = io.Copy(conn, body) // the server may close before it has all of it
			}()
			line, err := textproto.NewReader(bufio.NewReader(conn)).ReadLine()
			require.NoError(t, err)
			require.Contains(t, line, fmt.Sprint(c.status))
			require.Equal(t, c.status == http.StatusOK, reached)
			conn.Close()
			<-sent
			require.Eventually(t, func() bool {
				files, err := os.ReadDir(dir)
				return err == nil && len(files) == 0
			}, time.Minute, 10*time.Millisecond, "a file stays")
		})
	}
}

// TestDenyHandlerThatParses: the files of a form are removed if a deny handler
// parsed it, and also if OnError did.
func TestDenyHandlerThatParses(t *testing.T) {
	dir := t.TempDir()
	setTempDir(t, dir)
	files := func() int {
		list, err := os.ReadDir(dir)
		require.NoError(t, err)
		return len(list)
	}
	parsed := 0
	deny := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.NoError(t, r.ParseMultipartForm(1<<10))
		parsed = files()
		w.WriteHeader(http.StatusTeapot)
	})
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(deny)
	a := newApp(t, store.NewMemory(), func(s *session.Settings) {
		s.OnError = func(w http.ResponseWriter, r *http.Request, _ error) { deny(w, r) }
	})
	id := a.login("ada")
	for _, h := range []http.Handler{a.manager.Protect(origins)(http.NotFoundHandler()), a.manager.Protect(nil)(http.NotFoundHandler())} {
		for _, header := range [][]string{nil, {"Sec-Fetch-Site", "cross-site"}, {"Upgrade", "other", "Connection", "Upgrade", "Origin", "https://evil.example"}} {
			server := httptest.NewServer(a.manager.Handler(h))
			parsed = 0
			method := http.MethodPost
			if slices.Contains(header, "Upgrade") {
				method = http.MethodGet
			}
			got := sendAs(t, method, server.URL, id, "multipart/form-data; boundary="+formBoundary, formWithFile(1<<20, "", ""), header...)
			server.Close() // waits for the handler
			require.Equal(t, http.StatusTeapot, got.StatusCode)
			require.Equal(t, 1, parsed, "the body was whole, and a file made")
			require.Zero(t, files())
		}
	}
}

// TestUploadOfNobodyIsNotLookedAt: without a session there is nothing to abuse,
// so nothing is read.
func TestUploadOfNobodyIsNotLookedAt(t *testing.T) {
	a := newApp(t, store.NewMemory())
	body := &counting{Reader: formWithFile(1<<20, "", "")}
	var parts *multipart.Reader
	h := a.manager.Handler(a.manager.Protect(nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		require.Zero(t, body.read)
		var err error
		parts, err = r.MultipartReader()
		require.NoError(t, err)
	})))
	r := httptest.NewRequest(http.MethodPost, "/", body).WithContext(context.Background())
	r.Header.Set("Content-Type", "multipart/form-data; boundary="+formBoundary)
	h.ServeHTTP(httptest.NewRecorder(), r)
	require.NotNil(t, parts)
}
