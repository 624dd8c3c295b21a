package sessiondir

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest/engines/dynfile/segments"
	"github.com/waddle-sessions/waddle/guest/engines/keyfolder/folder"
	"github.com/waddle-sessions/waddle/guest/engines/survey"
	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/internal/snapshotfile"
	"github.com/waddle-sessions/waddle/host/store"
)

// Seen gets what a survey finds. The functions may be nil.
type Seen struct {
	Record func(shard int, r store.Record) error // a record is valid until it returns
	Find   func(shard int, f survey.Finding)     // shard is -1 for the directory itself
	Part   func(done, parts int64)               // how much of the survey is done, now and then
}

// part hands on how much is done.
func (s *Seen) part(done, parts int64) {
	if s.Part != nil {
		s.Part(done, parts)
	}
}

// surveyor is that of an engine.
type surveyor interface {
	Round() error
	Shard() survey.Shard
}

// Survey goes through all shards, or one of them, twice: a session may get a new id, which
// another shard has, while they are read one after the other. Each record comes once. See
// [segments.Surveyor] and [folder.Surveyor]. It returns what each shard consists of.
func (l Layout) Survey(ctx context.Context, only int, quick bool, seen Seen) ([]survey.Shard, error) {
	if l.Engine == memory.Name {
		v := l.visitor(ctx, 0, seen)
		v.Part = func(done, parts int) { seen.part(int64(done), int64(parts)) }
		shard, err := l.snapshot(ctx, quick, v)
		return []survey.Shard{shard}, err
	}
	all := make([]surveyor, l.Shards)
	shares := [2]int64{partsOfRound, partsOfRound}
	if l.Engine == keyfolder.Name {
		shares[1] = partsOfRound / 10 // which lists all and reads only what is new
	}
	before, share, parts := int64(0), int64(0), (shares[0]+shares[1])*int64(l.Shards)
	part := func(done, of int) { seen.part(before+share*int64(done)/int64(max(of, 1)), parts) }
	for round := range 2 {
		for i := range all {
			if only >= 0 && i != only {
				continue
			}
			before, share = before+share, shares[round]
			part(0, 1)
			if all[i] == nil {
				o := survey.Options{Shard: i, Shards: l.Shards, Quick: quick}
				v := l.visitor(ctx, i, seen)
				v.Part = part
				if l.Engine == dynfile.Name {
					all[i] = segments.Begin(l.Dir, o, v)
				} else {
					all[i] = folder.Begin(l.Dir, o, v)
				}
			}
			if err := all[i].Round(); err != nil {
				if round == 0 && l.missing(i, seen) {
					all[i] = absent{}
					continue
				}
				return nil, fmt.Errorf("shard %d of %s: %w", i, l.Dir, err)
			}
		}
	}
	shards := make([]survey.Shard, len(all))
	for i, s := range all {
		if s != nil {
			shards[i] = s.Shard()
		}
	}
	return shards, nil
}

// partsOfRound is into how many parts a round is divided for those who want to know how much is
// done.
const partsOfRound = 1000

// absent stands for a shard without a directory.
type absent struct{}

func (absent) Round() error        { return nil }
func (absent) Shard() survey.Shard { return survey.Shard{} }

// missing reports a shard that has no directory.
func (l Layout) missing(shard int, seen Seen) bool {
	name := prefixes[l.Engine] + fmt.Sprint(shard)
	if _, err := os.Lstat(filepath.Join(l.Dir, name)); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if seen.Find != nil {
		seen.Find(shard, survey.Finding{Severity: survey.Loss, Remedy: survey.Backup, File: name, Offset: -1, Sessions: -1,
			Text: "is missing: all sessions of the shard are lost, if there were any"})
	}
	return true
}

// visitor hands on what one shard has, and finds records of another.
func (l Layout) visitor(ctx context.Context, shard int, seen Seen) survey.Visitor {
	v := survey.Visitor{}
	if seen.Find != nil {
		v.Find = func(f survey.Finding) { seen.Find(shard, f) }
	}
	v.Record = func(r survey.Record) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if l.Shards > 0 {
			if at := abi.ShardOf(r.Key, l.Shards); at != shard {
				v.Say(survey.Finding{Severity: survey.Loss, Remedy: survey.Repair, File: r.File, Offset: -1, Sessions: 1,
					Text: fmt.Sprintf("is of shard %d, and lies in shard %d, where nobody finds it", at, shard)})
				return nil
			}
		}
		if seen.Record == nil {
			return nil
		}
		return seen.Record(shard, store.Record{Key: r.Key, Value: r.Value, Expires: store.Millis(r.Expires)})
	}
	return v
}

// snapshot reads the snapshot of engine memory. A new one takes its place in one step, so what is
// open is whole.
func (l Layout) snapshot(ctx context.Context, quick bool, v survey.Visitor) (shard survey.Shard, err error) {
	if !quick {
		for _, suffix := range []string{snapshotfile.New, snapshotfile.Last, snapshotfile.Merged, snapshotfile.Merged + snapshotfile.Last, snapshotfile.Damaged} {
			l.beside(snapshotfile.Name+suffix, suffix == snapshotfile.Damaged, v)
		}
	}
	f, err := os.Open(filepath.Join(l.Dir, snapshotfile.Name))
	if errors.Is(err, fs.ErrNotExist) {
		v.Say(survey.Finding{Severity: survey.Note, Remedy: survey.Nothing, File: snapshotfile.Name, Offset: -1, Text: "is not there: nothing was saved yet"})
		return shard, nil
	}
	if err != nil {
		return shard, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return shard, err
	}
	shard = survey.Shard{Files: 1, Bytes: info.Size()}
	r := bufio.NewReaderSize(f, snapshotfile.BlockSize)
	if header, ok := snapshotfile.ReadHeader(r); !ok {
		v.Say(survey.Finding{Severity: survey.Loss, Remedy: survey.Backup, File: snapshotfile.Name, Offset: 0, Sessions: -1,
			Text: fmt.Sprintf("begins %q: must begin %q; the engine refuses it", first([]byte(header)), first([]byte(snapshotfile.Header)))})
		return shard, nil
	}
	// The later of two records of a key counts.
	latest := make(map[[16]byte]int)
	passes := int64(0)
	records := func(each func(i int, r store.Record) error) error {
		i := 0
		v.Did(int(passes*info.Size()), int(2*info.Size()))
		defer func() { passes++ }()
		for record, err := range snapshotfile.Records(r) {
			if err != nil {
				return err
			}
			if i%1000 == 999 {
				at, _ := f.Seek(0, io.SeekCurrent)
				v.Did(int(passes*info.Size()+at), int(2*info.Size()))
			}
			if err := each(i, record); err != nil {
				return err
			}
			i++
		}
		return nil
	}
	damage := records(func(i int, r store.Record) error {
		latest[keySum(r.Key)] = i
		return ctx.Err()
	})
	if err := ctx.Err(); err != nil {
		return shard, err
	}
	if damage != nil {
		v.Say(survey.Finding{Severity: survey.Loss, Remedy: survey.Repair, File: snapshotfile.Name, Offset: -1, Sessions: -1,
			Text: damage.Error() + "; the part before that is whole: the engine takes it and puts the file aside"})
	}
	if _, err := f.Seek(int64(len(snapshotfile.Header)), 0); err != nil {
		return shard, err
	}
	r.Reset(f)
	err = records(func(i int, r store.Record) error {
		if latest[keySum(r.Key)] != i {
			return nil
		}
		return v.See(survey.Record{Key: r.Key, Value: r.Value, Expires: int64(r.Expires), File: snapshotfile.Name})
	})
	if errors.Is(err, store.ErrCorrupt) && damage != nil {
		err = nil
	}
	return shard, err
}

// beside reports another file of snapshots.
func (l Layout) beside(name string, damaged bool, v survey.Visitor) {
	if _, err := os.Lstat(filepath.Join(l.Dir, name)); err != nil {
		return
	}
	f := survey.Finding{Severity: survey.Note, Remedy: survey.Engine, File: name, Offset: -1,
		Text: "is a snapshot that was not finished, or is being written: the next one takes its place"}
	if damaged {
		f.Remedy, f.Text = survey.Hand, "is a damaged snapshot that the host has put aside, after it took the intact part"
	}
	v.Say(f)
}

// AsOf returns when the sessions of a directory were last written, if what lies there is a
// snapshot and not the sessions themselves.
func (l Layout) AsOf() *time.Time {
	if l.Engine != memory.Name {
		return nil
	}
	info, err := os.Stat(filepath.Join(l.Dir, snapshotfile.Name))
	if err != nil {
		return nil
	}
	at := info.ModTime().UTC()
	return &at
}
