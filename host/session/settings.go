package session

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Settings say how sessions live and what their cookie looks like. Start from
// [Defaults] or [FromEnv]: a zero Settings is refused by [New].
type Settings struct {
	// Engine names the piece that turns stored records into sessions and
	// back; see [RegisterEngine]. SESSION_ENGINE, default "records".
	Engine string

	// Storage and Dir are for the program that opens the store; this package
	// only reads them from the environment. SESSION_STORAGE and SESSION_DIR,
	// default "memory" and none.
	Storage string
	Dir     string

	// Durability is for the same program: "commit", "interval" or "close",
	// when a storage in files makes durable what it was given. Empty leaves
	// it to the storage. SESSION_DURABILITY.
	Durability string

	// LockWait is for the same program: how long it waits at its start for a
	// directory that another process still has, as the one that it replaces in
	// a rolling restart. 0 does not wait.
	LockWait time.Duration

	// Duration is how long a session lives after its last change. The cookie
	// lives as long, or up to a tenth less: it is not sent again for every
	// change. SESSION_DURATION or SESSION_COOKIE_AGE, default 7 days.
	Duration time.Duration

	// AnonymousDuration is what sessions that are bound to no user have instead
	// of Duration: visitors who never log in, and robots, of whom each request
	// may begin one. [Session.LogIn] gives the session the full Duration. 0 is
	// off. SESSION_ANONYMOUS_DURATION.
	AnonymousDuration time.Duration

	// IdleTimeout ends a session that no request has looked into for so
	// long; 0 is off. A look moves the end only when a tenth of the time has
	// passed since it was moved last, so a session may end that much earlier.
	// It must be below Duration, or it would never come first; a session with a
	// longer expiry of its own can have a timeout of its own as well, see
	// [Session.SetIdleTimeout]. SESSION_IDLE_TIMEOUT.
	IdleTimeout time.Duration

	// Rolling has looks at a session extend it as changes do: Duration, or the
	// session's own expiry, then begins anew with them, and the cookie is
	// sent again in time. As with IdleTimeout, a look counts only when a tenth
	// of the time has passed. SESSION_ROLLING, default false.
	Rolling bool

	// SeenEvery has the time of the last look kept, to this accuracy, for
	// lists of a user's sessions; 0 leaves it to IdleTimeout and to changes.
	// Each note is a write to the storage. SESSION_SEEN_EVERY.
	SeenEvery time.Duration

	// RotateEvery gives a session a new id, with the first response after so
	// long, so that one that leaked is soon worth nothing; 0 is off. The old
	// id works for RotateGrace more, for requests that are under way and for
	// a client that missed the response, and leads to the new one; RotateGrace
	// is at most RotateEvery. Requests that run for long are led on beyond it, see
	// [Session.Reload]. Only ids in cookies rotate. Managers that share a
	// store should have the same of these. SESSION_ROTATE_EVERY, and
	// SESSION_ROTATE_GRACE, default 30 seconds.
	RotateEvery time.Duration
	RotateGrace time.Duration

	// AbsoluteTimeout ends a session so long after it was created, whatever
	// happens; 0 is off. SESSION_ABSOLUTE_TIMEOUT.
	AbsoluteTimeout time.Duration

	// ExpireAtBrowserClose makes a cookie that the browser forgets when it
	// closes. The stored session still lives for Duration.
	// SESSION_EXPIRE_AT_BROWSER_CLOSE, default false.
	ExpireAtBrowserClose bool

	// CookieName: SESSION_COOKIE_NAME, default "session_id".
	CookieName string

	// Namespace keeps the sessions of several managers over one store apart: an
	// id means something only to managers of the namespace that it was made in,
	// and so do the lists of a user's sessions. Empty stands for the cookie's
	// name. Programs that share sessions need the same one; changing it logs
	// everybody out. It has up to MaxNamespace bytes and no NUL.
	// SESSION_NAMESPACE.
	Namespace string

	// CookiePath: SESSION_COOKIE_PATH, default "/".
	CookiePath string

	// CookieDomain lets the subdomains of a domain have the cookie as well.
	// Empty makes a cookie for the one host only. Domains that browsers drop
	// are refused: addresses, names without a dot, and those under which
	// anybody can have a domain, such as co.uk. SESSION_COOKIE_DOMAIN.
	CookieDomain string

	// CookieFor chooses the cookie's scope by the request, for several sites
	// in one process; nil leaves it to CookieDomain, CookiePath and
	// CookieSecure, as the scope that it is given has them, with Secure as it
	// is for the request. All requests of a site must get the same, or
	// browsers keep two cookies and log-out removes one. A scope that cannot
	// work fails the change that needs the cookie, with ErrSettings.
	CookieFor func(r *http.Request, scope CookieScope) CookieScope

	// CookieSecure keeps the cookie off plain HTTP. SESSION_COOKIE_SECURE,
	// default false.
	CookieSecure bool

	// CookieSecureAuto leaves Secure off for those clients alone whose
	// connection is known not to be encrypted, where the same server answers
	// others as well: it came straight from the client, and nothing in the
	// request says HTTPS, or a proxy of TrustedProxies says http in
	// X-Forwarded-Proto or Forwarded. A request that it is not known of, as
	// one by a unix socket, or one with X-Forwarded-For from a proxy that says
	// no more, gets a Secure cookie, and with EventMisconfigured it is said
	// once how to make it known. SESSION_COOKIE_SECURE=auto.
	CookieSecureAuto bool

	// TrustedProxies are the addresses of proxies that are believed when they
	// say that a client's connection is not encrypted, and
	// TrustUnixSockets has whoever connects by a unix socket believed. Both are
	// for CookieSecureAuto.
	// SESSION_TRUSTED_PROXIES, separated by commas, with unix for the second.
	TrustedProxies   []netip.Prefix
	TrustUnixSockets bool

	// TokenHeader is the name of a header by which clients without cookies
	// bring their session's id, and get it in the response when it is new;
	// empty for none. A request that has the header, be it empty, uses no
	// cookie, and a session keeps to the way it began with.
	//
	// Authorization means "Authorization: Bearer ID", without an ID to
	// begin with; other schemes are left alone, and a request with one of them
	// uses cookies. A new id is then in the response's BearerHeader.
	//
	// Where a response allows other origins to read it (CORS), the header with
	// the id is exposed to them, too. That they may send theirs is for
	// whoever answers preflight requests to say.
	// SESSION_TOKEN_HEADER.
	TokenHeader string

	// CookieHTTPOnly hides the cookie from scripts. SESSION_COOKIE_HTTPONLY,
	// default true.
	CookieHTTPOnly bool

	// CookieSameSite is whether browsers send the cookie with requests that
	// other sites cause. From those that change something, a form that is
	// posted for one, they keep it back unless this is None; a session that
	// such a request would begin is [ErrCrossSite], since its cookie would
	// replace the one that was kept back. SESSION_COOKIE_SAMESITE, default Lax.
	CookieSameSite http.SameSite

	// CookiePartitioned keeps a cookie of embedded content apart for each
	// top-level site. SESSION_COOKIE_PARTITIONED, default false.
	CookiePartitioned bool

	// Codec encodes values; default [CBOR].
	Codec Codec

	// ReadCodecs are codecs beside Codec by which values of older records are
	// decoded, so that a change of Codec logs nobody out. A value that is set
	// is encoded by Codec; the others of its session stay as they are, each
	// with the codec that wrote it. Where several processes share a store, give
	// all of them the new codec here first, and then change Codec. Keep the old
	// one for as long as sessions live.
	ReadCodecs []Codec

	// Keyring seals sessions before they reach the store, with AES-256-GCM;
	// nil leaves them readable to it. A record that none of its keys opens, or
	// that is not sealed, counts as corrupt. WADDLE_SECRET or
	// WADDLE_SECRET_FILE; see [FromEnv].
	Keyring *Keyring

	// ReadUnsealedUntil has records that are not sealed read until then, beside
	// a Keyring, and sealed when they are written next, so that turning sealing
	// on logs nobody out. Until then the seal protects from reading only:
	// whoever can write to the storage can put a session of any user there, or
	// in the place of a sealed one. Duration from now is enough, or the longest
	// time that [Session.SetExpiry] gives. SESSION_READ_UNSEALED_UNTIL, as
	// 2026-12-24 or 2026-12-24T18:00:00Z, default none.
	ReadUnsealedUntil time.Time

	// WriteUnsealed has sealed and other records read, and none sealed: to turn
	// sealing off, or, where several processes share a store, to give all of
	// them the Keyring before the first one seals. It protects from nothing.
	// SESSION_WRITE_UNSEALED, default false.
	WriteUnsealed bool

	// MaxSize bounds the encoded session, in bytes; default 1 MiB. A change
	// beyond it is ErrTooLarge. A stored record that is larger than it, and larger
	// than 1 MiB, is not read and counts as corrupt: lowering MaxSize to 1 MiB or
	// less ends no session that was within that.
	MaxSize int

	// MaxUserSessions is how many sessions a user may have at a time. Somebody
	// who logs in once more loses the one whose log-in is the oldest: it is ended
	// as [Manager.End] ends it, with an EventDestroyed that says why. Sessions that
	// ended by themselves give way first, as far as they are among the oldest.
	// Each look at a session reads its user's list, so thousands cost something.
	// At most 10,000. SESSION_MAX_USER_SESSIONS, default 100.
	MaxUserSessions int

	// StoreTimeout bounds how long one call of the storage is waited for: a
	// storage that does not answer is then [store.ErrUnavailable], and the
	// request is answered. Loads end with their client as well; what is to be
	// saved is saved although the client left, within this time. It binds a
	// storage as far as that looks at its context, see [store.Store]. 0 is off.
	//
	// For half of it a change is made again that met the changes of others, 256
	// times at most, and then is ErrConflict; with 0 for five seconds.
	// SESSION_STORE_TIMEOUT, default 10 seconds.
	StoreTimeout time.Duration

	// OnError answers a request whose session could not be loaded or saved
	// while the answer can still be chosen. The default answers 503 with
	// Retry-After where trying again may help (see [RetryAfter]: the storage is
	// down, full, or not to be written to), 409 for ErrGone, 403 for
	// ErrCrossSite, and 500 otherwise. It must not use the request's session.
	OnError func(w http.ResponseWriter, r *http.Request, err error)

	// OnEvent is told what happens to sessions. The default logs what should
	// not go unseen (unavailable, corrupt, gone, failed) with [log/slog], what
	// repeats as one line with its number; see [LogEvents]. It is called on
	// the request's goroutine and must not use the request's session.
	OnEvent func(ctx context.Context, e Event)

	// Now and Rand are the clock and the source of ids; default [time.Now]
	// and crypto/rand.
	Now  func() time.Time
	Rand io.Reader
}

// Defaults returns the settings of an application that sets none.
func Defaults() Settings {
	return Settings{
		Engine:          EngineRecords,
		Storage:         "memory",
		Duration:        7 * 24 * time.Hour,
		RotateGrace:     30 * time.Second,
		StoreTimeout:    10 * time.Second,
		CookieName:      "session_id",
		CookiePath:      "/",
		CookieHTTPOnly:  true,
		CookieSameSite:  http.SameSiteLaxMode,
		Codec:           CBOR,
		MaxSize:         1 << 20,
		MaxUserSessions: 100,
		Now:             time.Now,
		Rand:            rand.Reader,
	}
}

// Check returns ErrSettings, with what is wrong and how to mend it, for
// settings that would not work, or that browsers would refuse or ignore.
func (s Settings) Check() error {
	if s.CookieName == "" || s.Codec == nil || s.Now == nil || s.Rand == nil || s.Engine == "" {
		return wrong("%s, %s, Codec, Now and Rand must be set; start from session.Defaults()", setting("CookieName"), setting("Engine"))
	}
	for _, d := range []struct {
		name  setting
		value time.Duration
		least time.Duration
	}{
		{"Duration", s.Duration, time.Second},
		{"LockWait", s.LockWait, 0},
		{"AnonymousDuration", s.AnonymousDuration, 0},
		{"IdleTimeout", s.IdleTimeout, 0},
		{"AbsoluteTimeout", s.AbsoluteTimeout, 0},
		{"SeenEvery", s.SeenEvery, 0},
		{"RotateEvery", s.RotateEvery, 0},
		{"RotateGrace", s.RotateGrace, 0},
		{"StoreTimeout", s.StoreTimeout, 0},
	} {
		if d.value < d.least {
			return wrong("%s is %v, and the least is %v", d.name, d.value, d.least)
		}
		if d.value > 0 && d.value < time.Millisecond {
			return wrong("%s is %v, and the least beside none is %v", d.name, d.value, time.Millisecond)
		}
		if d.value > maxLifetime {
			return wrong("%s is %v, and the most is %v", d.name, d.value, maxLifetime)
		}
	}
	if err := s.checkTransition(); err != nil {
		return err
	}
	if err := s.checkTimes(); err != nil {
		return err
	}
	if s.MaxSize < recordHeader || s.MaxSize > maxRecord {
		return wrong("MaxSize is %d, and must be from %d to %d bytes", s.MaxSize, recordHeader, maxRecord)
	}
	if s.MaxUserSessions < 1 || s.MaxUserSessions > maxUserSessions {
		return wrong("%s is %d, and must be from 1 to %d", setting("MaxUserSessions"), s.MaxUserSessions, maxUserSessions)
	}
	switch s.CookieSameSite {
	case http.SameSiteLaxMode, http.SameSiteStrictMode, http.SameSiteNoneMode:
	default:
		return wrong("%s is %d, and must be http.SameSiteLaxMode, SameSiteStrictMode or SameSiteNoneMode", setting("CookieSameSite"), s.CookieSameSite)
	}
	if name := s.namespace(); len(name) > MaxNamespace || strings.ContainsRune(name, 0) {
		if s.Namespace == "" {
			return wrong("%s has %d bytes, and as a namespace at most %d; set a shorter %s", setting("CookieName"), len(name), MaxNamespace, setting("Namespace"))
		}
		return wrong("%s is %.40q of %d bytes, and has at most %d and no NUL", setting("Namespace"), name, len(name), MaxNamespace)
	}
	for i, p := range s.TrustedProxies {
		if !p.IsValid() {
			return wrong("%s has no valid address at %d", setting("TrustedProxies"), i)
		}
	}
	if s.CookieSecure && s.CookieSecureAuto {
		return wrong("%s and %s are both set; choose one", setting("CookieSecure"), setting("CookieSecureAuto"))
	}
	if !s.CookieSecureAuto && (len(s.TrustedProxies) > 0 || s.TrustUnixSockets) {
		return wrong("%s has no effect unless Secure follows the connection (CookieSecureAuto, SESSION_COOKIE_SECURE=auto): proxies are believed in nothing else; set both or none", setting("TrustedProxies"))
	}
	if err := checkTokenHeader(s.TokenHeader); err != nil {
		return wrong("%s is %q, %v", setting("TokenHeader"), s.TokenHeader, err)
	}
	if err := s.checkScope(s.scope()); err != nil {
		return err
	}
	return nil
}

// MaxNamespace is the longest Settings.Namespace, in bytes.
const MaxNamespace = 128

// namespace returns the namespace that is in force.
func (s *Settings) namespace() string {
	if s.Namespace != "" {
		return s.Namespace
	}
	return s.CookieName
}

// maxLifetime keeps sums of times within range and below what browsers take.
const maxLifetime = 100 * 365 * 24 * time.Hour

// maxUserSessions is what a list of a user's sessions has room for.
const maxUserSessions = 10_000
