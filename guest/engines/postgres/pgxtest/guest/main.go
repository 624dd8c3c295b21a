// This guest keeps sessions by an ordinary driver, pgx with its pool: several connections,
// a goroutine for each operation of a batch, and goroutines in the background that look
// after the connections. Its tests show that such a driver runs in the sandbox.
//
// The engine beside it, which is the one to use, shows what else there is to think of:
// connections that are lost, poolers, other hosts, migrations.
package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/network"
)

func init() {
	guest.Register(new(engine), guest.Info{Name: "pgx", CAS: true, Remote: true, MaxValue: 1 << 20})
}

func main() {}

type engine struct {
	pool  *pgxpool.Pool
	table string
}

var (
	_ guest.Toucher = (*engine)(nil)
	_ guest.Batcher = (*engine)(nil)
)

const timeout = 5 * time.Second

func (e *engine) Open(config *guest.Config) error {
	pool, err := pgxpool.ParseConfig(config.String("url", ""))
	if err != nil {
		return guest.Fail(guest.ErrInvalid, "the setting url is not one of a server")
	}
	e.table = pgx.Identifier{config.String("table", "pgx_sessions")}.Sanitize()
	pool.ConnConfig.DialFunc = new(network.Dialer).DialContext
	pool.ConnConfig.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	pool.MaxConns = 4
	pool.MaxConnIdleTime = time.Duration(config.Duration("max_idle", 60_000)) * time.Millisecond
	pool.HealthCheckPeriod = pool.MaxConnIdleTime / 2
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if e.pool, err = pgxpool.NewWithConfig(ctx, pool); err != nil {
		return answer(err)
	}
	_, err = e.pool.Exec(ctx, "CREATE TABLE IF NOT EXISTS "+e.table+" (key bytea PRIMARY KEY, rev int8 NOT NULL, expires int8 NOT NULL, value bytea NOT NULL)")
	return answer(err)
}

func (e *engine) Get(key []byte, now int64) (value []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	err = e.pool.QueryRow(ctx, "SELECT value FROM "+e.table+" WHERE key = $1 AND (expires = 0 OR expires > $2)", key, now).Scan(&value)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, guest.ErrNotFound
	}
	return value, answer(err)
}

func (e *engine) Set(w guest.Write) error {
	const (
		upsert = ` AS s (key, rev, expires, value) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO UPDATE SET rev = EXCLUDED.rev, expires = EXCLUDED.expires, value = EXCLUDED.value`
		live   = ` AND (expires = 0 OR expires > $2)`
	)
	rev, expect := int64(abi.Revision(w.Value)), w.Expect
	switch gone := w.Expired(); {
	case expect == abi.ExpectAny && gone:
		return e.Delete(w.Key, w.Now)
	case expect == abi.ExpectAbsent && gone:
		if _, err := e.Get(w.Key, w.Now); !errors.Is(err, guest.ErrNotFound) {
			return cmpConflict(err)
		}
		return nil
	case gone:
		return e.one("DELETE FROM "+e.table+" WHERE key = $1 AND rev = $3"+live, guest.ErrConflict, w.Key, w.Now, expect)
	case expect == abi.ExpectAny:
		return e.one("INSERT INTO "+e.table+upsert, guest.ErrInternal, w.Key, rev, w.Expires, w.Value)
	case expect == abi.ExpectAbsent:
		return e.one("INSERT INTO "+e.table+upsert+" WHERE s.expires <> 0 AND s.expires <= $5", guest.ErrConflict, w.Key, rev, w.Expires, w.Value, w.Now)
	}
	return e.one("UPDATE "+e.table+" SET rev = $3, expires = $4, value = $5 WHERE key = $1 AND rev = $6"+live,
		guest.ErrConflict, w.Key, w.Now, rev, w.Expires, w.Value, expect)
}

func cmpConflict(err error) error {
	if err == nil {
		return guest.ErrConflict
	}
	return err
}

func (e *engine) Touch(key []byte, expires, now int64) error {
	if guest.Expired(expires, now) {
		return e.one("DELETE FROM "+e.table+" WHERE key = $1 AND (expires = 0 OR expires > $2)", guest.ErrNotFound, key, now)
	}
	return e.one("UPDATE "+e.table+" SET expires = $3 WHERE key = $1 AND (expires = 0 OR expires > $2)", guest.ErrNotFound, key, now, expires)
}

func (e *engine) Delete(key []byte, _ int64) error {
	return e.one("DELETE FROM "+e.table+" WHERE key = $1", nil, key)
}

func (e *engine) Clear(int64) error { return e.one("DELETE FROM "+e.table, nil) }
func (e *engine) Save(int64) error  { return nil }

// Batch does every operation in a goroutine of its own. Those of one key are rare, and are
// left to the host.
func (e *engine) Batch(batch *guest.Batch) error {
	values, errs := make([][]byte, batch.Len()), make([]error, batch.Len())
	keys := make(map[string]bool)
	var wg sync.WaitGroup
	for i := range batch.Len() {
		o := batch.Op(i)
		if keys[string(o.Key)] {
			errs[i] = guest.ErrUnsupported
			continue
		}
		keys[string(o.Key)] = true
		wg.Go(func() {
			switch o.Kind {
			case guest.BatchGet:
				values[i], errs[i] = e.Get(o.Key, o.Now)
			case guest.BatchSet:
				errs[i] = e.Set(o.Write)
			case guest.BatchDelete:
				errs[i] = e.Delete(o.Key, o.Now)
			case guest.BatchTouch:
				errs[i] = e.Touch(o.Key, o.Expires, o.Now)
			}
		})
	}
	wg.Wait()
	for i := range values {
		batch.Answer(values[i], errs[i])
	}
	return nil
}

// one runs a statement. If it concerns no record, the answer is none.
func (e *engine) one(sql string, none error, values ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	tag, err := e.pool.Exec(ctx, sql, values...)
	if err == nil && tag.RowsAffected() == 0 {
		return none
	}
	return answer(err)
}

func answer(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return guest.Fail(guest.ErrInternal, e.Code+" "+e.Message)
	}
	return guest.Fail(guest.ErrUnavailable, err.Error())
}
