package migration_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/migration"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

const now = store.Millis(1_767_225_600_000)

func clock() store.Millis { return now }

func unchanged(t *testing.T) *session.Converter {
	t.Helper()
	c, err := session.NewConverter(session.Conversion{})
	require.NoError(t, err)
	return c
}

// put stores a record with a revision.
func put(t *testing.T, s store.Store, key string, revision byte, expires store.Millis) {
	t.Helper()
	value := append([]byte{revision, 0, 0, 0, 0, 0, 0, 0}, key...)
	require.Len(t, value[:abi.RevisionSize], 8)
	require.NoError(t, s.Set(context.Background(), store.Write{Key: []byte(key), Value: value, Expires: expires, Now: now}))
}

func filled(t *testing.T, n int) *store.Memory {
	t.Helper()
	s := store.NewMemory()
	for i := range n {
		put(t, s, fmt.Sprintf("key %d", i), byte(i), now+store.Millis(i)*1000+1)
	}
	return s
}

// all returns the records of a store by key.
func all(t *testing.T, s store.Store) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for r, err := range store.Snapshot(t.Context(), s, now) {
		require.NoError(t, err)
		found[string(r.Key)] = fmt.Sprintf("%x until %d", r.Value, r.Expires)
	}
	return found
}

// meddled is a target with faults.
type meddled struct {
	*store.Memory
	set func(w *store.Write) error
}

func (m *meddled) Set(ctx context.Context, w store.Write) error {
	if m.set != nil {
		if err := m.set(&w); err != nil {
			return err
		}
	}
	return m.Memory.Set(ctx, w)
}

func TestRun(t *testing.T) {
	from, to := filled(t, 1000), store.NewMemory()
	put(t, from, "for ever", 1, 0)
	var told []string
	var did atomic.Int64
	plan := migration.Plan{From: from, To: to, Converter: unchanged(t), Clock: clock, Did: func(n int64) { did.Add(n) },
		Begin: func(what string, total int64) { told = append(told, fmt.Sprint(what, " ", total)) }}
	r, err := migration.Run(t.Context(), plan)
	require.NoError(t, err)
	require.Equal(t, migration.Result{Found: 1001, Written: 1001, Verified: 1001}, r)
	require.Equal(t, all(t, from), all(t, to))
	require.Equal(t, []string{"moving 1001", "verifying 1001"}, told)
	require.EqualValues(t, 2002, did.Load())

	_, err = migration.Run(t.Context(), plan)
	require.ErrorIs(t, err, migration.ErrNotEmpty)

	// Again, after changes at the source.
	require.NoError(t, from.Delete(t.Context(), []byte("key 1"), now))
	put(t, from, "key 2", 99, now+5)
	put(t, from, "new", 1, 0)
	plan.Resume = true
	r, err = migration.Run(t.Context(), plan)
	require.NoError(t, err)
	require.Equal(t, migration.Result{Found: 1001, Written: 2, Kept: 999, Removed: 1, Verified: 1001}, r)
	require.Equal(t, all(t, from), all(t, to))
}

// TestRunMendsExpiries: a record with the right value and another expiry is not taken
// for moved.
func TestRunMendsExpiries(t *testing.T) {
	from, to := filled(t, 10), filled(t, 10)
	require.NoError(t, to.Touch(t.Context(), []byte("key 3"), now+1_000_000, now))
	r, err := migration.Run(t.Context(), migration.Plan{From: from, To: to, Converter: unchanged(t), Clock: clock, Resume: true})
	require.NoError(t, err)
	require.Equal(t, migration.Result{Found: 10, Kept: 10, Again: 1, Verified: 10}, r)
	require.Equal(t, all(t, from), all(t, to))
}

func TestRunSaysWhatFailed(t *testing.T) {
	full := fmt.Errorf("%w: the disk is full", store.ErrNoSpace)
	for _, c := range []struct {
		name string
		set  func(w *store.Write) error
		want error
	}{
		{"full", func(w *store.Write) error {
			if string(w.Key) == "key 7" {
				return full
			}
			return nil
		}, full},
		{"damages", func(w *store.Write) error {
			if string(w.Key) == "key 7" {
				w.Value = append([]byte("x"), w.Value...)
			}
			return nil
		}, migration.ErrDiffers},
		{"forgets", func(w *store.Write) error {
			if string(w.Key) == "key 7" {
				w.Key = []byte("other")
			}
			return nil
		}, migration.ErrDiffers},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, to := filled(t, 100), &meddled{store.NewMemory(), c.set}
			plan := migration.Plan{From: from, To: to, Converter: unchanged(t), Clock: clock}
			_, err := migration.Run(t.Context(), plan)
			require.ErrorIs(t, err, c.want)
			require.Len(t, all(t, from), 100)
			to.set = nil
			plan.Resume = true
			r, err := migration.Run(t.Context(), plan)
			require.NoError(t, err)
			require.Positive(t, r.Written+r.Kept)
			require.Equal(t, all(t, from), all(t, to))
		})
	}
}

// TestRunFollowsAServer: what programs change at the source during the move is found and
// written again.
func TestRunFollowsAServer(t *testing.T) {
	from, to := filled(t, 100), &meddled{Memory: store.NewMemory()}
	var once sync.Once
	to.set = func(w *store.Write) error {
		if string(w.Key) == "key 50" {
			once.Do(func() { put(t, from, "key 50", 200, now+7) })
		}
		return nil
	}
	r, err := migration.Run(t.Context(), migration.Plan{From: from, To: to, Converter: unchanged(t), Clock: clock})
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Again)
	require.Equal(t, all(t, from), all(t, to))
}

// TestRunLeavesOutWhatCannotBeConverted, and names it.
func TestRunLeavesOutWhatCannotBeConverted(t *testing.T) {
	sealing, err := session.NewConverter(session.Conversion{Codec: session.JSON})
	require.NoError(t, err)
	from, to := filled(t, 10), store.NewMemory()
	for i := range 30 {
		put(t, from, fmt.Sprintf("a key of thirty-two bytes     %02d", i), 1, 0)
	}
	plan := migration.Plan{From: from, To: to, Converter: sealing, Clock: clock}
	tried, err := migration.Try(t.Context(), plan)
	require.ErrorIs(t, err, migration.ErrRefused)
	require.Empty(t, all(t, to))
	require.EqualValues(t, 30, tried.Skipped)
	require.Len(t, tried.Refused, 20)

	r, err := migration.Run(t.Context(), plan)
	require.ErrorIs(t, err, migration.ErrRefused)
	require.EqualValues(t, 30, r.Skipped)
	require.EqualValues(t, 10, r.Verified)
	require.Len(t, all(t, to), 10)
	plan.Skip, plan.Resume = true, true
	r, err = migration.Run(t.Context(), plan)
	require.NoError(t, err)
	require.EqualValues(t, 30, r.Skipped)
	require.EqualValues(t, 10, r.Kept)
}

// TestRunCountsOnce what the target has no room for: it is met when it is moved, and when it is
// verified.
func TestRunCountsOnce(t *testing.T) {
	to := &meddled{store.NewMemory(), func(w *store.Write) error {
		if len(w.Key) > len("key 1") {
			return store.ErrTooLarge
		}
		return nil
	}}
	r, err := migration.Run(t.Context(), migration.Plan{From: filled(t, 100), To: to, Converter: unchanged(t), Clock: clock, Skip: true})
	require.NoError(t, err)
	require.EqualValues(t, 90, r.Skipped)
	require.EqualValues(t, 10, r.Verified)
	require.Len(t, r.Refused, 20)
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	to := &meddled{Memory: store.NewMemory(), set: func(*store.Write) error { cancel(); return nil }}
	_, err := migration.Run(ctx, migration.Plan{From: filled(t, 100), To: to, Converter: unchanged(t), Clock: clock})
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, to.Len(), 100)
}

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "to.migration")
	move := migration.Move{From: "a", To: "b", How: "as they are"}
	j, resumed, err := migration.Open(path, move)
	require.NoError(t, err)
	require.False(t, resumed)
	require.WithinDuration(t, time.Now(), j.Begun, time.Hour)
	require.NoFileExists(t, path)
	require.NoError(t, j.Begin())
	again, resumed, err := migration.Open(path, move)
	require.NoError(t, err)
	require.True(t, resumed)
	require.Equal(t, j.Begun, again.Begun)
	for _, other := range []migration.Move{{From: "x", To: "b", How: "as they are"}, {From: "a", To: "x", How: "as they are"}, {From: "a", To: "b", How: "x"}} {
		_, _, err = migration.Open(path, other)
		require.ErrorIs(t, err, migration.ErrJournal)
		require.ErrorContains(t, err, "from a to b (as they are)")
	}
	require.NoError(t, j.Done())
	require.NoFileExists(t, path)
	for _, damaged := range []string{"", "{", `{"waddle_migration": 2}`} {
		require.NoError(t, os.WriteFile(path, []byte(damaged), 0o600))
		_, _, err = migration.Open(path, move)
		require.ErrorIs(t, err, migration.ErrJournal)
	}
	_, _, err = migration.Open(filepath.Join(path, "x"), move)
	require.Error(t, err)
	require.False(t, errors.Is(err, migration.ErrJournal))
}

// TestRunStartsWithAnEmptyTarget: as long as the target may have records of its own, no
// journal says that they are of this move, whatever fails until then.
func TestRunStartsWithAnEmptyTarget(t *testing.T) {
	begun := 0
	plan := migration.Plan{From: filled(t, 10), Converter: unchanged(t), Clock: clock, Start: func() error { begun++; return nil }}
	plan.To = filled(t, 3)
	_, err := migration.Run(t.Context(), plan)
	require.ErrorIs(t, err, migration.ErrNotEmpty)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	plan.To = &interrupted{filled(t, 3)}
	_, err = migration.Run(ctx, plan)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, begun)

	early := false
	plan.To, plan.Workers = &meddled{store.NewMemory(), func(*store.Write) error { early = early || begun != 1; return nil }}, 1
	_, err = migration.Run(t.Context(), plan)
	require.NoError(t, err)
	require.False(t, early)
	require.Equal(t, 1, begun)

	failed := errors.New("the journal's disk is full")
	plan.To, plan.Start = store.NewMemory(), func() error { return failed }
	_, err = migration.Run(t.Context(), plan)
	require.ErrorIs(t, err, failed)
	require.Empty(t, all(t, plan.To))
}

// interrupted is a store that is read when its context has ended.
type interrupted struct{ *store.Memory }

func (*interrupted) Keys(ctx context.Context, _ store.Millis) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) { yield(nil, ctx.Err()) }
}
