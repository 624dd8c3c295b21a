package session

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/internal/environ"
)

// variable is an environment variable for a setting.
type variable struct {
	name  string
	field string
	set   func(s *Settings, value string) error

	// show returns the variable's value for the settings in force; nil for a field that
	// shows it itself.
	show func(s *Settings) string
}

// variables are the settings that the environment can give, in the order in
// which errors name them.
var variables = []variable{
	{"SESSION_DURATION", "Lifetime", duration(func(s *Settings) *time.Duration { return &s.Lifetime }), nil},
	{"SESSION_COOKIE_AGE", "Lifetime", duration(func(s *Settings) *time.Duration { return &s.Lifetime }), nil},
	{"SESSION_ANONYMOUS_DURATION", "AnonymousLifetime", duration(func(s *Settings) *time.Duration { return &s.AnonymousLifetime }), nil},
	{"SESSION_ROLLING", "Rolling", boolean(func(s *Settings) *bool { return &s.Rolling }), nil},
	{"SESSION_IDLE_TIMEOUT", "IdleTimeout", duration(func(s *Settings) *time.Duration { return &s.IdleTimeout }), nil},
	{"SESSION_LAST_SEEN_RESOLUTION", "LastSeenResolution", duration(func(s *Settings) *time.Duration { return &s.LastSeenResolution }), nil},
	{"SESSION_RENEW_EVERY", "RenewEvery", duration(func(s *Settings) *time.Duration { return &s.RenewEvery }), nil},
	{"SESSION_RENEW_GRACE", "RenewGrace", duration(func(s *Settings) *time.Duration { return &s.RenewGrace }), nil},
	{"SESSION_ABSOLUTE_TIMEOUT", "AbsoluteTimeout", duration(func(s *Settings) *time.Duration { return &s.AbsoluteTimeout }), nil},
	{"SESSION_MAX_USER_SESSIONS", "MaxUserSessions", userSessions, nil},
	{"SESSION_STORE_TIMEOUT", "StoreTimeout", duration(func(s *Settings) *time.Duration { return &s.StoreTimeout }), nil},
	{"SESSION_EXPIRE_AT_BROWSER_CLOSE", "ExpireAtBrowserClose", boolean(func(s *Settings) *bool { return &s.ExpireAtBrowserClose }), nil},
	{"SESSION_COOKIE_NAME", "CookieName", text(func(s *Settings) *string { return &s.CookieName }), nil},
	{"SESSION_NAMESPACE", "Namespace", text(func(s *Settings) *string { return &s.Namespace }), nil},
	{"SESSION_COOKIE_PATH", "CookiePath", text(func(s *Settings) *string { return &s.CookiePath }), nil},
	{"SESSION_COOKIE_DOMAIN", "CookieDomain", text(func(s *Settings) *string { return &s.CookieDomain }), nil},
	{"SESSION_COOKIE_SECURE", "CookieSecure", secureMode, showSecure},
	{"SESSION_TRUSTED_PROXIES", "TrustedProxies", prefixes, showProxies},
	{"SESSION_TOKEN_HEADER", "TokenHeader", text(func(s *Settings) *string { return &s.TokenHeader }), nil},
	{"SESSION_COOKIE_HTTPONLY", "CookieScriptReadable", httpOnly, showHTTPOnly},
	{"SESSION_COOKIE_SAMESITE", "CookieSameSite", sameSite, nil},
	{"SESSION_COOKIE_PARTITIONED", "CookiePartitioned", boolean(func(s *Settings) *bool { return &s.CookiePartitioned }), nil},
	{"SESSION_CODEC", "Codec", oneCodec, showCodec},
	{"SESSION_READ_CODECS", "ReadCodecs", severalCodecs, showReadCodecs},
	{"SESSION_READ_UNSEALED_UNTIL", "ReadUnsealedUntil", date(func(s *Settings) *time.Time { return &s.ReadUnsealedUntil }), nil},
	{"SESSION_WRITE_UNSEALED", "WriteUnsealed", boolean(func(s *Settings) *bool { return &s.WriteUnsealed }), nil},

	// These are read separately.
	{engineVariable, "Records", nil, showRecords},
	{secretVariable, "Keyring", nil, nil},
	{secretFileVariable, "Keyring", nil, nil},
}

// variableOf returns the first variable that sets a field, nil for none.
func variableOf(field string) *variable {
	for i := range variables {
		if variables[i].field == field {
			return &variables[i]
		}
	}
	return nil
}

// FromEnv returns Defaults with the settings of an environment, in the form of
// [os.Environ]. An empty variable counts as not set.
//
// Settings.Keyring is made from the secrets in WADDLE_SECRET, separated by white
// space, or from those in the file that WADDLE_SECRET_FILE names, one per line,
// newest first; lines that begin with # are skipped. If one of these two is set,
// even to nothing, it must give a secret: a weak or missing one is ErrSecret as
// well as ErrSettings, and an unreadable file is ErrSecretFile.
//
// Times are whole seconds, or numbers with units as in [time.ParseDuration]; 0 or
// off turns them off. Yes and no are true, false, yes, no, on, off, 1 or 0, in
// any case. SESSION_ENGINE is "records", or a name from an option; see
// [RecordsNamed]. SESSION_CODEC is cbor or json, and SESSION_READ_CODECS one or
// both of them, separated by commas.
//
// It returns ErrSettings, naming the variable, for a value it cannot take, for
// SESSION_DURATION and SESSION_COOKIE_AGE that differ (they are one setting), and
// for a name that can only be a misspelt setting: one that begins with
// SESSION_COOKIE_, WADDLE_SECRET, WADDLE_KEY or SESSION_KEYRING, or with
// SESSION_SECRET if no secret is set, or is a letter or two away from a setting.
// Other variables that begin with SESSION_, such as a desktop's SESSION_MANAGER,
// are ignored. SESSION_STORAGE and others that choose the storage are for package
// engines, which opens it and checks their spelling. If settings do not go
// together, the error names their variables.
func FromEnv(environment []string, options ...EnvOption) (Settings, error) {
	var o envOptions
	for _, option := range options {
		option(&o)
	}
	s := Defaults()
	values := environ.Values(environment)
	if err := environ.Misspelt(environment, environ.Sessions); err != nil {
		return Settings{}, fmt.Errorf("%w: %w", ErrSettings, err)
	}
	var err error
	if s.Records, err = o.records(strings.TrimSpace(values[engineVariable])); err != nil {
		return Settings{}, err
	}
	if s.Keyring, err = secretsOf(values); err != nil {
		return Settings{}, err
	}
	for _, v := range variables {
		value := strings.TrimSpace(values[v.name])
		if value == "" || v.set == nil {
			continue
		}
		if err := v.set(&s, value); err != nil {
			return Settings{}, fmt.Errorf("%w: %s is %q: must be %w", ErrSettings, v.name, value, err)
		}
	}
	if a, b := values["SESSION_DURATION"], values["SESSION_COOKIE_AGE"]; a != "" && b != "" {
		first, errFirst := environ.Duration(strings.TrimSpace(a))
		second, errSecond := environ.Duration(strings.TrimSpace(b))
		if errFirst == nil && errSecond == nil && first != second {
			return Settings{}, fmt.Errorf("%w: SESSION_DURATION is %q and SESSION_COOKIE_AGE is %q: must be the same, as two names of one setting; set one of them", ErrSettings, a, b)
		}
	}
	if err := s.Check(); err != nil {
		return Settings{}, inVariables(err, values)
	}
	return s.WithDefaults(), nil
}

func text(field func(*Settings) *string) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		*field(s) = value
		return nil
	}
}

func boolean(field func(*Settings) *bool) func(*Settings, string) error {
	return func(s *Settings, value string) (err error) {
		*field(s), err = environ.Bool(value)
		return err
	}
}

func httpOnly(s *Settings, value string) error {
	only, err := environ.Bool(value)
	s.CookieScriptReadable = !only
	return err
}

func showHTTPOnly(s *Settings) string { return strconv.FormatBool(!s.CookieScriptReadable) }

func userSessions(s *Settings, value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxUserSessions {
		return fmt.Errorf("a whole number from 1 to %d", maxUserSessions)
	}
	s.MaxUserSessions = n
	return nil
}

// duration turns a setting off if its variable is 0, whatever the default is.
func duration(field func(*Settings) *time.Duration) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		d, err := environ.Duration(value)
		*field(s) = cmp.Or(d, Off)
		return err
	}
}

func date(field func(*Settings) *time.Time) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		t, err := time.Parse(time.RFC3339, value)
		if err != nil {
			t, err = time.Parse(time.DateOnly, value)
		}
		if err != nil {
			return fmt.Errorf("a day such as 2026-12-24, which begins in UTC, or a time such as 2026-12-24T18:00:00Z")
		}
		*field(s) = t
		return nil
	}
}

func sameSite(s *Settings, value string) error {
	switch strings.ToLower(value) {
	case "lax":
		s.CookieSameSite = http.SameSiteLaxMode
	case "strict":
		s.CookieSameSite = http.SameSiteStrictMode
	case "none":
		s.CookieSameSite = http.SameSiteNoneMode
	default:
		return fmt.Errorf("one of Lax, Strict and None")
	}
	return nil
}

func secureMode(s *Settings, value string) error {
	if strings.EqualFold(value, secureWords[SecureAuto]) {
		s.CookieSecure = SecureAuto
		return nil
	}
	always, err := environ.Bool(value)
	if err != nil {
		return fmt.Errorf("auto, or %w", err)
	}
	s.CookieSecure = SecureNever
	if always {
		s.CookieSecure = SecureAlways
	}
	return nil
}

func showSecure(s *Settings) string {
	if s.CookieSecure > SecureNever {
		return s.CookieSecure.String()
	}
	return secureWords[s.CookieSecure]
}

func oneCodec(s *Settings, value string) error {
	c := codecNamed(value)
	if c == nil {
		return fmt.Errorf("cbor or json")
	}
	s.Codec = c
	return nil
}

func severalCodecs(s *Settings, value string) error {
	for part := range strings.SplitSeq(value, ",") {
		c := codecNamed(strings.TrimSpace(part))
		if c == nil {
			return fmt.Errorf("cbor or json, or both, separated by a comma")
		}
		s.ReadCodecs = append(s.ReadCodecs, c)
	}
	return nil
}

// codecNamed returns one of the codecs of this package, or nil.
func codecNamed(name string) Codec {
	for _, c := range [...]Codec{CBOR, JSON} {
		if strings.EqualFold(name, codecInWords(c)) {
			return c
		}
	}
	return nil
}

func showCodec(s *Settings) string {
	if codecNamed(codecInWords(s.Codec)) == nil {
		return "set by the program"
	}
	return codecInWords(s.Codec)
}

func showReadCodecs(s *Settings) string {
	for _, c := range s.ReadCodecs {
		if codecNamed(codecInWords(c)) == nil {
			return "set by the program"
		}
	}
	return listInWords(s.ReadCodecs, codecInWords)
}

func prefixes(s *Settings, value string) error {
	for part := range strings.SplitSeq(value, ",") {
		part = strings.TrimSpace(part)
		if strings.EqualFold(part, "unix") {
			s.TrustUnixSockets = true
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			addr, errAddr := netip.ParseAddr(part)
			if errAddr != nil {
				return fmt.Errorf("addresses, prefixes such as 10.0.0.0/8, or unix, separated by commas")
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		s.TrustedProxies = append(s.TrustedProxies, prefix)
	}
	return nil
}

func showProxies(s *Settings) string {
	var list []string
	if s.TrustUnixSockets {
		list = []string{"unix"}
	}
	for _, p := range s.TrustedProxies {
		list = append(list, p.String())
	}
	return listInWords(list, func(s string) string { return s })
}
