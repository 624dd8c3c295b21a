package hosting

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/waddle-sessions/waddle/host/tenant"
)

// ErrConflict is returned for a change that another manifest stands in the way of.
var ErrConflict = errors.New("another manifest stands in the way")

// errKeeping is returned if a manifest cannot be written.
var errKeeping = errors.New("the directory of manifests cannot be written")

// Put deploys a manifest, and keeps it in the file from which its tenant came, or else in
// one that is called like the tenant. If it cannot be deployed, the file stays as it was.
func (d *Directory) Put(ctx context.Context, m tenant.Manifest, content []byte) error {
	d.mu.Lock()
	f := d.names[m.Name]
	if f == nil {
		f = d.files[m.Name+".json"]
	}
	if f != nil && f.want != nil && f.want.Name != m.Name {
		d.mu.Unlock()
		return fmt.Errorf("%w: %s is the manifest of tenant %q", ErrConflict, f.name, f.want.Name)
	}
	if f == nil {
		f = &file{name: m.Name + ".json"}
		d.files[f.name] = f
	}
	defer d.mu.Unlock()
	if err := d.await(ctx, f); err != nil {
		return err
	}
	if err := d.claim(f, &m); err != nil {
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	d.work(f)
	defer d.running.Done()
	defer d.rest(f)
	d.mu.Unlock()
	err := d.put(ctx, f.name, m, content)
	d.mu.Lock()
	if err != nil {
		d.settle(f)
		if f.want == nil && f.serves == "" {
			delete(d.files, f.name)
		}
		return err
	}
	f.want, f.serves, f.sum, f.seen, f.gone = &m, m.Name, sumOf(content), identity{}, 0
	f.due, f.failed, f.problem = false, 0, ""
	d.settle(f)
	return nil
}

// put deploys a manifest between the two halves of writing its file, so that it is not
// deployed if there is no room for it.
func (d *Directory) put(ctx context.Context, name string, m tenant.Manifest, content []byte) error {
	temporary, err := writeTemporary(d.path, name, content)
	if err != nil {
		return fmt.Errorf("%w, so the manifest was not deployed: %w", errKeeping, err)
	}
	defer os.Remove(temporary)
	if err := d.turn(ctx); err != nil {
		return err
	}
	_, err = d.to.Deploy(ctx, m)
	<-d.slots
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, filepath.Join(d.path, name)); err != nil {
		return fmt.Errorf("%w, so that the deploy will be undone: %w", errKeeping, err)
	}
	return syncDirectory(d.path)
}

// Delete removes a tenant and its manifest's file.
func (d *Directory) Delete(ctx context.Context, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.names[name]
	if f == nil {
		return fmt.Errorf("%w: %q", tenant.ErrUnknown, name)
	}
	if err := d.await(ctx, f); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(d.path, f.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errKeeping, err)
	}
	f.want, f.due, f.sum, f.seen, f.gone, f.retry = nil, true, [32]byte{}, identity{}, 2, d.now()
	d.begin(context.WithoutCancel(ctx), f)
	if err := d.await(ctx, f); err != nil {
		return err
	}
	return f.outcome
}

// await waits until nobody works on a file. The lock is held before and after, and is not
// meanwhile.
func (d *Directory) await(ctx context.Context, f *file) error {
	for f.busy {
		done := f.done
		d.mu.Unlock()
		var err error
		select {
		case <-done:
		case <-ctx.Done():
			err = ctx.Err()
		}
		d.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

// temporaryPrefix begins the names of files that are not whole yet. A directory's
// manifests do not begin with a dot.
const temporaryPrefix = ".waddle-new-"

func writeTemporary(dir, name string, content []byte) (path string, err error) {
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(dir, temporaryPrefix+"*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// removeTemporary removes what a process that was killed has left.
func removeTemporary(dir string) {
	left, _ := os.ReadDir(dir)
	for _, e := range left {
		if strings.HasPrefix(e.Name(), temporaryPrefix) {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
