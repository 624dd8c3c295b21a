package redis

import (
	"maps"
	"strings"

	"github.com/waddle-sessions/waddle/host/engines/internal/serverurl"
)

// withSecrets returns the settings of the guest, with what is in files and in the
// environment.
func (t *target) withSecrets() (map[string]string, error) {
	settings := maps.Clone(t.settings)
	for _, name := range []string{"password", "sentinel_password"} {
		secret, err := serverurl.Secret(settings[name], t.options[name+"_file"], t.options[name+"_env"])
		if err != nil {
			return nil, urlError("the %s: %w", name, err)
		}
		if secret != "" {
			settings[name] = secret
		}
	}
	return settings, nil
}

// Redacted returns a URL with its passwords made unreadable, for people. Of what is no URL
// of this engine it shows only the scheme.
func Redacted(text string) string {
	if _, err := parse(text); err == nil {
		return serverurl.Redact(text, "sentinel_password")
	}
	if scheme, _, ok := strings.Cut(text, "://"); ok {
		return scheme + "://…"
	}
	return "…"
}
