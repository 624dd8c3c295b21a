package playground

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/session"
)

// about is what the page says about the place it shows.
type about struct {
	Engine   Engine    `json:"engine"`
	Settings []setting `json:"settings"`
}

// setting is a setting in force, by the name it has in the environment.
type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// inForce lists the settings in the order in which people ask for them.
func inForce(s *session.Settings) []setting {
	none := func(text string) string {
		if text == "" {
			return "none"
		}
		return text
	}
	// 168h rather than 168h0m0s, in the form in which it can be set.
	lasting := func(d time.Duration) string {
		if d == 0 {
			return "off"
		}
		text := d.String()
		if strings.HasSuffix(text, "m0s") {
			text = strings.TrimSuffix(text, "0s")
		}
		if strings.HasSuffix(text, "h0m") {
			text = strings.TrimSuffix(text, "0m")
		}
		return text
	}
	return []setting{
		{"SESSION_STORAGE", none(s.Storage)},
		{"SESSION_ENGINE", s.Engine},
		{"SESSION_DURATION", lasting(s.Duration)},
		{"SESSION_IDLE_TIMEOUT", lasting(s.IdleTimeout)},
		{"SESSION_ABSOLUTE_TIMEOUT", lasting(s.AbsoluteTimeout)},
		{"SESSION_EXPIRE_AT_BROWSER_CLOSE", strconv.FormatBool(s.ExpireAtBrowserClose)},
		{"SESSION_COOKIE_NAME", s.CookieName},
		{"SESSION_COOKIE_PATH", s.CookiePath},
		{"SESSION_COOKIE_DOMAIN", none(s.CookieDomain)},
		{"SESSION_COOKIE_SECURE", strconv.FormatBool(s.CookieSecure)},
		{"SESSION_COOKIE_HTTPONLY", strconv.FormatBool(s.CookieHTTPOnly)},
		{"SESSION_COOKIE_SAMESITE", sameSite(s.CookieSameSite)},
		{"SESSION_COOKIE_PARTITIONED", strconv.FormatBool(s.CookiePartitioned)},
	}
}

func sameSite(mode http.SameSite) string {
	switch mode {
	case http.SameSiteStrictMode:
		return "Strict"
	case http.SameSiteNoneMode:
		return "None"
	}
	return "Lax"
}
