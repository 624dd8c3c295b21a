package table

import (
	"strings"

	"github.com/waddle-sessions/waddle/guest/engines/postgres/client"
)

// statements are those of one table.
type statements struct {
	get, put, create, replace, remove, removeIf, live, touch, touchAway client.Statement
	sweep, firstKeys, removeRange, keys, records                        client.Statement
}

// The statements that need no table. Settings that are set so last until the end of the
// transaction, which is what a pooler can do.
var (
	setLocal = client.Statement{
		SQL:   `SELECT set_config('synchronous_commit', CASE $1 WHEN '' THEN current_setting('synchronous_commit') ELSE $1 END, true), set_config('statement_timeout', $2, true)`,
		Types: []client.Type{client.Text, client.Text},
	}
	// A commit is flushed only if its transaction has written something to the log.
	emit = client.Statement{SQL: `SELECT pg_logical_emit_message(true, 'waddle', '')::text`}
)

// newStatements writes the statements for a table whose name is quoted. What they have in
// common: "live" is a record that has not expired, and each decides and writes in one step.
func newStatements(table string) *statements {
	const (
		key, number = client.Bytea, client.Int8
		columns     = `(key, rev, nonce, expires, sweep_at, value)`
		excluded    = `SET rev = EXCLUDED.rev, nonce = EXCLUDED.nonce, expires = EXCLUDED.expires, sweep_at = EXCLUDED.sweep_at, value = EXCLUDED.value`
	)
	statement := func(name, sql string, types ...client.Type) client.Statement {
		return client.Statement{Name: name, SQL: strings.ReplaceAll(sql, "{table}", table), Types: types}
	}
	record := []client.Type{key, number, number, number, number, client.Bytea}
	return &statements{
		get: statement("waddle_get",
			`SELECT value FROM {table} WHERE key = $1 AND (expires = 0 OR expires > $2)`, key, number),
		put: statement("waddle_put",
			`INSERT INTO {table} `+columns+` VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (key) DO UPDATE `+excluded, record...),
		// The nonce is that of a write that was sent before and may have been made.
		create: statement("waddle_create",
			`INSERT INTO {table} AS s `+columns+` VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (key) DO UPDATE `+excluded+
				` WHERE s.expires <> 0 AND s.expires <= $7 OR s.nonce = $3`, append(record, number)...),
		replace: statement("waddle_replace",
			`UPDATE {table} SET rev = $2, nonce = $3, expires = $4, sweep_at = $5, value = $6
WHERE key = $1 AND (rev = $8 AND (expires = 0 OR expires > $7) OR nonce = $3)`, append(record, number, number)...),
		remove: statement("waddle_remove",
			`DELETE FROM {table} WHERE key = $1`, key),
		removeIf: statement("waddle_remove_if",
			`DELETE FROM {table} WHERE key = $1 AND rev = $3 AND (expires = 0 OR expires > $2)`, key, number, number),
		live: statement("",
			`SELECT FROM {table} WHERE key = $1 AND (expires = 0 OR expires > $2)`, key, number),
		touch: statement("waddle_touch",
			`UPDATE {table} SET expires = $3, sweep_at = $4 WHERE key = $1 AND (expires = 0 OR expires > $2)`, key, number, number, number),
		touchAway: statement("",
			`DELETE FROM {table} WHERE key = $1 AND (expires = 0 OR expires > $2)`, key, number),
		// An array is made once, where a subquery might be run for each row.
		sweep: statement("waddle_sweep",
			`DELETE FROM {table} WHERE key = ANY (ARRAY(
SELECT key FROM {table} WHERE sweep_at <> 0 AND sweep_at <= $1 ORDER BY sweep_at LIMIT $2 FOR UPDATE SKIP LOCKED))
AND expires <> 0 AND expires <= $1`, number, number),
		firstKeys: statement("",
			`SELECT key FROM {table} WHERE key > $1 ORDER BY key LIMIT $2`, key, number),
		removeRange: statement("",
			`DELETE FROM {table} WHERE key >= $1 AND key <= $2`, key, key),
		keys: statement("",
			`SELECT key FROM {table} WHERE key >= $1 AND (expires = 0 OR expires > $2) ORDER BY key LIMIT $3`, key, number, number),
		// A value is left out if it and those before it are more than $4 bytes together,
		// unless it is the first.
		records: statement("",
			`SELECT key, expires, CASE WHEN n = 1 OR total <= $4 THEN value END FROM (
SELECT key, expires, value, size, row_number() OVER w AS n, sum(size) OVER w AS total FROM (
SELECT key, expires, value, octet_length(key)::int8 + octet_length(value) + 16 AS size
FROM {table} WHERE key >= $1 AND (expires = 0 OR expires > $2) ORDER BY key LIMIT $3) AS page
WINDOW w AS (ORDER BY key ROWS UNBOUNDED PRECEDING)) AS counted
WHERE n <= 2 OR total - size <= $4 ORDER BY key`, key, number, number, number),
	}
}

// quoteName quotes the name of a table, with its schema or without.
func quoteName(name string) string {
	return `"` + strings.ReplaceAll(name, ".", `"."`) + `"`
}

// quoteText quotes a string.
func quoteText(s string) string { return `'` + strings.ReplaceAll(s, `'`, `''`) + `'` }
