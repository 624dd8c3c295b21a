package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
)

var engines = map[string]func(ctx context.Context, dir string, cfg plugin.Config) (*plugin.Plugin, error){
	keyfolder.Name: keyfolder.Open,
	dynfile.Name:   dynfile.Open,
}

// Variables that turn a process of the test binary into the server to be killed.
const (
	engineVariable     = "WADDLE_CRASH_ENGINE"
	dirVariable        = "WADDLE_CRASH_DIR"
	durabilityVariable = "WADDLE_CRASH_DURABILITY"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(engineVariable); name != "" {
		fmt.Fprintln(os.Stderr, serve(name))
		os.Exit(1)
	}
	if os.Getenv(serverVariable) != "" {
		fmt.Fprintln(os.Stderr, serveStorage())
		os.Exit(1)
	}
	if text := os.Getenv(siteVariable); text != "" {
		if err := serveSite(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(run(m))
}

// run keeps an engine of each kind open during the tests, so that its code need not
// be loaded again for the next.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	for name, open := range engines {
		kept, err := open(ctx, filepath.Join(dir, name), quiet())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer kept.Close(ctx)
	}
	return m.Run()
}

// The content of a session: how often it was bumped, its owner, and a text derived
// from both, so that a mixed record is detected.
var (
	count = session.NewKey[int]("count")
	owner = session.NewKey[string]("owner")
	text  = session.NewKey[string]("text")
)

func textOf(owner string, n int) string {
	return strings.Repeat(fmt.Sprintf("%s/%d ", owner, n), 20+n%50)
}

// serve runs until killed. The first line of its output is its address.
func serve(name string) error {
	ctx := context.Background()
	durability, err := plugin.ParseDurability(os.Getenv(durabilityVariable))
	if err != nil {
		return err
	}
	engine, err := engines[name](ctx, os.Getenv(dirVariable), plugin.Config{
		Shards: 2, MemoryLimit: 128 << 20, Durability: durability,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	settings := session.Defaults()
	sessions, err := session.New(engine, settings)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /bump", func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		who := r.FormValue("owner")
		n, err := count.Get(s)
		if err == nil {
			err = owner.Set(s, who)
		}
		if err == nil {
			err = text.Set(s, textOf(who, n+1))
		}
		if err == nil {
			n, err = count.Update(s, func(n int) (int, error) { return n + 1, nil })
		}
		if err != nil {
			sessions.WriteError(w, r, err)
			return
		}
		fmt.Fprint(w, n)
	})
	mux.HandleFunc("POST /end", func(w http.ResponseWriter, r *http.Request) {
		if err := session.From(r).Destroy(); err != nil {
			sessions.WriteError(w, r, err)
		}
	})
	mux.HandleFunc("GET /show", func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		n, err1 := count.Get(s)
		who, err2 := owner.Get(s)
		what, err3 := text.Get(s)
		if err1 != nil || err2 != nil || err3 != nil {
			http.Error(w, fmt.Sprint(err1, err2, err3), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%d\n%s\n%s", n, who, what)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return http.Serve(listener, sessions.Handler(mux))
}
