package serving

import (
	_ "embed"
	"net/http"
	"time"

	"github.com/waddle-sessions/waddle/host/session"
)

// describe answers with what a client must know to set the same cookie, and with the
// bounds.
func (s *Service) describe(*call) ([]byte, error) {
	c := &s.settings
	return append(appendJSON(nil, settingsAnswer{
		Version: s.version,
		Cookie: cookieAnswer{
			Name: c.CookieName, Path: c.CookiePath, Domain: c.CookieDomain, Secure: secures[c.CookieSecure], HTTPOnly: !c.CookieScriptReadable,
			SameSite: sameSite(c.CookieSameSite), Partitioned: c.CookiePartitioned, ExpireAtBrowserClose: c.ExpireAtBrowserClose,
		},
		Namespace: namespaceOf(c), TokenHeader: c.TokenHeader, Codec: "json", Sealed: c.Keyring != nil && !c.WriteUnsealed,
		Lifetimes: lifetimesAnswer{
			Lifetime: ms(c.Lifetime), Anonymous: ms(c.AnonymousLifetime), Idle: ms(c.IdleTimeout), Absolute: ms(c.AbsoluteTimeout),
			Rolling: c.Rolling, LastSeen: ms(c.LastSeenResolution), RenewEvery: ms(c.RenewEvery), RenewGrace: ms(c.RenewGrace),
		},
		Limits: limitsAnswer{
			Session: c.MaxSize, Body: s.maxBody, Name: session.MaxKey, User: session.MaxUser, Note: session.MaxNote, Changes: MaxChanges, UserSessions: c.MaxUserSessions,
		},
	}), '\n'), nil
}

type settingsAnswer struct {
	Version     string          `json:"version"`
	Cookie      cookieAnswer    `json:"cookie"`
	Namespace   string          `json:"namespace"`
	TokenHeader string          `json:"token_header"`
	Codec       string          `json:"codec"`
	Sealed      bool            `json:"sealed"`
	Lifetimes   lifetimesAnswer `json:"lifetimes"`
	Limits      limitsAnswer    `json:"limits"`
}

type cookieAnswer struct {
	Name                 string `json:"name"`
	Path                 string `json:"path"`
	Domain               string `json:"domain"`
	Secure               string `json:"secure"`
	HTTPOnly             bool   `json:"http_only"`
	SameSite             string `json:"same_site"`
	Partitioned          bool   `json:"partitioned"`
	ExpireAtBrowserClose bool   `json:"expire_at_browser_close"`
}

// lifetimesAnswer has milliseconds; 0 stands for none.
type lifetimesAnswer struct {
	Lifetime   int64 `json:"lifetime_ms"`
	Anonymous  int64 `json:"anonymous_lifetime_ms"`
	Idle       int64 `json:"idle_timeout_ms"`
	Absolute   int64 `json:"absolute_timeout_ms"`
	Rolling    bool  `json:"rolling"`
	LastSeen   int64 `json:"last_seen_resolution_ms"`
	RenewEvery int64 `json:"renew_every_ms"`
	RenewGrace int64 `json:"renew_grace_ms"`
}

type limitsAnswer struct {
	Session      int   `json:"session_bytes"`
	Body         int64 `json:"body_bytes"`
	Name         int   `json:"name_bytes"`
	User         int   `json:"user_bytes"`
	Note         int   `json:"note_bytes"`
	Changes      int   `json:"changes"`
	UserSessions int   `json:"user_sessions"`
}

var secures = [...]string{session.SecureAuto: "auto", session.SecureAlways: "true", session.SecureNever: "false"}

func ms(d time.Duration) int64 { return max(0, d.Milliseconds()) }

func namespaceOf(c *session.Settings) string {
	if c.Namespace != "" {
		return c.Namespace
	}
	return c.CookieName
}

func sameSite(s http.SameSite) string {
	switch s {
	case http.SameSiteStrictMode:
		return "Strict"
	case http.SameSiteNoneMode:
		return "None"
	}
	return "Lax"
}

//go:embed openapi.json
var openAPI []byte

// openAPI answers with the description of all this for machines.
func (s *Service) openAPI(*call) ([]byte, error) { return openAPI, nil }
