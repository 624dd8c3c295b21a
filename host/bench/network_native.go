package main

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// Stores of ours over the drivers that most programs use, in the host and not in a guest.

// redisStore keeps records in Redis: the expiry in eight bytes, then the value. The
// server's own expiry only clears away.
type redisStore struct{ client *redis.Client }

const redisPrefix = "native:"

// longest is how many milliseconds the server is told to keep a record; what lives longer is
// not cleared away by it.
const longest = 100 * 365 * 24 * 3600 * 1000

// writeIf stores or removes a record if its revision is as expected. Arguments: now, the
// expected revision or "" for none, milliseconds to live or 0, and the record or "".
var writeIf = redis.NewScript(`
local old = redis.call('GETRANGE', KEYS[1], 0, 15)
local live = false
if #old >= 8 then local e = struct.unpack('<i8', old); live = e == 0 or tonumber(ARGV[1]) < e end
if ARGV[2] == '' then
  if live then return 0 end
elseif not live or string.sub(string.sub(old, 9) .. string.rep('\0', 8), 1, 8) ~= ARGV[2] then
  return 0
end
if ARGV[4] == '' then redis.call('DEL', KEYS[1])
elseif ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[4])
else redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[3]) end
return 1`)

func (s *redisStore) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	if err := store.CheckKey(key); err != nil {
		return nil, err
	}
	record, err := s.client.Get(ctx, redisPrefix+string(key)).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, store.ErrNotFound
	case err != nil:
		return nil, err
	case len(record) < 8:
		return nil, store.ErrCorrupt
	}
	if expires := store.Millis(binary.LittleEndian.Uint64(record)); expires != 0 && now >= expires {
		return nil, store.ErrNotFound
	}
	return record[8:], nil
}

func (s *redisStore) Set(ctx context.Context, w store.Write) error {
	if err := store.CheckWrite(w); err != nil {
		return err
	}
	key := redisPrefix + string(w.Key)
	record := append(binary.LittleEndian.AppendUint64(make([]byte, 0, 8+len(w.Value)), uint64(w.Expires)), w.Value...)
	live := time.Duration(0) // for ever
	switch {
	case w.Expires != 0 && w.Expires <= w.Now:
		record = nil
	case w.Expires != 0 && w.Expires-w.Now > 0 && w.Expires-w.Now < longest:
		live = time.Duration(w.Expires-w.Now)*time.Millisecond + time.Minute // the record says when it expires
	}
	if w.Expect == store.Any {
		if record == nil {
			return s.client.Del(ctx, key).Err()
		}
		return s.client.Set(ctx, key, record, live).Err()
	}
	expect := ""
	if w.Expect != store.Absent {
		expect = string(binary.LittleEndian.AppendUint64(nil, uint64(w.Expect)))
	}
	done, err := writeIf.Run(ctx, s.client, []string{key}, int64(w.Now), expect, max(live.Milliseconds(), 0), record).Int()
	if err == nil && done == 0 {
		return store.ErrConflict
	}
	return err
}

func (s *redisStore) Delete(ctx context.Context, key []byte, _ store.Millis) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	return s.client.Del(ctx, redisPrefix+string(key)).Err()
}

func (s *redisStore) Close(context.Context) error { return s.client.Close() }

// postgresStore keeps records in a table of PostgreSQL.
type postgresStore struct{ pool *pgxpool.Pool }

const postgresTable = `CREATE TABLE IF NOT EXISTS native_sessions (key bytea PRIMARY KEY, rev bigint NOT NULL,
	expires bigint NOT NULL, value bytea NOT NULL) WITH (fillfactor = 80)`

func (s *postgresStore) Get(ctx context.Context, key []byte, now store.Millis) (value []byte, err error) {
	if err := store.CheckKey(key); err != nil {
		return nil, err
	}
	err = s.pool.QueryRow(ctx, `SELECT value FROM native_sessions WHERE key = $1 AND (expires = 0 OR expires > $2)`, key, int64(now)).Scan(&value)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, store.ErrNotFound
	case err != nil:
		return nil, err
	}
	return value, nil
}

func (s *postgresStore) Set(ctx context.Context, w store.Write) error {
	if err := store.CheckWrite(w); err != nil {
		return err
	}
	if w.Value == nil {
		w.Value = []byte{} // nil is NULL
	}
	revision, expires, now := int64(abi.Revision(w.Value)), int64(w.Expires), int64(w.Now)
	const live = `(expires = 0 OR expires > $2)`
	var err error
	var changed int64
	exec := func(statement string, args ...any) {
		tag, failed := s.pool.Exec(ctx, statement, args...)
		changed, err = tag.RowsAffected(), failed
	}
	gone := expires != 0 && expires <= now
	switch {
	case gone && w.Expect == store.Any:
		return s.Delete(ctx, w.Key, w.Now)
	case gone && w.Expect == store.Absent:
		if _, err := s.Get(ctx, w.Key, w.Now); !errors.Is(err, store.ErrNotFound) {
			return errors.Join(err, store.ErrConflict)
		}
		return nil
	case gone:
		exec(`DELETE FROM native_sessions WHERE key = $1 AND rev = $3 AND `+live, w.Key, now, w.Expect)
	case w.Expect == store.Any:
		exec(`INSERT INTO native_sessions VALUES ($1, $2, $3, $4)
			ON CONFLICT (key) DO UPDATE SET rev = $2, expires = $3, value = $4`, w.Key, revision, expires, w.Value)
	case w.Expect == store.Absent:
		exec(`INSERT INTO native_sessions AS s VALUES ($1, $3, $4, $5)
			ON CONFLICT (key) DO UPDATE SET rev = $3, expires = $4, value = $5 WHERE s.expires <> 0 AND s.expires <= $2`,
			w.Key, now, revision, expires, w.Value)
	default:
		exec(`UPDATE native_sessions SET rev = $4, expires = $5, value = $6 WHERE key = $1 AND rev = $3 AND `+live,
			w.Key, now, w.Expect, revision, expires, w.Value)
	}
	if err == nil && changed == 0 {
		return store.ErrConflict
	}
	return err
}

func (s *postgresStore) Delete(ctx context.Context, key []byte, _ store.Millis) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	_, err := s.pool.Exec(ctx, `DELETE FROM native_sessions WHERE key = $1`, key)
	return err
}

func (s *postgresStore) Close(context.Context) error { s.pool.Close(); return nil }
