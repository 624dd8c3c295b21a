package adapttest

import (
	"github.com/stretchr/testify/require"
)

func (b *bench) http2() {
	b.start(engine(), Options{TLS: serverTLS()})
	v := b.visitor()
	r := v.post("/set?value=x")
	require.Equal(b, 2, r.ProtoMajor, "the version of HTTP")
	b.requireNew(r.Response)
	require.True(b, sessionCookie(r.Response).Secure, "the cookie is Secure over TLS")
	b.countAtOnce(v)
	b.streams(nil)
}
