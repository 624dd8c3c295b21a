package redis

import (
	"maps"
	"os"
	"strings"
)

// withSecrets returns the settings of the guest, with what is in files and in the
// environment.
func (t *target) withSecrets() (map[string]string, error) {
	settings := maps.Clone(t.settings)
	for _, name := range []string{"password", "sentinel_password"} {
		file, variable := t.options[name+"_file"], t.options[name+"_env"]
		given := 0
		for _, value := range []string{settings[name], file, variable} {
			if value != "" {
				given++
			}
		}
		switch {
		case given > 1:
			return nil, urlError("it has more than one of a %s, %s_file and %s_env: must have one", name, name, name)
		case file != "":
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, urlError("the file that %s_file names: %w", name, err)
			}
			settings[name] = strings.TrimRight(string(text), "\r\n")
		case variable != "":
			settings[name] = os.Getenv(variable)
		}
		if given > 0 && settings[name] == "" {
			return nil, urlError("what %s_file or %s_env names is empty", name, name)
		}
		if strings.Contains(settings[name], "\x00") {
			return nil, urlError("the %s has a NUL, which no setting may have", name)
		}
	}
	return settings, nil
}

// Redacted returns a URL with its passwords made unreadable, for people. Of what is no URL
// of this engine it shows only the scheme.
func Redacted(text string) string {
	if _, err := parse(text); err != nil {
		scheme, _, ok := strings.Cut(text, "://")
		if !ok {
			return "…"
		}
		return scheme + "://…"
	}
	const hidden = "xxxxx"
	head, query, hasQuery := strings.Cut(text, "?")
	scheme, rest, _ := strings.Cut(head, "://")
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		if user, _, has := strings.Cut(authority[:i], ":"); has {
			authority = user + ":" + hidden + authority[i:]
		}
	}
	text = scheme + "://" + authority + path
	if !hasQuery {
		return text
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		if strings.HasPrefix(part, "sentinel_password=") {
			parts[i] = "sentinel_password=" + hidden
		}
	}
	return text + "?" + strings.Join(parts, "&")
}
