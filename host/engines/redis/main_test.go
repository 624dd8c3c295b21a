package redis_test

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

var (
	ctx    = context.Background()
	silent = slog.New(slog.DiscardHandler)
)

func TestMain(m *testing.M) { os.Exit(backend.Main(m)) }

var prefixes atomic.Int64

func newPrefix() string { return "t" + strconv.FormatInt(prefixes.Add(1), 10) + ":" }
