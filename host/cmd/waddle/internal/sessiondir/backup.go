package sessiondir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/survey"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/archive"
	"github.com/waddle-sessions/waddle/host/store"
)

// Backup writes the sessions of a directory to w, while a server may use them. Every record in
// the backup was in the store at some moment while Backup ran. Records that were stored before
// it began and stayed are in it; those that were deleted before are not. Expired records are
// left out.
//
// For engine memory, all of this holds for the last snapshot: see [Layout.AsOf].
func Backup(ctx context.Context, l Layout, w io.Writer, program string, o Options) (archive.Manifest, archive.End, error) {
	m := archive.Manifest{Form: archive.Form, Version: archive.Version, Engine: l.Engine, Layout: l.Version, Shards: l.Shards,
		Program: program, Begun: o.Now.UTC(), AsOf: l.AsOf()}
	to, err := archive.NewWriter(w, m)
	if err != nil {
		return m, archive.End{}, err
	}
	now, lost := store.At(o.Now), 0
	_, err = l.Survey(ctx, -1, true, Seen{
		Part: o.Part,
		Record: func(_ int, r store.Record) error {
			if o.Read != nil {
				o.Read(1)
			}
			if r.Expires != 0 && r.Expires <= now {
				return nil
			}
			return to.Add(r)
		},
		Find: func(_ int, f survey.Finding) {
			if f.Severity == survey.Loss {
				lost++
			}
		},
	})
	if err != nil {
		return m, archive.End{}, err
	}
	end, err := to.Close(lost, time.Now().UTC())
	return m, end, err
}

// attempts is how often a backup begins again because of what the engine does meanwhile.
const attempts = 5

// BackupFile writes a backup to a file, which appears in one step when it is whole and on the
// disk. Only its owner may read it. If the file exists, BackupFile replaces it only if that is
// asked for, and else returns an error that is [os.ErrExist].
func BackupFile(ctx context.Context, l Layout, file string, replace bool, program string, o Options) (m archive.Manifest, end archive.End, err error) {
	if _, err := os.Lstat(file); err == nil && !replace {
		return m, end, fmt.Errorf("%s: %w", file, os.ErrExist)
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*.unfinished") // 0600
	if err != nil {
		return m, end, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	for try := 1; ; try++ {
		m, end, err = Backup(ctx, l, f, program, o)
		if !errors.Is(err, guest.ErrUnavailable) || try == attempts {
			break
		}
		if _, err = f.Seek(0, io.SeekStart); err == nil {
			err = f.Truncate(0)
		}
		if err != nil {
			return m, end, err
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return m, end, err
	}
	if !replace {
		// A link fails if somebody has made the file meanwhile.
		switch err = os.Link(f.Name(), file); {
		case err == nil:
			_ = os.Remove(f.Name())
			return m, end, syncDir(filepath.Dir(file))
		case errors.Is(err, os.ErrExist):
			return m, end, err
		}
	}
	if err = os.Rename(f.Name(), file); err != nil {
		return m, end, err
	}
	return m, end, syncDir(filepath.Dir(file))
}

// Verify reads a backup to its end, and returns what it says of itself.
func Verify(r io.Reader, o Options) (archive.Manifest, archive.End, error) {
	from, err := archive.NewReader(r)
	if err != nil {
		return archive.Manifest{}, archive.End{}, err
	}
	keys := make(map[[16]byte]struct{})
	end, err := from.Records(func(r store.Record) error {
		sum := keySum(r.Key)
		if _, twice := keys[sum]; twice {
			return fmt.Errorf("%w: record %d has a key that another has", archive.ErrDamaged, len(keys)+1)
		}
		keys[sum] = struct{}{}
		if o.Read != nil {
			o.Read(1)
		}
		return nil
	})
	return from.Manifest, end, err
}
