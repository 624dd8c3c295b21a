package keepers

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// ErrAddress is returned when the address of a server cannot work.
var ErrAddress = errors.New("the address of the server")

// TLS are the files with which a server is reached by https. Empty ones are left out.
type TLS struct {
	Cert, Key string // shown to the server
	CA        string // of the server, in place of those that the system trusts
}

func (t TLS) given() bool { return t.Cert != "" || t.Key != "" || t.CA != "" }

func (t TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if (t.Cert == "") != (t.Key == "") {
		return nil, errors.New("a certificate and its key go together: must be both or none")
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("the certificate in %s with the key in %s: %w", t.Cert, t.Key, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if t.CA != "" {
		text, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s has no certificate: must have those of authorities, as PEM", t.CA)
		}
	}
	return c, nil
}

// client asks a server for JSON.
type client struct {
	http  http.Client
	base  string
	token string // of the Bearer scheme, if there is one
}

// newClient returns a client of unix:PATH, https://HOST:PORT or http://HOST:PORT.
func newClient(addr string, t TLS) (*client, error) {
	transport := &http.Transport{TLSHandshakeTimeout: connectWithin, ForceAttemptHTTP2: true}
	dialer := &net.Dialer{Timeout: connectWithin}
	transport.DialContext = dialer.DialContext
	c := &client{base: strings.TrimSuffix(addr, "/")}
	c.http.Transport = transport
	// A redirect would take the token elsewhere.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		if path == "" || t.given() {
			return nil, fmt.Errorf("%w is %q: must be unix:PATH, without certificates", ErrAddress, addr)
		}
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		}
		c.base = "http://waddle"
		return c, nil
	}
	u, err := url.Parse(c.base)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("%w is %q: must be unix:PATH or https://HOST:PORT", ErrAddress, addr)
	}
	if u.Scheme == "http" && t.given() {
		return nil, fmt.Errorf("%w is %q: must begin with https:// where certificates are given", ErrAddress, addr)
	}
	if transport.TLSClientConfig, err = t.config(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	return c, nil
}

// maxAnswer bounds what is read of an answer: more than ten thousand sessions in a list,
// or one with values as large as a session may be.
const maxAnswer = 64 << 20

// problem is an answer that says why there is none.
type problem struct {
	status  int
	message string
}

func (p *problem) Error() string {
	return fmt.Sprintf("the server answered %d %s: %s", p.status, http.StatusText(p.status), p.message)
}

// ask sends a request and decodes the answer into out, if that is not nil.
func (c *client) ask(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("the server cannot be asked: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("the server's answer was cut off: %w", err)
	}
	if len(text) > maxAnswer {
		return fmt.Errorf("the server's answer has more than %d bytes; ask for fewer sessions", maxAnswer)
	}
	if response.StatusCode/100 != 2 {
		return &problem{response.StatusCode, messageIn(text)}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("the answer of the server is not that of waddle: must be the operator's address of 'waddle serve', or the admin interface of 'waddle host': %w", err)
	}
	return nil
}

// messageIn returns what an answer says of an error: {"error": "…"} or {"error":
// {"message": "…"}}.
func messageIn(text []byte) string {
	var plain struct{ Error string }
	if json.Unmarshal(text, &plain) == nil && plain.Error != "" {
		return plain.Error
	}
	var nested struct{ Error struct{ Message string } }
	if json.Unmarshal(text, &nested) == nil && nested.Error.Message != "" {
		return nested.Error.Message
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return line[:min(len(line), 200)]
}
