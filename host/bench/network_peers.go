package main

import (
	"context"

	"github.com/alexedwards/scs/goredisstore"
	"github.com/alexedwards/scs/pgxstore"
	"github.com/alexedwards/scs/v2"
	fiberredis "github.com/gofiber/storage/redis/v3"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/waddle-sessions/waddle/host/engines/postgres"
	redisengine "github.com/waddle-sessions/waddle/host/engines/redis"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

func openRedisEngine(ctx context.Context, s *servers, f *faults) (server, error) {
	p, err := redisengine.Open(ctx, redisURL(s), plugin.Config{})
	if err != nil {
		return nil, err
	}
	return waddleServer(ctx, p, f)
}

func openRedisNative(ctx context.Context, s *servers, f *faults) (server, error) {
	return waddleServer(ctx, &redisStore{redis.NewClient(&redis.Options{Addr: s.redis.Addr()})}, f)
}

func openSCSRedis(_ context.Context, s *servers, f *faults) (server, error) {
	client := redis.NewClient(&redis.Options{Addr: s.redis.Addr()})
	m := scs.New()
	m.Store = goredisstore.New(client)
	app := scsServer(m, f)
	app.end = client.Close
	return app, nil
}

func openFiberRedis(_ context.Context, s *servers, f *faults) (server, error) {
	return fiberServerOver(fiberredis.New(fiberredis.Config{Host: "127.0.0.1", Port: portOf(s.redis.Addr())}), f), nil
}

func openPostgresEngine(ctx context.Context, s *servers, f *faults) (server, error) {
	p, err := postgres.Open(ctx, postgresURL(s), plugin.Config{})
	if err != nil {
		return nil, err
	}
	return waddleServer(ctx, p, f)
}

func openPostgresNative(ctx context.Context, s *servers, f *faults) (server, error) {
	pool, err := postgresPool(ctx, s, postgresTable)
	if err != nil {
		return nil, err
	}
	return waddleServer(ctx, &postgresStore{pool}, f)
}

func openSCSPostgres(ctx context.Context, s *servers, f *faults) (server, error) {
	pool, err := postgresPool(ctx, s, `CREATE TABLE IF NOT EXISTS sessions (token text PRIMARY KEY, data bytea NOT NULL, expiry timestamptz NOT NULL);
		CREATE INDEX IF NOT EXISTS sessions_expiry_idx ON sessions (expiry)`)
	if err != nil {
		return nil, err
	}
	m := scs.New()
	st := pgxstore.New(pool)
	m.Store = st
	app := scsServer(m, f)
	app.end = func() error { st.StopCleanup(); pool.Close(); return nil }
	return app, nil
}

// postgresPool connects with the driver's defaults and makes a table.
func postgresPool(ctx context.Context, s *servers, table string) (*pgxpool.Pool, error) {
	pool, err := pgxpool.New(ctx, postgresURL(s))
	if err != nil {
		return nil, err
	}
	if _, err := pool.Exec(ctx, table); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

func redisURL(s *servers) string { return "redis://" + s.redis.Addr() }

func postgresURL(s *servers) string {
	return "postgres://" + backend.PostgresUser + "@" + s.postgres.Addr() + "/" + backend.PostgresDatabase + "?sslmode=disable"
}
