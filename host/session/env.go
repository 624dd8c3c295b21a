package session

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// envPrefix begins the names of all settings in the environment.
const envPrefix = "SESSION_"

// variables are the settings that the environment can give, in the order in
// which errors name them.
var variables = []struct {
	name string
	set  func(s *Settings, value string) error
}{
	{"SESSION_ENGINE", text(func(s *Settings) *string { return &s.Engine })},
	{"SESSION_STORAGE", text(func(s *Settings) *string { return &s.Storage })},
	{"SESSION_DIR", text(func(s *Settings) *string { return &s.Dir })},
	{"SESSION_DURABILITY", durability},
	{"SESSION_LOCK_WAIT", duration(func(s *Settings) *time.Duration { return &s.LockWait })},
	{"SESSION_DURATION", duration(func(s *Settings) *time.Duration { return &s.Duration })},
	{"SESSION_COOKIE_AGE", duration(func(s *Settings) *time.Duration { return &s.Duration })},
	{"SESSION_ANONYMOUS_DURATION", duration(func(s *Settings) *time.Duration { return &s.AnonymousDuration })},
	{"SESSION_ROLLING", boolean(func(s *Settings) *bool { return &s.Rolling })},
	{"SESSION_IDLE_TIMEOUT", duration(func(s *Settings) *time.Duration { return &s.IdleTimeout })},
	{"SESSION_SEEN_EVERY", duration(func(s *Settings) *time.Duration { return &s.SeenEvery })},
	{"SESSION_ROTATE_EVERY", duration(func(s *Settings) *time.Duration { return &s.RotateEvery })},
	{"SESSION_ROTATE_GRACE", duration(func(s *Settings) *time.Duration { return &s.RotateGrace })},
	{"SESSION_ABSOLUTE_TIMEOUT", duration(func(s *Settings) *time.Duration { return &s.AbsoluteTimeout })},
	{"SESSION_MAX_USER_SESSIONS", number(func(s *Settings) *int { return &s.MaxUserSessions })},
	{"SESSION_STORE_TIMEOUT", duration(func(s *Settings) *time.Duration { return &s.StoreTimeout })},
	{"SESSION_EXPIRE_AT_BROWSER_CLOSE", boolean(func(s *Settings) *bool { return &s.ExpireAtBrowserClose })},
	{"SESSION_COOKIE_NAME", text(func(s *Settings) *string { return &s.CookieName })},
	{"SESSION_NAMESPACE", text(func(s *Settings) *string { return &s.Namespace })},
	{"SESSION_COOKIE_PATH", text(func(s *Settings) *string { return &s.CookiePath })},
	{"SESSION_COOKIE_DOMAIN", text(func(s *Settings) *string { return &s.CookieDomain })},
	{"SESSION_COOKIE_SECURE", secure},
	{"SESSION_TRUSTED_PROXIES", prefixes},
	{"SESSION_TOKEN_HEADER", text(func(s *Settings) *string { return &s.TokenHeader })},
	{"SESSION_COOKIE_HTTPONLY", boolean(func(s *Settings) *bool { return &s.CookieHTTPOnly })},
	{"SESSION_COOKIE_SAMESITE", sameSite},
	{"SESSION_COOKIE_PARTITIONED", boolean(func(s *Settings) *bool { return &s.CookiePartitioned })},
	{"SESSION_READ_UNSEALED_UNTIL", date(func(s *Settings) *time.Time { return &s.ReadUnsealedUntil })},
	{"SESSION_WRITE_UNSEALED", boolean(func(s *Settings) *bool { return &s.WriteUnsealed })},
}

// FromEnv returns Defaults with the settings of an environment, as [os.Environ]
// gives it. A variable that is set to nothing counts as not set.
//
// Settings.Keyring is made of the secrets in WADDLE_SECRET, separated by white
// space, or of those in the file that WADDLE_SECRET_FILE names, one on each
// line, newest first; lines there that begin with # are left out. Here a
// variable that is set must give a secret: beside ErrSettings, a weak one or
// none is ErrSecret, and a file that cannot be read ErrSecretFile.
//
// Times are whole seconds, or numbers with units as [time.ParseDuration] takes
// them; yes and no are true, false, yes, no, on, off, 1 or 0, in any case.
//
// It returns ErrSettings, naming the variable, for a value it cannot take, for
// SESSION_DURATION and SESSION_COOKIE_AGE that differ (they are one setting),
// and for a name that can only be a misspelt setting: one that begins with
// SESSION_COOKIE_, or is a letter or two away from a setting. Other variables
// that begin with SESSION_, such as a desktop's SESSION_MANAGER, are left alone;
// not so names that begin with WADDLE_SECRET, WADDLE_KEY or SESSION_KEYRING, nor,
// where no secret is set, with SESSION_SECRET. Where settings do not go together, it names their variables.
func FromEnv(environ []string) (Settings, error) {
	s := Defaults()
	values := make(map[string]string)
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			values[name] = value
		}
	}
	sealed := values[secretVariable] != "" || values[secretFileVariable] != ""
	for _, entry := range environ {
		name, _, ok := strings.Cut(entry, "=")
		if !ok || known(name) {
			continue
		}
		if meant := misspelt(name, sealed); meant != "" {
			return Settings{}, fmt.Errorf("%w: the environment sets %s, which is no setting; was %s meant?", ErrSettings, name, meant)
		}
	}
	var err error
	if s.Keyring, err = secretsOf(values); err != nil {
		return Settings{}, err
	}
	for _, v := range variables {
		value := strings.TrimSpace(values[v.name])
		if value == "" {
			continue
		}
		if err := v.set(&s, value); err != nil {
			return Settings{}, fmt.Errorf("%w: %s is %q, and must be %w", ErrSettings, v.name, value, err)
		}
	}
	if a, b := values["SESSION_DURATION"], values["SESSION_COOKIE_AGE"]; a != "" && b != "" {
		var first, second Settings
		set := duration(func(s *Settings) *time.Duration { return &s.Duration })
		if set(&first, strings.TrimSpace(a)) == nil && set(&second, strings.TrimSpace(b)) == nil && first.Duration != second.Duration {
			return Settings{}, fmt.Errorf("%w: SESSION_DURATION is %q and SESSION_COOKIE_AGE is %q; they are two names of one setting, so set one of them", ErrSettings, a, b)
		}
	}
	if err := s.Check(); err != nil {
		return Settings{}, inVariables(err, values)
	}
	return s, nil
}

func known(name string) bool { return slices.Contains(names(), name) }

// names are those of all variables that are read.
func names() []string {
	all := []string{secretVariable, secretFileVariable}
	for _, v := range variables {
		all = append(all, v.name)
	}
	return all
}

// misspelt returns the setting that a name was meant to be, if it can only be
// a misspelt one. Where there is a secret already, another framework's is its
// own affair.
func misspelt(name string, sealed bool) string {
	upper := strings.ToUpper(name)
	best, least := "", len(name)
	for _, known := range names() {
		if d := editDistance(upper, known); d < least {
			best, least = known, d
		}
	}
	// The shorter the name proper, the likelier it is a word of its own:
	// SESSION_ID is not SESSION_DIR.
	_, proper, _ := strings.Cut(best, "_")
	allowed := 2
	if len(proper) < 6 {
		allowed = 1
	}
	switch {
	case strings.HasPrefix(upper, secretVariable), strings.HasPrefix(upper, "WADDLE_KEY"), strings.HasPrefix(upper, envPrefix+"KEYRING"),
		!sealed && strings.HasPrefix(upper, envPrefix+"SECRET"):
		if strings.HasSuffix(upper, "FILE") || best == secretFileVariable {
			return secretFileVariable
		}
		return secretVariable
	case least <= allowed, strings.HasPrefix(upper, envPrefix+"COOKIE_"):
		return best
	}
	return ""
}

// editDistance counts the letters to insert, remove, replace or swap with
// their neighbour that lead from a to b.
func editDistance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+same)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

func text(field func(*Settings) *string) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		*field(s) = value
		return nil
	}
}

func boolean(field func(*Settings) *bool) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		value = strings.ToLower(value)
		if slices.Contains([]string{"true", "yes", "on", "1"}, value) {
			*field(s) = true
			return nil
		}
		if slices.Contains([]string{"false", "no", "off", "0"}, value) {
			*field(s) = false
			return nil
		}
		return fmt.Errorf("true or false")
	}
}

func number(field func(*Settings) *int) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("a whole number")
		}
		*field(s) = n
		return nil
	}
}

func duration(field func(*Settings) *time.Duration) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		d, err := time.ParseDuration(value)
		if seconds, errSeconds := strconv.ParseInt(value, 10, 64); errSeconds == nil {
			err = nil
			if d = time.Duration(seconds) * time.Second; d/time.Second != time.Duration(seconds) {
				err = strconv.ErrRange
			}
		}
		if err != nil {
			return fmt.Errorf("seconds, or a time such as 90m or 168h")
		}
		*field(s) = d
		return nil
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

func durability(s *Settings, value string) error {
	switch value = strings.ToLower(value); value {
	case "commit", "interval", "close":
		s.Durability = value
		return nil
	}
	return fmt.Errorf("one of commit, interval and close")
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

func secure(s *Settings, value string) error {
	if s.CookieSecureAuto = strings.EqualFold(value, "auto"); s.CookieSecureAuto {
		return nil
	}
	if err := boolean(func(s *Settings) *bool { return &s.CookieSecure })(s, value); err != nil {
		return fmt.Errorf("%w, or auto", err)
	}
	return nil
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
