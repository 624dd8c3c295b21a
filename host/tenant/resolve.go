package tenant

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
)

// ErrMount is returned when a manifest asks for a directory that the host does not give.
var ErrMount = errors.New("tenant: the directory cannot be mounted")

// plan is a manifest with everything decided.
type plan struct {
	manifest Manifest
	limits   Limits // of the manifest and the host, the lower ones
	wasm     []byte
	sum      [sha256.Size]byte
	config   plugin.Config // without what is the same for all tenants
	settings session.Settings

	makes []string // directories of mounts that do not exist yet
}

// grounds are what manifests are resolved on: a host's part.
type grounds struct {
	dir         string // "" for none
	trustedKeys []ed25519.PublicKey
	keyring     func(ctx context.Context, tenant, ref string) (*session.Keyring, error) // nil for FileKeyring
	limits      Limits
	mountRoots  []string
	network     Network
}

// mountsDir is the directory beneath the host's that has a directory for each tenant with
// mounts.
const mountsDir = "mounts"

// resolve checks a manifest, reads everything that it refers to, and decides what it means.
// It changes nothing, on disk or elsewhere. It returns [ErrManifest] for whatever the
// author of the manifest can mend.
func (g grounds) resolve(ctx context.Context, m Manifest) (plan, error) {
	if err := m.Check(); err != nil {
		return plan{}, err
	}
	p := plan{manifest: m, limits: m.Limits.under(g.limits.withDefaults())}
	f := newFaults()
	g.resolvePlugin(&p, f)
	p.config.Name = m.Name
	p.config.GuestConfig = m.Config
	p.config.Shards = 1
	p.limits.apply(&p.config)
	g.resolveMounts(&p, f)
	g.resolveNetwork(&p, f)
	g.resolveSession(ctx, &p, f)
	if err := ctx.Err(); err != nil {
		return plan{}, err
	}
	return p, f.err()
}

func (g grounds) resolvePlugin(p *plan, f *faults) {
	source := &p.manifest.Plugin
	at := "$.plugin.file"
	switch {
	case source.Bundled != "":
		at = "$.plugin.bundled"
	case source.File == "":
		at = "$.plugin.bytes"
	}
	var root *os.Root
	if source.File != "" && g.dir != "" {
		var err error
		if root, err = os.OpenRoot(g.dir); err != nil {
			f.addCause(errors.Join(ErrSource, err), at, "cannot be read: the host's directory: %v", err)
			return
		}
		defer root.Close()
	}
	wasm, err := source.read(root, int64(p.limits.Module))
	if err != nil {
		f.addCause(err, at, "cannot be used: %s", detail(err, ErrSource))
		return
	}
	p.wasm, p.sum = wasm, sha256.Sum256(wasm)
	sum := hex.EncodeToString(p.sum[:])
	if source.SHA256 != "" && source.SHA256 != sum {
		f.addCause(ErrDigest, "$.plugin.sha256", "is %s, and the plugin that was read has %s: must be the same; "+
			"if the plugin is the right one, `waddle manifest sum` writes its digest", source.SHA256, sum)
		return
	}
	if source.Bundled == "" && len(g.trustedKeys) > 0 {
		switch {
		case source.Signature == "":
			f.addCause(ErrSignature, "$.plugin.signature", "is missing: this host runs what a trusted key has signed; `waddle manifest sign` does that")
		case !verify(g.trustedKeys, sum, source.Signature):
			f.addCause(ErrSignature, "$.plugin.signature", "is of none of the %d trusted keys, or of another plugin: `waddle manifest sign` makes a new one", len(g.trustedKeys))
		}
	}
	if source.keepsFiles() && !p.manifest.Persist && !writable(p.manifest.Mounts) {
		f.add("$.plugin.bundled", "is %q, which keeps files, and it has no directory: set persist to true, or give it a mount", source.Bundled)
	}
}

func writable(mounts []Mount) bool {
	for _, m := range mounts {
		if !m.ReadOnly {
			return true
		}
	}
	return false
}

func (g grounds) resolveMounts(p *plan, f *faults) {
	var bytes, files []int64 // of those that are not read-only
	for _, m := range p.manifest.Mounts {
		if !m.ReadOnly {
			bytes, files = append(bytes, int64(m.Bytes)), append(files, int64(m.Files))
		}
	}
	bytes, files = shares(int64(p.limits.FileBytes), bytes), shares(int64(p.limits.Files), files)
	for i, m := range p.manifest.Mounts {
		at := item("$.mounts", i)
		dir, err := g.mountDir(p, m.Dir)
		if err != nil {
			f.addCause(errors.Join(ErrMount, err), at+".dir", "is %s: %v", quote(m.Dir), err)
			continue
		}
		mount := plugin.Mount{Dir: dir, Path: m.Path, ReadOnly: m.ReadOnly}
		if !m.ReadOnly {
			mount.MaxBytes, mount.MaxFiles = bytes[0], files[0]
			bytes, files = bytes[1:], files[1:]
			if mount.MaxBytes == 0 || mount.MaxFiles == 0 {
				f.add(at, "gets no room: the other mounts have all %v and %d files that limits.file_bytes and limits.files allow; give them less",
					p.limits.FileBytes, p.limits.Files)
			}
		}
		p.config.Mounts = append(p.config.Mounts, mount)
	}
}

// mountDir returns the directory of a mount. A relative one is beneath the tenant's own,
// so that no tenant can be given another's, or the keys.
func (g grounds) mountDir(p *plan, dir string) (string, error) {
	if path.IsAbs(dir) {
		return g.absoluteDir(dir)
	}
	if g.dir == "" {
		return "", errors.New("the host has no directory for files")
	}
	root, err := os.OpenRoot(g.dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	name := path.Join(mountsDir, p.manifest.Name, dir)
	full := filepath.Join(g.dir, filepath.FromSlash(name))
	info, err := root.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		p.makes = append(p.makes, full)
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", fmt.Errorf("%s is a file: must be a directory", full)
	}
	return full, nil
}

// absoluteDir returns a directory without links, if it lies beneath one that the host
// allows.
func (g grounds) absoluteDir(dir string) (string, error) {
	if len(g.mountRoots) == 0 {
		return "", errors.New("it is absolute, and this host allows no directory outside its own: must be relative, such as \"files\"")
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	for _, allowed := range g.mountRoots {
		if allowed, err = filepath.EvalSymlinks(allowed); err != nil {
			continue
		}
		if within(filepath.ToSlash(real), filepath.ToSlash(allowed)) {
			info, err := os.Stat(real)
			if err == nil && !info.IsDir() {
				err = errors.New("it is a file: must be a directory")
			}
			return real, err
		}
	}
	return "", fmt.Errorf("it is not beneath a directory that this host allows: must be beneath %s", strings.Join(g.mountRoots, " or "))
}

// makeDirs makes the directories of mounts that do not exist yet, private to the user.
func (p *plan) makeDirs() error {
	for _, dir := range p.makes {
		if err := plugin.MakeDir(dir); err != nil {
			return fmt.Errorf("%w: %w", ErrMount, err)
		}
	}
	return nil
}

func (g grounds) resolveSession(ctx context.Context, p *plan, f *faults) {
	sealed := p.manifest.Keyring != ""
	var err error
	if p.settings, err = sessionFromEnv(p.manifest.Session, sealed); err != nil {
		f.addCause(err, "$.session", "has settings that are wrong: %v", err)
	}
	if !sealed {
		return
	}
	get := g.keyring
	if get == nil {
		get = FileKeyring(g.dir)
	}
	keyring, err := get(ctx, p.manifest.Name, p.manifest.Keyring)
	switch {
	case err != nil:
		f.addCause(errors.Join(ErrKeyring, err), keyringPath, "cannot be used: %s", detail(err, ErrKeyring))
	case keyring == nil:
		f.addCause(ErrKeyring, keyringPath, "leads to no secrets, and sessions would not be sealed: HostConfig.Keyring must return a keyring or an error")
	}
	p.settings.Keyring = keyring
}

// detail returns what an error says beyond its kind.
func detail(err, kind error) string { return strings.TrimPrefix(err.Error(), kind.Error()+": ") }
