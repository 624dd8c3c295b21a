package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/postgres/table"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

func TestTableIsMadeOnce(t *testing.T) {
	server := backend.SharedPostgres(t)
	settings := with(server)
	name := settings[5]
	h, _ := start(t, settings...)
	require.NoError(t, h.Set(set("k", "one", 1, -1)))
	require.Equal(t, "1", server.Query("SELECT version FROM "+name+"_migrations"))
	again, _ := start(t, settings...)
	got, err := again.Get([]byte("k"), now)
	require.NoError(t, err)
	require.Equal(t, value(1, "one"), got)

	// A schema is part of the name.
	server.Query("CREATE SCHEMA IF NOT EXISTS app AUTHORIZATION waddle")
	h, _ = start(t, with(server, "table", "app."+newTable())...)
	works(t, h)
	_, _, err = tryStart(t, with(server, "table", "nowhere."+newTable())...)
	require.ErrorIs(t, err, guest.ErrInvalid)
	require.ErrorContains(t, err, "make the schema, or set table to one without it")
}

// Several servers that start at once make the table once, and all of them open.
func TestTableIsMadeByOneOfMany(t *testing.T) {
	server := backend.SharedPostgres(t)
	for range 5 {
		settings := with(server)
		var wg sync.WaitGroup
		errs := make(chan error, 8)
		for range cap(errs) {
			wg.Go(func() {
				o, err := read(config(settings))
				require.NoError(t, err)
				o.Client.Dial = dial
				tab, err := table.Open(o)
				if err == nil {
					tab.Close()
				}
				errs <- err
			})
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			require.NoError(t, err)
		}
	}
}

func TestTableOfANewerProgram(t *testing.T) {
	server := backend.SharedPostgres(t)
	settings := with(server)
	name := settings[5]
	start(t, settings...)
	server.Query("INSERT INTO " + name + "_migrations VALUES (3)")
	_, _, err := tryStart(t, settings...)
	require.ErrorIs(t, err, guest.ErrInvalid)
	require.ErrorContains(t, err, "the table "+name+" has version 3, and this program knows 1: run a newer program, or set table to another name")
}

// A role that may not make the table says so, and the log has the statements that
// somebody else must run. They are enough.
func TestTableThatSomebodyElseMakes(t *testing.T) {
	server := backend.SharedPostgres(t)
	server.Query("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN")
	for name, settings := range map[string][]string{
		"without the right": with(server, "user", "guest"),
		"with migrate=off":  with(server, "user", "guest", "migrate", "off"),
	} {
		t.Run(name, func(t *testing.T) {
			guest.Logged()
			_, _, err := tryStart(t, settings...)
			if strings.Contains(name, "off") {
				require.ErrorIs(t, err, guest.ErrInvalid)
				require.ErrorContains(t, err, "run the statements that the log has")
			} else {
				require.ErrorIs(t, err, guest.ErrDenied)
				require.ErrorContains(t, err, `the role "guest" may not make the table`)
			}
			var script []string
			for _, line := range guest.Logged() {
				require.Equal(t, int32(guest.LevelError), line.Level)
				script = append(script, line.Text)
			}
			require.Equal(t, "BEGIN;", script[1])
			server.Query(strings.Join(script[1:], "\n"))
			h, _ := start(t, settings...)
			works(t, h)
			require.NoError(t, h.Clear(now))
		})
	}
}

func TestTableThatDoesNotFit(t *testing.T) {
	server := backend.SharedPostgres(t)
	server.Query("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN")
	made := func(t *testing.T, sql string) []string {
		settings := with(server)
		name := settings[5]
		start(t, settings...)
		server.Query(strings.ReplaceAll(sql, "%", name))
		return settings
	}
	tests := []struct {
		name, sql string
		more      []string
		is        error
		message   string
	}{
		{"gone", "DROP TABLE %", nil, guest.ErrInvalid, "is gone"},
		{"another column", "ALTER TABLE % RENAME rev TO version", nil, guest.ErrInvalid, `has no column "rev bigint"`},
		{"another type", "ALTER TABLE % ALTER value TYPE text USING ''", nil, guest.ErrInvalid, `has no column "value bytea"`},
		{"no primary key", "ALTER TABLE % DROP CONSTRAINT %_pkey", nil, guest.ErrInvalid, "has no primary key that is its column key"},
		{"no rights", "GRANT SELECT ON %, %_migrations TO reader", []string{"user", "reader"}, guest.ErrDenied, "GRANT INSERT, UPDATE, DELETE ON"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := tryStart(t, pairs(append(made(t, test.sql), test.more...)...)...)
			require.ErrorIs(t, err, test.is)
			require.ErrorContains(t, err, test.message)
		})
	}
	t.Run("taken", func(t *testing.T) {
		name := newTable()
		server.Query(fmt.Sprintf("CREATE TABLE %s (n int)", name))
		_, _, err := tryStart(t, with(server, "table", name)...)
		require.ErrorIs(t, err, guest.ErrInvalid)
		require.ErrorContains(t, err, "that this engine has not made")
	})
	// It is found out between two starts, too.
	settings := made(t, "SELECT 1")
	h, _ := start(t, settings...)
	server.Query("DROP TABLE " + settings[5])
	_, err := h.Get([]byte("k"), now)
	require.ErrorIs(t, err, guest.ErrUnavailable)
	require.ErrorContains(t, err, "the table was removed")
}

func TestUnlogged(t *testing.T) {
	server := backend.SharedPostgres(t)
	settings := with(server, "unlogged", "true")
	name := settings[5]
	h, _ := start(t, settings...)
	works(t, h)
	require.Equal(t, "u", server.Query("SELECT relpersistence FROM pg_class WHERE relname = '"+name+"'"))
	guest.Logged()
	start(t, with(server, "table", name)...)
	require.Contains(t, guest.Logged()[0].Text, "is unlogged: a crash of the server empties it")
	server.Query("ALTER TABLE " + name + " SET LOGGED")
	start(t, settings...)
	require.Contains(t, guest.Logged()[0].Text, "SET UNLOGGED changes it")
}
