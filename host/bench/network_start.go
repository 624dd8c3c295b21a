package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/waddle-sessions/waddle/host/engines/postgres"
	redisengine "github.com/waddle-sessions/waddle/host/engines/redis"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// networkStart is what starting an engine takes: nanoseconds from opening it to its first
// answer, medians.
type networkStart struct {
	Subject string  `json:"subject"`
	Packed  int64   `json:"packed"` // bytes of the module, as it is embedded
	Cold    float64 `json:"cold"`   // compiling included
	Cached  float64 `json:"cached"`
	Memory  int64   `json:"memory"` // bytes of one instance
}

// measureStart starts an engine several times with an empty directory for compiled code, and
// each time once more with what is in it then.
func measureStart(ctx context.Context, name string, s *servers, times int) (*networkStart, error) {
	open := func(c plugin.Config) (*plugin.Plugin, error) { return redisengine.Open(ctx, redisURL(s), c) }
	file := filepath.Join("..", "engines", "redis", "redis.wasm.gz")
	if name == namePostgresEngine {
		open = func(c plugin.Config) (*plugin.Plugin, error) { return postgres.Open(ctx, postgresURL(s), c) }
		file = filepath.Join("..", "engines", "postgres", "postgres.wasm.gz")
	}
	packed, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	start := &networkStart{Subject: name, Packed: packed.Size()}
	var cold, cached []float64
	for range times {
		dir, err := os.MkdirTemp("", "waddle-bench-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		for _, into := range []*[]float64{&cold, &cached} {
			took, memory, err := startOnce(ctx, dir, open)
			if err != nil {
				return nil, err
			}
			*into, start.Memory = append(*into, float64(took)), memory
		}
	}
	start.Cold, start.Cached = median(cold), median(cached)
	return start, nil
}

// startOnce opens an engine in a host of its own, as a program that begins does.
func startOnce(ctx context.Context, dir string, open func(plugin.Config) (*plugin.Plugin, error)) (took time.Duration, memory int64, err error) {
	host := plugin.NewHost(plugin.HostConfig{})
	defer host.Close(ctx)
	began := time.Now()
	p, err := open(plugin.Config{Host: host, CacheDir: dir})
	if err != nil {
		return 0, 0, err
	}
	defer p.Close(ctx)
	if _, err := p.Get(ctx, []byte("nobody"), store.At(time.Now())); err != nil && err != store.ErrNotFound {
		return 0, 0, err
	}
	took = time.Since(began)
	return took, p.Stats().Memory, nil
}
