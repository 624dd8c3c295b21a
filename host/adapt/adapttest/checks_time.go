package adapttest

import (
	"net/http"
	"time"

	"github.com/stretchr/testify/require"
)

func (b *bench) timeLimits() {
	b.together(
		func(b *bench) { b.again().timeOuts(Outside) },
		func(b *bench) { b.again().timeOuts(Inside) },
	)
}

// timeOuts sends a request that takes too long, with a session and without.
func (b *bench) timeOuts(place Place) {
	b.startNative(Options{TimeLimit: place, Limit: 2 * time.Second})
	known, fresh := b.visitor(), b.visitor()
	require.Equal(b, http.StatusCreated, known.post("/set?value=before").StatusCode, "a quick request")
	slow := func(v *visitor) func(*bench) {
		return func(b *bench) {
			v := &visitor{b, v.cookie, v.url}
			r := v.post("/slow")
			require.GreaterOrEqual(b, r.StatusCode, 400, "the response to a slow request")
			require.Error(b, b.finding(), "what the handler has of its context")
			if v.cookie != "" {
				first, second, _ := v.storedValues()
				require.Equal(b, first, second, "two changes of one request, of which one is stored")
			}
			if r.Header["Set-Cookie"] != nil {
				v.requireStored("slow") // the cookie of a session that is not there would be a lie
			}
		}
	}
	b.together(slow(known), slow(fresh))
	require.Equal(b, http.StatusCreated, known.post("/set?value=after").StatusCode, "a quick request after a slow one")
	known.requireStored("after")
}
