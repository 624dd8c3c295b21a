package table

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/postgres/client"
)

// migration takes a table from the version before to its own.
type migration struct {
	version int64
	sql     string // with {create table}, {table} and {sweep}, the name of an index, to be filled in
}

// migrations are all versions, in order. One that was released is never changed.
var migrations = []migration{
	{1, `{create table} {table} (
  key bytea PRIMARY KEY,
  rev bigint NOT NULL,      -- the first eight bytes of the value
  nonce bigint NOT NULL,    -- of the write that made it, 0 for one without a condition
  expires bigint NOT NULL,  -- milliseconds since 1970, 0 for never
  sweep_at bigint NOT NULL, -- when to remove it: not before it has expired, rounded up
  value bytea NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX {sweep} ON {table} (sweep_at) WHERE sweep_at <> 0;`},
}

// columns are those that the statements use.
var columns = []string{"key bytea", "rev bigint", "nonce bigint", "expires bigint", "sweep_at bigint", "value bytea"}

// rights are those that the statements need.
var rights = []string{"SELECT", "INSERT", "UPDATE", "DELETE"}

const codeTableExists = "42P07"

// openSchema makes or checks the table.
func (t *Table) openSchema(until time.Time) error {
	if t.options.migrations == nil {
		t.options.migrations = migrations
	}
	conns, err := t.pool.take(1, until)
	if err != nil {
		return answer(err)
	}
	s := schema{t: t, c: conns[0].Conn}
	version, err := s.version()
	if err != nil {
		return answer(err)
	}
	newest := t.options.migrations[len(t.options.migrations)-1].version
	switch {
	case version > newest:
		return guest.Fail(guest.ErrInvalid, fmt.Sprintf("the table %s has version %d, and this program knows %d: "+
			"run a newer program, or set table to another name", t.options.Name, version, newest))
	case version < newest && t.options.Unmanaged:
		s.logScript(version)
		return guest.Fail(guest.ErrInvalid, fmt.Sprintf("the table %s has version %d, and this program needs %d, with migrate=off: "+
			"run the statements that the log has", t.options.Name, version, newest))
	case version < newest:
		if err := s.migrate(); err != nil {
			return err
		}
	}
	return s.check()
}

// schema makes and checks a table over one connection.
type schema struct {
	t *Table
	c *client.Conn
}

// versions is the name of the table of versions, quoted.
func (s *schema) versions() string { return quoteName(s.t.options.Name + "_migrations") }

// expand fills in the names of a migration.
func (s *schema) expand(sql string) string {
	name := s.t.options.Name
	create := "CREATE TABLE"
	if s.t.options.Unlogged {
		create = "CREATE UNLOGGED TABLE"
	}
	index := quoteName(name[strings.LastIndexByte(name, '.')+1:] + "_sweep")
	return strings.NewReplacer("{create table}", create, "{table}", quoteName(name), "{sweep}", index).Replace(sql)
}

// rows runs a statement in a transaction of its own, or in the one that has begun.
func (s *schema) rows(sql string, row func(columns [][]byte) error, values ...client.Value) error {
	types := make([]client.Type, len(values))
	for i := range types {
		types[i] = client.Text
	}
	s.c.Queue(&client.Statement{SQL: sql, Types: types}, values...)
	s.c.Sync()
	if err := s.c.Flush(); err != nil {
		return err
	}
	_, err := s.c.Result(row)
	if end := s.c.Synced(); err == nil {
		err = end
	}
	return err
}

// version returns the version of the table, 0 if there is none.
func (s *schema) version() (version int64, err error) {
	there := false
	err = s.rows(`SELECT (to_regclass($1) IS NOT NULL)::int::int8`, func(columns [][]byte) error {
		there = client.Int(columns[0]) != 0
		return nil
	}, client.Bytes([]byte(s.versions())))
	if err != nil || !there {
		return 0, err
	}
	err = s.rows(`SELECT coalesce(max(version), 0)::int8 FROM `+s.versions(), func(columns [][]byte) error {
		version = client.Int(columns[0])
		return nil
	})
	return version, err
}

// migrate brings the table to the newest version, while no other instance does.
func (s *schema) migrate() error {
	err := s.migrateLocked()
	if err == nil {
		return nil
	}
	if !errors.Is(err, client.ErrLost) {
		_ = s.c.Exec("ROLLBACK")
	}
	switch client.Code(err) {
	case codeNoRight:
		s.logScript(0)
		return guest.Fail(guest.ErrDenied, fmt.Sprintf("the role %q may not make the table %s (%v): let a role that may run the statements that the log has, "+
			"or grant CREATE on the schema", s.t.options.Client.User, s.t.options.Name, err))
	case codeTableExists:
		return guest.Fail(guest.ErrInvalid, fmt.Sprintf("there is something named %s that this engine has not made (%v): set table to another name", s.t.options.Name, err))
	}
	return answer(err)
}

func (s *schema) migrateLocked() error {
	// Each statement must see what those have committed that held the lock before.
	begin := fmt.Sprintf("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = %d; "+
		"SELECT pg_advisory_xact_lock(%d, hashtext(%s))", s.t.options.OpenTimeout.Milliseconds(), lockClass, quoteText(s.t.options.Name))
	if err := s.c.Exec(begin); err != nil {
		return err
	}
	if err := s.c.Exec(s.makeVersions()); err != nil {
		return err
	}
	version, err := s.version()
	if err != nil {
		return err
	}
	for _, m := range s.t.options.migrations {
		if m.version <= version {
			continue
		}
		if err := s.c.Exec(s.expand(m.sql) + s.note(m.version)); err != nil {
			return err
		}
	}
	return s.c.Exec("COMMIT")
}

// lockClass tells the locks of this engine from those of others: it spells "wadd".
const lockClass = 0x77616464

func (s *schema) makeVersions() string {
	return "CREATE TABLE IF NOT EXISTS " + s.versions() + " (version integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now());"
}

func (s *schema) note(version int64) string {
	return "\nINSERT INTO " + s.versions() + " (version) VALUES (" + strconv.FormatInt(version, 10) + ");"
}

// logScript logs the statements that take the table from a version to the newest.
func (s *schema) logScript(version int64) {
	s.t.options.Log(guest.LevelError, "a role that may make the table must run the lines that follow, and let "+strconv.Quote(s.t.options.Client.User)+" use it")
	script := "BEGIN;\n" + s.makeVersions()
	for _, m := range s.t.options.migrations {
		if m.version > version {
			script += "\n" + s.expand(m.sql) + s.note(m.version)
		}
	}
	role := quoteName(s.t.options.Client.User)
	script += fmt.Sprintf("\nGRANT %s, TRUNCATE ON %s TO %s;\nGRANT SELECT ON %s TO %s;\nCOMMIT;",
		strings.Join(rights, ", "), quoteName(s.t.options.Name), role, s.versions(), role)
	for line := range strings.SplitSeq(script, "\n") {
		s.t.options.Log(guest.LevelError, line)
	}
}

// check finds out whether the table is one that the statements can use.
func (s *schema) check() error {
	name := s.t.options.Name
	found := false
	var persistence, has, missing string
	unique := false
	sql := `SELECT c.relpersistence::text,
(SELECT coalesce(string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', '), '') FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
(SELECT coalesce(string_agg(r, ', '), '') FROM unnest(string_to_array('` + strings.Join(rights, ",") + `', ',')) AS r WHERE NOT has_table_privilege(c.oid, r)),
EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
WHERE i.indrelid = c.oid AND i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL AND a.attname = 'key')::int::int8
FROM pg_class c WHERE c.oid = to_regclass($1)`
	err := s.rows(sql, func(columns [][]byte) error {
		found = true
		persistence, has, missing = string(columns[0]), string(columns[1]), string(columns[2])
		unique = client.Int(columns[3]) != 0
		return nil
	}, client.Bytes([]byte(quoteName(name))))
	if err != nil {
		return answer(err)
	}
	if !found {
		return guest.Fail(guest.ErrInvalid, fmt.Sprintf("the table %s is gone, and %[1]s_migrations says that it was made: "+
			"drop that too, to have both made again", name))
	}
	there := strings.Split(has, ", ")
	for _, column := range columns {
		if !slices.Contains(there, column) {
			return guest.Fail(guest.ErrInvalid, fmt.Sprintf("the table %s has no column %q: set table to the name of one that this engine has made", name, column))
		}
	}
	switch {
	case !unique:
		return guest.Fail(guest.ErrInvalid, fmt.Sprintf("the table %s has no primary key that is its column key: set table to the name of one that this engine has made", name))
	case missing != "":
		return guest.Fail(guest.ErrDenied, fmt.Sprintf("the role %q lacks rights: GRANT %s ON %s TO it", s.t.options.Client.User, missing, quoteName(name)))
	case s.t.options.Unlogged && persistence != "u":
		s.t.options.Log(guest.LevelWarn, fmt.Sprintf("unlogged=true, and the table %s was made without: ALTER TABLE %s SET UNLOGGED changes it", name, quoteName(name)))
	case !s.t.options.Unlogged && persistence == "u":
		s.t.options.Log(guest.LevelWarn, fmt.Sprintf("the table %s is unlogged: a crash of the server empties it; ALTER TABLE %s SET LOGGED changes it", name, quoteName(name)))
	}
	s.t.unlogged = persistence == "u"
	return nil
}
