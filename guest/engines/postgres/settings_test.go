package main

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/postgres/table"
)

func TestSettings(t *testing.T) {
	const must = "must be host:port, such as db.example.com:5432, or the path of a socket, or several with commas in between"
	tests := []struct {
		name     string
		settings []string
		message  string // "" for accepted
		check    func(o table.Options) bool
	}{
		{"the least", []string{"addresses", "db"}, "", func(o table.Options) bool {
			return o.Addresses[0] == "db:5432" && o.Client.User == "postgres" && o.Client.Database == "postgres" && o.Name == "waddle_sessions" &&
				o.Connections == defaultConnections && o.Timeout == 5*time.Second && o.OpenTimeout == 10*time.Second && !o.Client.TLS &&
				!o.Unlogged && !o.Unmanaged && !o.Unprepared && o.SyncCommit == ""
		}},
		{"the database is named like the user", []string{"addresses", "db", "user", "app"}, "", func(o table.Options) bool { return o.Client.Database == "app" }},
		{"several addresses", []string{"addresses", "a:1, [::1]:2 ,/run/s"}, "", func(o table.Options) bool {
			return len(o.Addresses) == 3 && o.Addresses[1] == "[::1]:2" && o.Addresses[2] == "/run/s"
		}},
		{"everything", []string{"addresses", "db", "connections", "2", "migrate", "off", "prepare", "off", "synchronous_commit", "off",
			"table", "app.Sessions_2", "timeout_ms", "20000", "tls", "on", "unlogged", "true"}, "", func(o table.Options) bool {
			return o.Connections == 2 && o.Unmanaged && o.Unprepared && o.SyncCommit == "off" && o.Name == "app.Sessions_2" &&
				o.Timeout == 20*time.Second && o.OpenTimeout == 20*time.Second && o.Client.TLS && o.Unlogged
		}},
		{"no address", nil, "the setting addresses is not set: " + must, nil},
		{"an empty address", []string{"addresses", "a,,b"}, `the setting addresses has "": ` + must, nil},
		{"a port that is none", []string{"addresses", "db:http"}, `the setting addresses has "db:http": ` + must, nil},
		{"a URL", []string{"addresses", "postgres://u:secret@db"},
			"the setting addresses has a URL or a user: " + must + "; user, password and tls are settings of their own", nil},
		{"a table with a quote", []string{"addresses", "db", "table", `a"b`},
			`the setting table is "a\"b": must be a name such as waddle_sessions, or one with its schema such as app.sessions: letters, digits and _, not a digit first, at most 52 characters each`, nil},
		{"no connections", []string{"addresses", "db", "connections", "0"}, `the setting connections is "0": must be at least 1`, nil},
		{"too many connections", []string{"addresses", "db", "connections", "65"}, `the setting connections is "65": must be at most 64`, nil},
		{"no time", []string{"addresses", "db", "timeout_ms", "0"}, `the setting timeout_ms is "0": must be at least 1`, nil},
		{"too much time", []string{"addresses", "db", "timeout_ms", "3600001"}, `the setting timeout_ms is "3600001": must be at most 3600000, which is an hour`, nil},
		{"tls", []string{"addresses", "db", "tls", "yes"}, `the setting tls is "yes": must be on or off`, nil},
		{"synchronous_commit", []string{"addresses", "db", "synchronous_commit", "false"},
			`the setting synchronous_commit is "false": must be on, off, local, remote_write or remote_apply`, nil},
		{"little memory", []string{"addresses", "db", "memory_limit", "8388608"},
			"memory_limit is 8388608 bytes: must be at least 20971520 (20 MiB) for each instance", nil},
		{"misspelt", []string{"adresses", "db"}, "the setting addresses is not set: " + must, nil},
		{"unknown", []string{"addresses", "db", "pool", "3"}, "the setting pool is unknown: this engine has user, password, database, table, " +
			"connections, synchronous_commit, unlogged, timeout_ms, tls, migrate, prepare, addresses", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o, err := read(guest.NewConfig(test.settings...))
			if test.message == "" {
				require.NoError(t, err)
				require.True(t, test.check(o))
				return
			}
			require.ErrorIs(t, err, guest.ErrInvalid)
			require.Equal(t, unquoted(test.message), unquoted(err.Error()[len("guest: INVALID: "):]))
		})
	}
}

// unquoted takes the marks before quotes away, which the settings' own message lacks.
func unquoted(s string) string {
	if u, err := strconv.Unquote("`" + s + "`"); err == nil {
		s = u
	}
	out := make([]byte, 0, len(s))
	for _, c := range []byte(s) {
		if c != '\\' {
			out = append(out, c)
		}
	}
	return string(out)
}

func TestTableNames(t *testing.T) {
	for name, good := range map[string]bool{
		"a": true, "_": true, "waddle_sessions": true, "App.Sessions": true, "a1.b2": true,
		"": false, ".": false, "a.": false, ".a": false, "a.b.c": false, "1a": false, "a-b": false, "a b": false, `a"`: false, "ä": false,
		"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz":  true,
		"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0": false,
	} {
		require.Equal(t, good, tableName(name), name)
	}
}

// README.md has every setting.
func TestReadmeHasEverySetting(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, err = read(guest.NewConfig("addresses", "db", "nothing", "1"))
	_, list, found := strings.Cut(err.Error(), "this engine has ")
	require.True(t, found)
	for name := range strings.SplitSeq(list, ", ") {
		require.Regexp(t, "(?m)^\\| .*`"+name+"`.* \\|", string(text), name)
	}
}
