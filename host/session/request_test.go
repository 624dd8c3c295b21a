package session_test

import (
	"bytes"
	"io"
	"log"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// upload sends a file that is too large for memory.
func upload(t *testing.T, client *http.Client, url string) (*http.Response, error) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	require.NoError(t, form.WriteField("title", "a duck"))
	part, err := form.CreateFormFile("picture", "duck.png")
	require.NoError(t, err)
	_, err = part.Write(bytes.Repeat([]byte("quack"), 40_000))
	require.NoError(t, err)
	require.NoError(t, form.Close())
	r, err := http.NewRequest(http.MethodPost, url, &body)
	require.NoError(t, err)
	r.Header.Set("Content-Type", form.FormDataContentType())
	resp, err := client.Do(r)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	return resp, err
}

// TestUploadsLeaveNothingBehind: the files of a parsed form are removed when
// the handler is done, however it ends and whoever copied the request outside.
func TestUploadsLeaveNothingBehind(t *testing.T) {
	parse := func(t *testing.T, dir string, r *http.Request) {
		require.NoError(t, r.ParseMultipartForm(1000))
		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.NotEmpty(t, files, "the upload must have been too large for the memory")
	}
	inTime := func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "too slow") }
	for _, c := range []struct {
		name   string
		around func(h http.Handler) http.Handler
		then   func(t *testing.T, w http.ResponseWriter, r *http.Request)
		http1  bool // HTTP/1 only
	}{
		{name: "answered", then: func(t *testing.T, w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "thank you") }},
		{name: "with a session", then: func(t *testing.T, _ http.ResponseWriter, r *http.Request) {
			require.NoError(t, session.From(r).Set("user", "ada"))
		}},
		{name: "a panic", then: func(*testing.T, http.ResponseWriter, *http.Request) { panic("a fault for tests") }},
		{name: "an aborted answer", then: func(*testing.T, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{name: "a connection taken over", http1: true, then: func(t *testing.T, w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			require.NoError(t, err)
			_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
			conn.Close()
		}},
		{name: "http.TimeoutHandler outside", around: inTime, then: func(*testing.T, http.ResponseWriter, *http.Request) {}},
		{name: "a panic within http.TimeoutHandler", around: inTime, then: func(*testing.T, http.ResponseWriter, *http.Request) { panic("a fault for tests") }},
		{name: "http.MaxBytesHandler outside", around: func(h http.Handler) http.Handler { return http.MaxBytesHandler(h, 1<<20) },
			then: func(*testing.T, http.ResponseWriter, *http.Request) {}},
		{name: "http.StripPrefix outside", around: func(h http.Handler) http.Handler { return http.StripPrefix("/", h) },
			then: func(*testing.T, http.ResponseWriter, *http.Request) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			overProtocols(t, func(t *testing.T, http2 bool) {
				if c.http1 && http2 {
					t.Skip("HTTP/2 cannot")
				}
				dir := t.TempDir()
				setTempDir(t, dir)
				t.Setenv("TMP", dir)
				a := newApp(t, store.NewMemory())
				h := a.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					parse(t, dir, r)
					c.then(t, w, r)
				}))
				if c.around != nil {
					h = c.around(h)
				}
				done := make(chan struct{})
				server := serveOver(t, http2, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer close(done)
					h.ServeHTTP(w, r)
				}))
				_, _ = upload(t, server.Client(), server.URL) // this fails if the handler panics
				<-done
				server.Close()
				files, err := os.ReadDir(dir)
				require.NoError(t, err)
				require.Empty(t, files)
			})
		})
	}
}

// TestCopiedRequestIsNotOurs: if a handler inside parses a copy of the request,
// nobody outside can find the files, with or without this package.
func TestCopiedRequestIsNotOurs(t *testing.T) {
	for name, sessions := range map[string]bool{"net/http": false, "with sessions": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			setTempDir(t, dir)
			t.Setenv("TMP", dir)
			a := newApp(t, store.NewMemory())
			h := http.StripPrefix("/", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				require.NoError(t, r.ParseMultipartForm(1000))
			}))
			if sessions {
				h = a.manager.Handler(h)
			}
			server := serveOver(t, false, h)
			_, err := upload(t, server.Client(), server.URL)
			require.NoError(t, err)
			server.Close()
			files, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, files, 1, "if this is empty, net/http has learnt something, and Handler's documentation is out of date")
		})
	}
}

// TestOutsideSeesTheRequest: the middleware around Handler, which logs and
// traces, sees what a handler learns about its request.
func TestOutsideSeesTheRequest(t *testing.T) {
	for name, panics := range map[string]bool{"answered": false, "a panic": true} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, store.NewMemory())
			mux := http.NewServeMux()
			mux.HandleFunc("POST /ducks/{name}", func(_ http.ResponseWriter, r *http.Request) {
				require.NoError(t, r.ParseMultipartForm(1<<20))
				if panics {
					panic(http.ErrAbortHandler)
				}
			})
			h := a.manager.Handler(mux)
			seen := make(chan *http.Request, 1)
			server := serveOver(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() { seen <- r }()
				h.ServeHTTP(w, r)
			}))
			_, _ = upload(t, server.Client(), server.URL+"/ducks/ada?q=1")
			r := <-seen
			require.Equal(t, "POST /ducks/{name}", r.Pattern)
			require.Empty(t, r.PathValue("name"), "as documented: handing these back would allocate")
			require.Equal(t, "1", r.Form.Get("q"))
			require.Equal(t, "a duck", r.PostForm.Get("title"))
			require.Equal(t, "duck.png", r.MultipartForm.File["picture"][0].Filename)
		})
	}
}

// TestFormOfTheOutside: the server removes a form that was parsed outside. It
// is still whole when the handler has returned.
func TestFormOfTheOutside(t *testing.T) {
	dir := t.TempDir()
	setTempDir(t, dir)
	t.Setenv("TMP", dir)
	a := newApp(t, store.NewMemory())
	h := a.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		require.Equal(t, "a duck", r.FormValue("title"))
	}))
	server := serveOver(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.NoError(t, r.ParseMultipartForm(1000))
		h.ServeHTTP(w, r)
		f, _, err := r.FormFile("picture")
		require.NoError(t, err)
		defer f.Close()
		data, err := io.ReadAll(f)
		require.NoError(t, err)
		require.Equal(t, strings.Repeat("quack", 40_000), string(data))
	}))
	_, err := upload(t, server.Client(), server.URL)
	require.NoError(t, err)
	server.Close()
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, files)
}

// serveOver starts a server for one protocol.
func serveOver(t *testing.T, http2 bool, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // panics are part of the tests
	server.EnableHTTP2 = http2
	if http2 {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

// setTempDir makes the process create its temporary files in a directory, for a
// test. The variables are those of Unix and Windows.
func setTempDir(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"TMPDIR", "TMP"} {
		t.Setenv(name, dir)
	}
}
