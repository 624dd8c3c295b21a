// Package environ holds what all settings from an environment share: the names of
// all variables, whichever package reads them, and the form of values. A package
// that reads settings reports misspelt names of its own variables.
package environ

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The variables that give secrets. [Misspelt] also checks names like theirs.
const (
	Secret     = "WADDLE_SECRET"
	SecretFile = "WADDLE_SECRET_FILE"
)

// Owner is a package that reads settings.
type Owner int

// The packages that read settings.
const (
	Sessions Owner = iota // host/session
	Storage               // host/engines
)

// owners maps each variable to the package that reads it.
var owners = map[string]Owner{
	"SESSION_STORAGE":    Storage,
	"SESSION_DIR":        Storage,
	"SESSION_DURABILITY": Storage,
	"SESSION_LOCK_WAIT":  Storage,

	Secret:                            Sessions,
	SecretFile:                        Sessions,
	"SESSION_ENGINE":                  Sessions,
	"SESSION_DURATION":                Sessions,
	"SESSION_COOKIE_AGE":              Sessions,
	"SESSION_ANONYMOUS_DURATION":      Sessions,
	"SESSION_ROLLING":                 Sessions,
	"SESSION_IDLE_TIMEOUT":            Sessions,
	"SESSION_LAST_SEEN_RESOLUTION":    Sessions,
	"SESSION_RENEW_EVERY":             Sessions,
	"SESSION_RENEW_GRACE":             Sessions,
	"SESSION_ABSOLUTE_TIMEOUT":        Sessions,
	"SESSION_MAX_USER_SESSIONS":       Sessions,
	"SESSION_STORE_TIMEOUT":           Sessions,
	"SESSION_EXPIRE_AT_BROWSER_CLOSE": Sessions,
	"SESSION_COOKIE_NAME":             Sessions,
	"SESSION_NAMESPACE":               Sessions,
	"SESSION_COOKIE_PATH":             Sessions,
	"SESSION_COOKIE_DOMAIN":           Sessions,
	"SESSION_COOKIE_SECURE":           Sessions,
	"SESSION_TRUSTED_PROXIES":         Sessions,
	"SESSION_TOKEN_HEADER":            Sessions,
	"SESSION_COOKIE_HTTPONLY":         Sessions,
	"SESSION_COOKIE_SAMESITE":         Sessions,
	"SESSION_COOKIE_PARTITIONED":      Sessions,
	"SESSION_CODEC":                   Sessions,
	"SESSION_READ_CODECS":             Sessions,
	"SESSION_READ_UNSEALED_UNTIL":     Sessions,
	"SESSION_WRITE_UNSEALED":          Sessions,
}

// names are all variables in a fixed order.
var names = slices.Sorted(maps.Keys(owners))

// Names returns the variables that a package reads.
func Names(of Owner) (list []string) {
	for _, name := range names {
		if owners[name] == of {
			list = append(list, name)
		}
	}
	return list
}

// Values returns the variables of an environment in the form of [os.Environ]. If a
// name occurs more than once, the last value counts.
func Values(environ []string) map[string]string {
	values := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			values[name] = value
		}
	}
	return values
}

// Misspelt returns an error for the first name of an environment that can only be a
// misspelt setting of the owner's.
func Misspelt(environ []string, of Owner) error {
	values := Values(environ)
	sealed := values[Secret] != "" || values[SecretFile] != ""
	for _, entry := range environ {
		name, _, ok := strings.Cut(entry, "=")
		if !ok {
			continue
		}
		if _, known := owners[name]; known {
			continue
		}
		if meant := nearest(name, sealed); meant != "" && owners[meant] == of {
			return fmt.Errorf("the environment sets %s, which is not a setting; was %s meant?", name, meant)
		}
	}
	return nil
}

// nearest returns the setting that a name was meant to be, if it can only be a
// misspelt one. If a secret is set already, SESSION_SECRET may belong to another
// framework.
func nearest(name string, sealed bool) string {
	upper := strings.ToUpper(name)
	best, least := "", len(name)
	for _, known := range names {
		if d := editDistance(upper, known); d < least {
			best, least = known, d
		}
	}
	// The shorter the name after the prefix, the likelier it is a different word:
	// SESSION_ID is not SESSION_DIR.
	_, proper, _ := strings.Cut(best, "_")
	allowed := 2
	if len(proper) < 6 {
		allowed = 1
	}
	switch {
	case strings.HasPrefix(upper, Secret), strings.HasPrefix(upper, "WADDLE_KEY"), strings.HasPrefix(upper, "SESSION_KEYRING"),
		!sealed && strings.HasPrefix(upper, "SESSION_SECRET"):
		if strings.HasSuffix(upper, "FILE") || best == SecretFile {
			return SecretFile
		}
		return Secret
	case least <= allowed, strings.HasPrefix(upper, "SESSION_COOKIE_"):
		return best
	}
	return ""
}

// editDistance counts the letters to insert, remove, replace or swap with their
// neighbour to get from a to b.
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

// Bool reads a truth value.
func Bool(value string) (bool, error) {
	switch strings.ToLower(value) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return false, errors.New("true or false")
}

// Duration reads whole seconds, or a number with units as [time.ParseDuration]
// takes it. 0 and off are 0.
func Duration(value string) (time.Duration, error) {
	if strings.EqualFold(value, "off") {
		return 0, nil
	}
	d, err := time.ParseDuration(value)
	if seconds, errSeconds := strconv.ParseInt(value, 10, 64); errSeconds == nil {
		err = nil
		if d = time.Duration(seconds) * time.Second; d/time.Second != time.Duration(seconds) {
			err = strconv.ErrRange
		}
	}
	if err != nil || d < 0 {
		return 0, errors.New("seconds or a time such as 90m or 168h, not negative")
	}
	return d, nil
}

// FormatDuration is the inverse of Duration: 168h rather than 168h0m0s, and off for
// 0.
func FormatDuration(d time.Duration) string {
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
