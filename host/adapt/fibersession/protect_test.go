package fibersession_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"mime/multipart"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/fibersession"
	"github.com/waddle-sessions/waddle/host/session"
)

// TestProtect: a change gets through if a page of this site made it, and the handler
// still has the whole body.
func TestProtect(t *testing.T) {
	t.Parallel()
	for _, config := range []fiber.Config{{}, {DisablePreParseMultipartForm: true}} {
		s := newSiteOver(t, stores["native"](t), config).use()
		s.App.Use(fibersession.Protect(s.Manager, nil))
		s.App.Get("/form", func(c fiber.Ctx) error {
			own := fibersession.From(c)
			name.Put(own, "ada")
			return c.SendString(session.Value(own, own.CSRFToken))
		})
		s.App.Post("/form", func(c fiber.Ctx) error { return c.SendString(c.FormValue("more")) })
		s.App.Get("/socket", upgrade(nil))
		v := s.open().visitor()
		token := v.get("/form").text
		require.NotEmpty(t, token)
		urlencoded := url.Values{session.CSRFField: {token}, "more": {"text"}}.Encode()
		parts, kind := multipartForm(t, map[string]string{session.CSRFField: token, "more": "text"})
		bare, bareKind := multipartForm(t, map[string]string{"more": "text"})

		for _, c := range []struct {
			name, body string
			header     []string
			want       int
		}{
			{"same origin", "", []string{"Sec-Fetch-Site: same-origin"}, 200},
			{"another site", "", []string{"Sec-Fetch-Site: cross-site"}, 403},
			{"another origin", "", []string{"Origin: https://evil.example"}, 403},
			{"silent, no token", "", nil, 403},
			{"silent, token in the header", "", []string{session.CSRFHeader + ": " + token}, 200},
			{"silent, wrong token", "", []string{session.CSRFHeader + ": " + token[1:]}, 403},
			{"silent, token in a form", urlencoded, []string{"Content-Type: application/x-www-form-urlencoded"}, 200},
			{"silent, form without it", "more=text", []string{"Content-Type: application/x-www-form-urlencoded"}, 403},
			{"silent, token in parts", parts, []string{"Content-Type: " + kind}, 200},
			{"silent, parts without it", bare, []string{"Content-Type: " + bareKind}, 403},
		} {
			answer := v.send(http.MethodPost, "/form", c.body, c.header...)
			require.Equal(t, c.want, answer.StatusCode, "%s: %s", c.name, answer.text)
			if c.want == 200 && c.body != "" {
				require.Equal(t, "text", answer.text, c.name)
			}
		}
		require.Equal(t, 200, s.visitor().send(http.MethodPost, "/form", "").StatusCode, "nothing to ride on")

		conn, reader := s.dial("/socket", "Upgrade: echo", "Connection: Upgrade", "Origin: https://evil.example")
		response, err := http.ReadResponse(reader, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusForbidden, response.StatusCode, "a handshake is a change")
		require.NoError(t, conn.Close())
	}
}

// TestProtectOrigins: origins that are trusted pass, and the application's own answer goes
// to others.
func TestProtectOrigins(t *testing.T) {
	t.Parallel()
	origins := http.NewCrossOriginProtection()
	require.NoError(t, origins.AddTrustedOrigin("https://partner.example"))
	origins.AddInsecureBypassPattern("/hook")
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "<p>no</p>")
	}))
	s := newSite(t).use()
	s.App.Use(fibersession.Protect(s.Manager, origins))
	s.App.Post("/*", func(c fiber.Ctx) error { return c.SendString("done") })
	v := s.open().visitor()
	require.Equal(t, 200, v.send(http.MethodPost, "/", "", "Origin: https://partner.example", "Sec-Fetch-Site: cross-site").StatusCode)
	require.Equal(t, 200, v.send(http.MethodPost, "/hook", "", "Origin: https://evil.example").StatusCode)
	refused := v.send(http.MethodPost, "/", "", "Origin: https://evil.example")
	require.Equal(t, http.StatusTeapot, refused.StatusCode)
	require.Equal(t, "<p>no</p>", refused.text)
	require.Equal(t, "text/html", refused.Header.Get("Content-Type"))
}

// TestProtectStreamedBody: a body that is still on its way is left to the handler.
func TestProtectStreamedBody(t *testing.T) {
	t.Parallel()
	s := newSiteOver(t, stores["native"](t), fiber.Config{StreamRequestBody: true, BodyLimit: 1 << 10}).use()
	s.App.Use(fibersession.Protect(s.Manager, nil))
	s.App.Get("/form", func(c fiber.Ctx) error {
		own := fibersession.From(c)
		name.Put(own, "ada")
		return c.SendString(session.Value(own, own.CSRFToken))
	})
	s.App.Post("/form", func(c fiber.Ctx) error {
		n, err := io.Copy(io.Discard, c.Request().BodyStream())
		require.NoError(t, err)
		require.EqualValues(t, 1<<16, n)
		return nil
	})
	v := s.open().visitor()
	token := v.get("/form").text
	body := string(bytes.Repeat([]byte("x"), 1<<16))
	require.Equal(t, 200, v.send(http.MethodPost, "/form", body, session.CSRFHeader+": "+token).StatusCode)
	require.Equal(t, 403, v.send(http.MethodPost, "/form", body).StatusCode)
}

func multipartForm(t *testing.T, values map[string]string) (body, kind string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for field, value := range values {
		require.NoError(t, w.WriteField(field, value))
	}
	require.NoError(t, w.Close())
	return b.String(), w.FormDataContentType()
}

// certificate is one for a test's server.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
