package adapttest

import (
	"net/http"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

func (b *bench) traced(place Place) {
	b.startNative(Options{Tracing: place})
	v := b.visitor()
	span, stored := b.spansOf(func() {
		r := v.post("/set?value=x")
		require.Equal(b, http.StatusCreated, r.StatusCode)
		b.requireNew(r.Response)
	})
	b.requireStatus(span, http.StatusCreated)
	require.Equal(b, codes.Unset, span.Status.Code)
	requireSize(b, span, len("set"))
	v.requireStored("x")
	if place == Outside {
		require.NotEmpty(b, stored, "the spans of the storage")
		var names []string
		for _, e := range span.Events {
			names = append(names, e.Name)
		}
		require.Contains(b, names, "waddle.session.created", "the events of the request's span")
		for _, s := range stored {
			require.Equal(b, span.SpanContext.SpanID(), s.Parent.SpanID(), "the span around %s", s.Name)
		}
	}

	if place == Outside {
		span, _ = b.spansOf(func() { require.Equal(b, http.StatusNotFound, v.get("/no/such/path").StatusCode) })
		b.requireStatus(span, http.StatusNotFound)
		b.store.Fail(store.ErrUnavailable)
		span, _ = b.spansOf(func() { require.Equal(b, http.StatusServiceUnavailable, v.post("/set?value=y").StatusCode) })
		b.store.Fail(nil)
		b.requireStatus(span, http.StatusServiceUnavailable)
		require.Equal(b, codes.Error, span.Status.Code)
	}
	require.NoError(b, b.errorsOf(session.EventFailed))
	b.streams(nil)
}

// spansOf returns the request's span of a request, and those of the storage.
func (b *bench) spansOf(request func()) (span tracetest.SpanStub, stored tracetest.SpanStubs) {
	b.spans.Reset()
	request()
	// The span may end after the client has the response.
	look := func() bool {
		span, stored = tracetest.SpanStub{}, nil
		for _, s := range b.spans.GetSpans() {
			if s.SpanKind == trace.SpanKindServer {
				span = s
			} else {
				stored = append(stored, s)
			}
		}
		return span.Name != ""
	}
	b.eventually(look, "found no span of kind server, want one")
	return span, stored
}

func (b *bench) requireStatus(span tracetest.SpanStub, want int) {
	found := attributeOf(span, "http.response.status_code", "http.status_code")
	require.EqualValues(b, want, found.AsInt64(), "the status in the span %s, which has %v", span.Name, span.Attributes)
}

// requireSize fails if a span has a size of the response that is not this one. Not
// all instrumentations record it.
func requireSize(t require.TestingT, span tracetest.SpanStub, want int) {
	if found := attributeOf(span, "http.response.body.size", "http.response_content_length"); found.Type() == attribute.INT64 {
		require.EqualValues(t, want, found.AsInt64(), "the size in the span %s", span.Name)
	}
}

func attributeOf(span tracetest.SpanStub, names ...attribute.Key) attribute.Value {
	for _, a := range span.Attributes {
		for _, name := range names {
			if a.Key == name {
				return a.Value
			}
		}
	}
	return attribute.Value{}
}
