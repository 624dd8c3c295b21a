package adapttest

import (
	"context"
	"io"
	"net/http"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

var acceptGzip = http.Header{"Accept-Encoding": {"gzip"}}

func (b *bench) compression(place Place) {
	b.startNative(Options{Compression: place})
	v := b.visitor()
	body := func(method, path string, header http.Header) (*http.Response, string) {
		ctx, cancel := context.WithTimeout(context.Background(), b.patience)
		defer cancel()
		resp := v.open(ctx, method, path, header)
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusNoContent {
			return resp, ""
		}
		data, err := io.ReadAll(b.decoded(resp))
		require.NoError(b, err)
		return resp, string(data)
	}

	resp, text := body(http.MethodGet, "/large", acceptGzip)
	require.Equal(b, "gzip", resp.Header.Get("Content-Encoding"), "the encoding of a large page")
	require.Equal(b, large, text)
	b.requireNew(resp)
	require.True(b, hasWord(resp.Header, "Vary", "Accept-Encoding"), "found Vary %q, want Accept-Encoding in it", resp.Header["Vary"])
	v.requireStored("answered")

	resp, text = body(http.MethodGet, "/large", nil)
	require.Empty(b, resp.Header.Get("Content-Encoding"), "the encoding for a client that knows none")
	require.Equal(b, large, text)
	b.requirePersonal(resp)

	resp, _ = body(http.MethodGet, "/answer/empty", acceptGzip)
	require.Equal(b, http.StatusNoContent, resp.StatusCode)

	b.store.Fail(store.ErrUnavailable, store.OpSet)
	resp, text = body(http.MethodGet, "/large", acceptGzip) // fails when the response begins
	b.store.Fail(nil)
	require.Equal(b, http.StatusServiceUnavailable, resp.StatusCode)
	require.NotEmpty(b, text, "an error page can be read")
	require.Less(b, len(text), len(large))

	b.streams(acceptGzip)
}
