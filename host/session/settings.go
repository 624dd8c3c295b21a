package session

import (
	"cmp"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"net/netip"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// Settings say how sessions live and what their cookie looks like. The zero value
// is ready to use: a zero field has its default, which is off, none or false
// unless its comment says otherwise. [Off] turns off a time whose default is not
// off. [Settings.WithDefaults] returns the settings in force, and [FromEnv] reads
// settings from an environment.
type Settings struct {
	// Records makes the RecordStore that turns stored records into sessions and back;
	// nil keeps records in the store as this package writes them. [FromEnv] chooses it
	// by name: SESSION_ENGINE, default "records"; see [RecordsNamed].
	Records func(store.Store) (RecordStore, error)

	// Lifetime is how long a session lives after its last change. The cookie lives as
	// long, or up to a tenth less: it is not sent again for every change.
	// SESSION_DURATION or SESSION_COOKIE_AGE, default 7 days.
	Lifetime time.Duration

	// AnonymousLifetime replaces Lifetime for sessions that are bound to no user: those
	// of visitors who never log in, and of robots, where each request may begin one.
	// [Session.LogIn] gives the session the full Lifetime. SESSION_ANONYMOUS_DURATION.
	AnonymousLifetime time.Duration

	// IdleTimeout ends a session that no request has looked into for that long. A look
	// moves the end only when a tenth of the time has passed since it was last moved,
	// so a session may end that much earlier. It must be below Lifetime, or it would
	// never come first. A session with its own longer expiry can have its own timeout
	// as well, see [Session.SetIdleTimeout]. SESSION_IDLE_TIMEOUT.
	IdleTimeout time.Duration

	// Rolling makes looks at a session extend it as changes do: Lifetime, or the
	// session's own expiry, then begins anew with them, and the cookie is sent again in
	// time. As with IdleTimeout, a look counts only when a tenth of the time has
	// passed. SESSION_ROLLING.
	Rolling bool

	// LastSeenResolution is how precisely the time of the last look is recorded, for
	// lists of a user's sessions; otherwise that depends on IdleTimeout and on
	// changes. Each update is a write to the storage. SESSION_LAST_SEEN_RESOLUTION.
	LastSeenResolution time.Duration

	// RenewEvery gives a session a new id, with the first response after that time, so
	// that an id that leaked is soon worthless. The old id works for RenewGrace more,
	// for requests under way and for a client that missed the response, and leads to
	// the new one; RenewGrace is at most RenewEvery. Long requests are led on beyond
	// it, see [Session.Reload]. Only ids in cookies are renewed so. Managers that
	// share a store should have the same values. SESSION_RENEW_EVERY, and
	// SESSION_RENEW_GRACE, default 30 seconds; with [Off] the old id stops working at
	// once.
	RenewEvery time.Duration
	RenewGrace time.Duration

	// AbsoluteTimeout ends a session that long after it was created, whatever happens.
	// SESSION_ABSOLUTE_TIMEOUT.
	AbsoluteTimeout time.Duration

	// ExpireAtBrowserClose makes a cookie that the browser forgets when it
	// closes. The stored session still lives for Lifetime.
	// SESSION_EXPIRE_AT_BROWSER_CLOSE.
	ExpireAtBrowserClose bool

	// CookieName: SESSION_COOKIE_NAME, default "session_id".
	CookieName string

	// Namespace keeps the sessions of several managers over one store apart: an id
	// means something only to managers of the namespace in which it was made, and so do
	// the lists of a user's sessions. Empty stands for the cookie's name. Programs that
	// share sessions need the same one; changing it logs everybody out. It has up to
	// MaxNamespace bytes and no NUL. SESSION_NAMESPACE.
	Namespace string

	// CookiePath: SESSION_COOKIE_PATH, default "/".
	CookiePath string

	// CookieDomain gives the cookie to the subdomains of a domain as well. Empty makes
	// a cookie for this host only. Domains that browsers drop are refused: addresses,
	// names without a dot, and those under which anybody can have a domain, such as
	// co.uk. SESSION_COOKIE_DOMAIN.
	CookieDomain string

	// CookieFor chooses the cookie's scope by the request, for several sites in one
	// process. It is given the scope of CookieDomain, CookiePath and CookieSecure, with
	// Secure as it is for the request; nil leaves it at that. All requests of a site
	// must get the same scope, or browsers keep two cookies and log-out removes one. A
	// scope that cannot work fails the change that needs the cookie, with ErrSettings.
	CookieFor func(r *http.Request, scope CookieScope) CookieScope

	// CookieSecure keeps the cookie off plain HTTP: where the client's connection may
	// be encrypted, or always, or never. SESSION_COOKIE_SECURE: auto, true or false,
	// default [SecureAuto].
	CookieSecure SecureMode

	// TrustedProxies are the addresses of proxies that are believed when they say that
	// a client's connection is not encrypted. TrustUnixSockets extends that to all who
	// connect by a unix socket. Both are for [SecureAuto]. SESSION_TRUSTED_PROXIES,
	// separated by commas, with unix for the second.
	TrustedProxies   []netip.Prefix
	TrustUnixSockets bool

	// TokenHeader is the name of a header in which clients without cookies send their
	// session's id, and get it in the response when it is new; empty for none. A
	// request that has the header, even an empty one, uses no cookie, and a session
	// keeps to the way it began with.
	//
	// Authorization means "Authorization: Bearer ID", without an ID to begin with.
	// Other schemes are ignored, and a request with one of them uses cookies. A new id
	// is then in the response's BearerHeader.
	//
	// If a response allows other origins to read it (CORS), the header with the id is
	// exposed to them, too. The answer to their preflight requests decides whether they
	// may send theirs. SESSION_TOKEN_HEADER.
	TokenHeader string

	// CookieScriptReadable lets scripts of the page read the cookie: it goes without
	// HttpOnly, and a script that got into a page can take the session with it.
	// SESSION_COOKIE_HTTPONLY=false.
	CookieScriptReadable bool

	// CookieSameSite says whether browsers send the cookie with requests that other
	// sites cause. Unless this is None, they keep it back from those that change
	// something, such as a posted form. A session that such a request would begin is
	// [ErrCrossSite], since its cookie would replace the one that was kept back.
	// SESSION_COOKIE_SAMESITE, default Lax.
	CookieSameSite http.SameSite

	// CookiePartitioned keeps a cookie of embedded content apart for each
	// top-level site. SESSION_COOKIE_PARTITIONED.
	CookiePartitioned bool

	// Codec encodes values; default [CBOR]. SESSION_CODEC, cbor or json.
	Codec Codec

	// ReadCodecs are further codecs that decode the values of older records, so that a
	// change of Codec logs nobody out. A value that is set is encoded by Codec; the
	// others of its session stay as they are, each with the codec that wrote it. If
	// several processes share a store, give all of them the new codec here first, and
	// then change Codec. Keep the old one for as long as sessions live.
	// SESSION_READ_CODECS.
	ReadCodecs []Codec

	// Keyring seals sessions with AES-256-GCM before they reach the store; nil leaves
	// them readable to it. A record that none of its keys opens, or that is not sealed,
	// counts as corrupt. WADDLE_SECRET or WADDLE_SECRET_FILE; see [FromEnv].
	Keyring *Keyring

	// ReadUnsealedUntil is the time until which, with a Keyring, records that are not
	// sealed are read, and sealed when they are written next, so that turning sealing
	// on logs nobody out. Until then the seal protects only from reading: anyone who
	// can write to the storage can put a session of any user there, or in the place of
	// a sealed one. Lifetime from now is enough, or the longest time that
	// [Session.SetExpiry] gives. SESSION_READ_UNSEALED_UNTIL, as 2026-12-24 or
	// 2026-12-24T18:00:00Z.
	ReadUnsealedUntil time.Time

	// WriteUnsealed reads sealed and other records and seals none: to turn sealing off,
	// or, if several processes share a store, to give all of them the Keyring before
	// the first one seals. It protects from nothing. SESSION_WRITE_UNSEALED.
	WriteUnsealed bool

	// MaxSize bounds the encoded session, in bytes; default 1 MiB. A change beyond it
	// is ErrTooLarge. A stored record that is larger than MaxSize and than 1 MiB is not
	// read and counts as corrupt: lowering MaxSize to 1 MiB or less ends no session of
	// up to 1 MiB.
	MaxSize int

	// MaxUserSessions is how many sessions a user may have at a time. One more log-in
	// ends the session whose log-in is the oldest, as [Manager.Revoke] does, with an
	// EventDestroyed that gives the reason. Sessions that ended by themselves go first,
	// if they are among the oldest. Each look at a session reads its user's list, so
	// thousands cost something. At most 10,000. SESSION_MAX_USER_SESSIONS, default 100.
	MaxUserSessions int

	// StoreTimeout bounds how long one call of the storage may take: a storage that
	// does not answer is then [store.ErrUnavailable], and the request is answered.
	// Loads also end with their client; saves go on after the client left, within this
	// time. It binds a storage as far as that looks at its context, see [store.Store].
	//
	// A change that met the changes of others is made again for half of StoreTimeout,
	// 256 times at most, and then is ErrConflict; with [Off] for five seconds.
	// SESSION_STORE_TIMEOUT, default 10 seconds.
	StoreTimeout time.Duration

	// OnError answers a request whose session could not be loaded or saved, while the
	// answer can still be chosen. The default answers 503 with Retry-After if trying
	// again may help (see [RetryAfter]: the storage is down, full, or not writable for
	// now), 409 for ErrGone, 403 for ErrCrossSite and ErrCSRF, 507 for ErrTooLarge, and
	// 500 otherwise. It must not use the request's session.
	OnError func(w http.ResponseWriter, r *http.Request, err error)

	// OnEvent is told what happens to sessions. The default logs what should not go
	// unseen (warnings and errors, see [Event.Level]) with [log/slog], and repetitions
	// as one line with their number; see [LogEvents]. It is called on the request's
	// goroutine and must not use the request's session.
	OnEvent func(ctx context.Context, e Event)

	// Now and Rand are the clock and the source of ids; default [time.Now]
	// and crypto/rand.
	Now  func() time.Time
	Rand io.Reader
}

// Off is the value that turns a time in [Settings] off: no limit for
// StoreTimeout, no grace for RenewGrace. For times that are off by default it is
// the same as 0. In the environment it is written 0 or off. [Session.SetIdleTimeout]
// and [Session.SetAbsoluteTimeout] take it for a session without that timeout.
const Off time.Duration = -1

// Defaults returns the settings of an application that sets none, with each
// default filled in: what Settings{} stands for. It is for programs that derive a
// setting from its default, or show the defaults.
func Defaults() Settings { return Settings{}.WithDefaults() }

// WithDefaults returns the settings in force: s, with its default in each zero
// field that has one. OnError and OnEvent stay nil if they are, which stands for
// their defaults.
func (s Settings) WithDefaults() Settings {
	s.Lifetime = cmp.Or(s.Lifetime, 7*24*time.Hour)
	s.RenewGrace = cmp.Or(s.RenewGrace, 30*time.Second)
	s.StoreTimeout = cmp.Or(s.StoreTimeout, 10*time.Second)
	s.CookieName = cmp.Or(s.CookieName, "session_id")
	s.CookiePath = cmp.Or(s.CookiePath, "/")
	s.CookieSameSite = cmp.Or(s.CookieSameSite, http.SameSiteLaxMode)
	s.MaxSize = cmp.Or(s.MaxSize, 1<<20)
	s.MaxUserSessions = cmp.Or(s.MaxUserSessions, 100)
	if s.Codec == nil {
		s.Codec = CBOR
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Rand == nil {
		s.Rand = rand.Reader
	}
	// For a time whose default is off, 0 and Off mean the same.
	for _, t := range s.times() {
		if *t.value == Off && t.offByDefault {
			*t.value = 0
		}
	}
	return s
}

// timeSetting is a setting that is a time.
type timeSetting struct {
	name         setting
	value        *time.Duration
	least        time.Duration // 0 if it may be off
	offByDefault bool
}

func (s *Settings) times() [8]timeSetting {
	return [...]timeSetting{
		{"Lifetime", &s.Lifetime, time.Second, false},
		{"AnonymousLifetime", &s.AnonymousLifetime, 0, true},
		{"IdleTimeout", &s.IdleTimeout, 0, true},
		{"AbsoluteTimeout", &s.AbsoluteTimeout, 0, true},
		{"LastSeenResolution", &s.LastSeenResolution, 0, true},
		{"RenewEvery", &s.RenewEvery, 0, true},
		{"RenewGrace", &s.RenewGrace, 0, false},
		{"StoreTimeout", &s.StoreTimeout, 0, false},
	}
}

// lasting returns a time of the settings in the form that the rest of the package
// uses, where 0 is off.
func lasting(d time.Duration) time.Duration { return max(d, 0) }

// MaxNamespace is the longest Settings.Namespace, in bytes.
const MaxNamespace = 128

// namespace returns the namespace in force.
func (s *Settings) namespace() string { return cmp.Or(s.Namespace, s.CookieName) }
