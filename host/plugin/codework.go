package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
)

// codeWork is a place in the directory of a module where one process compiles it, which others
// do not look at.
type codeWork struct {
	dir   *codeDir
	path  string
	cache wazero.CompilationCache // of the whole module
}

func (d *codeDir) work() (*codeWork, error) {
	path, err := os.MkdirTemp(d.path, "code-*"+partial)
	if err != nil {
		return nil, err
	}
	w := &codeWork{dir: d, path: path}
	if w.cache, err = wazero.NewCompilationCacheWithDir(w.of("whole")); err != nil {
		w.remove()
		return nil, err
	}
	return w, nil
}

func (w *codeWork) of(name string) string { return filepath.Join(w.path, name) }

func (w *codeWork) remove() { _ = os.RemoveAll(w.path) }

// keep puts the code of wasm, which was compiled with the cache, where the next start finds it.
func (w *codeWork) keep(c *code, b *checked, wasm []byte, report *rewrite.Report) error {
	if err := w.tryLending(); err != nil {
		return err
	}
	thin, err := withoutBodies(wasm, c.key.debug)
	if err != nil {
		return err
	}
	k := kept{Outline: b.outline, Report: *report, thin: thin}
	content, err := k.append(nil)
	if err != nil {
		return err
	}
	name, err := w.name(c.hooked(context.Background(), report), thin, c.config)
	if err != nil {
		return err
	}
	from, err := w.lends(name)
	if err != nil {
		return err
	}
	if err := w.dir.write(w.of(keptName), content); err != nil {
		return err
	}
	return w.dir.add(map[string]string{name: from, keptName: w.of(keptName)})
}

// name finds out under what name wazero looks for the code of a module. It compiles the module, which
// should be small.
func (w *codeWork) name(ctx context.Context, wasm []byte, config func(wazero.CompilationCache) wazero.RuntimeConfig) (string, error) {
	cache, err := wazero.NewCompilationCacheWithDir(w.of("thin"))
	if err != nil {
		return "", err
	}
	defer cache.Close(ctx)
	if err := guarded(func() error {
		r := wazero.NewRuntimeWithConfig(ctx, config(cache))
		defer r.Close(ctx)
		_, err := r.CompileModule(ctx, wasm)
		return err
	}); err != nil {
		return "", err
	}
	return onlyFile(w.of("thin"))
}

// lends returns the file with the code of the whole module, which is to have the name for which wazero looks
// for that of another one.
func (w *codeWork) lends(name string) (string, error) {
	from, err := onlyFile(w.of("whole"))
	if err != nil {
		return "", err
	}
	if filepath.Dir(from) != filepath.Dir(name) {
		return "", fmt.Errorf("wazero keeps code in %s and looks for it in %s", filepath.Dir(from), filepath.Dir(name))
	}
	return filepath.Join(w.of("whole"), from), nil
}

// onlyFile returns the path of the only file beneath a directory, from there.
func onlyFile(dir string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("wazero has made %d files in %s: must be 1", len(found), dir)
	}
	return filepath.Rel(dir, found[0])
}

// errNoCode is that there is no code of a module in a cache.
var errNoCode = errors.New("there is no code of the module for this version of wazero and this processor")

// onlyFound gives a context with which CompileModule finds code in a cache, and does not compile: it looks
// into the cache before it looks at the context, and its workers, but not a single one, heed the context.
// Then it fails with errNoCode.
func onlyFound(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(experimental.WithCompilationWorkers(ctx, 2))
	cancel(errNoCode)
	return ctx
}
