package session

import (
	"net/http"
	"strings"
	"time"
)

// Check returns ErrSettings, with what is wrong and how to mend it, for settings
// that would not work, or that browsers would refuse or ignore.
func (s Settings) Check() error {
	s = s.WithDefaults()
	for _, check := range [...]func() error{s.checkTimes, s.checkTransition, s.checkEffect, s.checkNumbers, s.checkNames, s.checkSecure} {
		if err := check(); err != nil {
			return err
		}
	}
	return s.checkScope(s.scope())
}

const (
	// maxLifetime keeps sums of times within range and below what browsers take.
	maxLifetime = 100 * 365 * 24 * time.Hour

	// maxUserSessions is how many sessions a user's list has room for.
	maxUserSessions = 10_000
)

// checkTimes checks each time by itself.
func (s *Settings) checkTimes() error {
	for _, t := range s.times() {
		switch d := *t.value; {
		case t.least == 0 && (d == 0 || d == Off):
		case t.least == 0 && d < time.Millisecond:
			return wrong("%s is %s: must be 0 or at least %v", t.name, durationInWords(d), time.Millisecond)
		case d < t.least:
			return wrong("%s is %s: must be at least %v", t.name, durationInWords(d), t.least)
		case d > maxLifetime:
			return wrong("%s is %v: must be at most %v", t.name, d, maxLifetime)
		}
	}
	return nil
}

// checkEffect checks the times together: nobody sets one so that it has no
// effect.
func (s *Settings) checkEffect() error {
	for _, t := range []struct {
		name   setting
		value  time.Duration
		before setting // what ends the session first
		end    time.Duration
		hint   string
	}{
		{"AnonymousLifetime", s.AnonymousLifetime, "Lifetime", s.Lifetime, "; sessions without a user must live shorter than others"},
		{"AnonymousLifetime", s.AnonymousLifetime, "AbsoluteTimeout", s.AbsoluteTimeout, ""},
		{"IdleTimeout", s.IdleTimeout, "Lifetime", s.Lifetime, "; sessions that live longer than others can have a timeout of their own, by Session.SetIdleTimeout"},
		{"IdleTimeout", s.IdleTimeout, "AbsoluteTimeout", s.AbsoluteTimeout, ""},
		{"LastSeenResolution", s.LastSeenResolution, "Lifetime", s.Lifetime, ""},
		{"LastSeenResolution", s.LastSeenResolution, "IdleTimeout", s.IdleTimeout, ""},
		{"LastSeenResolution", s.LastSeenResolution, "AbsoluteTimeout", s.AbsoluteTimeout, ""},
		{"RenewEvery", s.RenewEvery, "AbsoluteTimeout", s.AbsoluteTimeout, ""},
	} {
		if t.value != 0 && t.end != 0 && t.value >= t.end {
			return wrong("%s is %v: must be 0 or below %s, which is %v and ends sessions before%s", t.name, t.value, t.before, t.end, t.hint)
		}
	}
	if s.Rolling && s.AnonymousLifetime == 0 && s.AbsoluteTimeout != 0 && s.AbsoluteTimeout <= s.Lifetime {
		return wrong("%s is true and has no effect: %s, which is %v, must be above %s, %v; or leave sessions not rolling",
			setting("Rolling"), setting("AbsoluteTimeout"), s.AbsoluteTimeout, setting("Lifetime"), s.Lifetime)
	}
	if s.RenewEvery != 0 && s.RenewGrace > s.RenewEvery {
		return wrong("%s is %v: must be at most %s, %v", setting("RenewGrace"), s.RenewGrace, setting("RenewEvery"), s.RenewEvery)
	}
	return nil
}

func (s *Settings) checkNumbers() error {
	if s.MaxSize < recordHeader || s.MaxSize > maxRecord {
		return wrong("%s is %d: must be 0 for the default, or from %d to %d bytes", setting("MaxSize"), s.MaxSize, recordHeader, maxRecord)
	}
	if s.MaxUserSessions < 1 || s.MaxUserSessions > maxUserSessions {
		return wrong("%s is %d: must be 0 for the default, or from 1 to %d", setting("MaxUserSessions"), s.MaxUserSessions, maxUserSessions)
	}
	switch s.CookieSameSite {
	case http.SameSiteLaxMode, http.SameSiteStrictMode, http.SameSiteNoneMode:
	default:
		return wrong("%s is %d: must be http.SameSiteLaxMode, SameSiteStrictMode or SameSiteNoneMode", setting("CookieSameSite"), s.CookieSameSite)
	}
	return nil
}

func (s *Settings) checkNames() error {
	if name := s.namespace(); len(name) > MaxNamespace || strings.ContainsRune(name, 0) {
		if s.Namespace == "" {
			return wrong("%s has %d bytes: must have at most %d, since it is the namespace too; shorten it, or set %s",
				setting("CookieName"), len(name), MaxNamespace, setting("Namespace"))
		}
		return wrong("%s is %.40q of %d bytes: must have at most %d and no NUL", setting("Namespace"), name, len(name), MaxNamespace)
	}
	if err := checkTokenHeader(s.TokenHeader); err != nil {
		return wrong("%s is %q: %v", setting("TokenHeader"), s.TokenHeader, err)
	}
	return nil
}

func (s *Settings) checkSecure() error {
	if s.CookieSecure > SecureNever {
		return wrong("%s is %d: must be SecureAuto, SecureAlways or SecureNever", setting("CookieSecure"), s.CookieSecure)
	}
	for i, p := range s.TrustedProxies {
		if !p.IsValid() {
			return wrong("%s is not valid at %d: must have addresses or prefixes only", setting("TrustedProxies"), i)
		}
	}
	if s.CookieSecure != SecureAuto && (len(s.TrustedProxies) > 0 || s.TrustUnixSockets) {
		return wrong("%s is set and has no effect: %s must be %s, since proxies are believed in nothing else",
			setting("TrustedProxies"), setting("CookieSecure"), secureValue(SecureAuto))
	}
	return nil
}
