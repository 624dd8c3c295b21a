package adapttest

import (
	"bufio"
	"context"
	"net/http"
	"strings"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
)

// streams reads a stream while its handler runs, by requests with these headers.
func (b *bench) streams(header http.Header) {
	ctx, cancel := context.WithTimeout(context.Background(), b.patience)
	defer cancel()
	v := b.visitor()
	resp := v.open(ctx, http.MethodGet, "/stream", header)
	defer resp.Body.Close()
	require.Equal(b, http.StatusOK, resp.StatusCode)
	b.requireNew(resp)
	v.requireStored("streamed") // before the first byte
	in := bufio.NewReader(b.decoded(resp))
	b.requireLine(in, "chunk 0")
	v.requireVisits(0)
	b.step()
	b.requireLine(in, "chunk 1")
	v.requireVisits(1) // by Increment, while the response is under way
	b.step()
	b.requireLine(in, "chunk 2")
	_, err := in.ReadByte()
	require.Error(b, err, "the end of the stream")
	v.requireVisits(2)
	require.NoError(b, b.errorsOf(session.EventFailed))
}

func (b *bench) serverSentEvents() {
	b.startNative(Options{})
	v := b.visitor()
	v.post("/log-in?user=ada")
	open := func() (next func(name, data string), leave func()) {
		ctx, cancel := context.WithTimeout(context.Background(), b.patience)
		resp := v.open(ctx, http.MethodGet, "/events", http.Header{"Accept": {"text/event-stream"}})
		require.Equal(b, http.StatusOK, resp.StatusCode)
		require.True(b, strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream"), resp.Header.Get("Content-Type"))
		require.True(b, hasWord(resp.Header, "Vary", "Cookie"), "found Vary %q, want Cookie in it", resp.Header["Vary"])
		in := bufio.NewReader(resp.Body)
		return func(name, data string) {
				for _, want := range []string{"event:" + name, "data:" + data} {
					line, err := in.ReadString('\n')
					require.NoError(b, err)
					require.Equal(b, want, strings.Replace(strings.TrimSuffix(line, "\n"), ": ", ":", 1))
				}
				b.requireLine(in, "")
			}, func() {
				cancel()
				_ = resp.Body.Close()
			}
	}

	next, leave := open()
	next("tick", "0")
	b.step()
	next("tick", "1")
	elsewhere := *v
	require.Equal(b, "out", elsewhere.post("/log-out").body)
	b.step()
	next("end", "logged out")
	require.NoError(b, b.finding())
	leave()

	v.cookie = ""
	v.post("/log-in?user=bob")
	next, leave = open()
	next("tick", "0")
	leave()
	// A framework that notices this only when it writes gets to write.
	ctx, cancel := context.WithTimeout(context.Background(), b.patience)
	defer cancel()
	for gone := false; !gone; {
		select {
		case err := <-b.found:
			require.Error(b, err, "what ends a handler whose client has left")
			gone = true
		case b.steps <- struct{}{}:
		case <-ctx.Done():
			require.FailNow(b, "found a handler that goes on, want it to end, since its client has left")
		}
	}
	require.NoError(b, b.errorsOf(session.EventFailed))
}
