package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// fileEngine is one of our engines that keep sessions in files.
type fileEngine struct {
	name string
	open func(ctx context.Context, dir string, cfg plugin.Config) (*plugin.Plugin, error)
	// crowd is how many sessions the engine is loaded with, given the number asked
	// for.
	crowd func(records int) int
	// packs are files that hold many sessions each and are removed when they are
	// waste. hints are files without which opening takes longer. Both are name
	// patterns with *; "" means none.
	packs, hints string
	// settings are for the engine, in addition to its defaults.
	settings map[string]string
	// code is a directory for compiled code, where no other program changes it.
	code string
}

// fileEngines are in the order of the tables.
var fileEngines = []fileEngine{
	{name: nameDynfile, open: dynfile.Open, crowd: func(records int) int { return records }, packs: "*.segment", hints: "*.hint"},
	// Each session takes a folder and a file. Fewer of them make the point, and are
	// removed sooner.
	{name: nameKeyfolder, open: keyfolder.Open, crowd: func(records int) int { return max(records/100, 1) }},
}

// fileEnginesWith have their compiled code in a directory.
func fileEnginesWith(code string) []fileEngine {
	engines := slices.Clone(fileEngines)
	for i := range engines {
		engines[i].code = code
	}
	return engines
}

// Names that the targets refer to.
const (
	nameDynfile      = "waddle, dynfile"
	nameKeyfolder    = "waddle, keyfolder"
	nameGorillaFiles = "gorilla, FilesystemStore"
	nameBolt         = "scs, boltstore"
	nameBadger       = "scs, badger"
	nameBareAppends  = "bare appends"
	nameBareFiles    = "bare os.WriteFile"

	oneShard = ", one shard" // after the name of an engine
)

// The operations on records that are measured.
const (
	opUnsynced = "write, not synced"
	opSecond   = "write, synced each second"
	opSynced   = "write, each synced"
	opMany     = "write by 64, each synced"
	opFetch    = "read"
)

// manyWriters is how many goroutines share the syncs. syncedKeys is how many records
// there are when each write is synced, so that storing them all does not take longer
// than the measurement.
const (
	manyWriters = 64
	syncedKeys  = 4 * manyWriters
)

// filesEffort is how much of the engines that keep files is measured.
type filesEffort struct {
	unsynced, synced, second, requests plan
	crowd                              crowd
}

// filesResult is what a run found out about them.
type filesResult struct {
	Filesystem string            `json:"filesystem"`
	Records    []row             `json:"records"`
	Requests   []row             `json:"requests"`
	Crowds     []fileCrowdResult `json:"crowds"`
	Waits      []waitsResult     `json:"waits"`

	rounds []samples
}

// recordCase is one store and the operations in which it is measured.
type recordCase struct {
	subject string
	ops     []string
	reads   string // the subject's name in the table of reads; "" for none
	alone   bool   // one writer even where others have many
	open    func(ctx context.Context, dir string) (recordStore, error)
}

func recordCases(engines []fileEngine) (cases []recordCase) {
	for _, e := range engines {
		cases = append(cases,
			recordCase{subject: e.name, ops: []string{opUnsynced}, reads: e.name + ", close", open: e.records(plugin.DurabilityClose, 0)},
			recordCase{subject: e.name, ops: []string{opSecond}, reads: e.name + ", interval", open: e.records(plugin.DurabilityInterval, 0)},
			recordCase{subject: e.name + oneShard, ops: []string{opSynced, opMany}, open: e.records(plugin.DurabilityCommit, 1)},
			recordCase{subject: e.name, ops: []string{opSynced, opMany}, reads: e.name + ", commit", open: e.records(plugin.DurabilityCommit, 0)},
		)
	}
	for _, peer := range []struct {
		name string
		open func(synced bool) func(context.Context, string) (recordStore, error)
	}{{nameBolt, openBoltRecords}, {nameBadger, openBadgerRecords}} {
		cases = append(cases,
			recordCase{subject: peer.name, ops: []string{opUnsynced}, reads: peer.name, open: peer.open(false)},
			recordCase{subject: peer.name, ops: []string{opSynced, opMany}, open: peer.open(true)},
		)
	}
	return append(cases,
		recordCase{subject: nameGorillaFiles, ops: []string{opUnsynced}, reads: nameGorillaFiles, open: openGorillaRecords},
		recordCase{subject: nameBareAppends, ops: []string{opUnsynced}, reads: nameBareAppends, open: openAppends(false)},
		recordCase{subject: nameBareAppends, ops: []string{opSecond}, open: openAppends(false)},
		recordCase{subject: nameBareAppends, ops: []string{opSynced, opMany}, alone: true, open: openAppends(true)},
		recordCase{subject: nameBareFiles, ops: []string{opUnsynced}, reads: nameBareFiles, open: openWholeFiles(false)},
		recordCase{subject: nameBareFiles, ops: []string{opSecond}, open: openWholeFiles(false)},
		recordCase{subject: nameBareFiles, ops: []string{opSynced, opMany}, alone: true, open: openWholeFiles(true)},
	)
}

// runFiles measures in a directory that it makes within parent and then removes.
func runFiles(ctx context.Context, e filesEffort, parent string) (*filesResult, error) {
	dir, filesystem, err := scratchDir(parent)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	r := &filesResult{Filesystem: filesystem}
	code := filepath.Join(dir, "code")
	records, err := runRecords(ctx, e, filepath.Join(dir, "records"), code)
	if err != nil {
		return nil, err
	}
	r.Records = results(records).rows(nameGorillaFiles, nameBareAppends, nameBareFiles)
	engines := fileEnginesWith(code)
	assigned := assignPeers(filePeers(engines), []int{1}, []operation{opRead, opWrite}, filepath.Join(dir, "requests"), code)
	requests, err := measureCrew(ctx, assigned, e.requests)
	if err != nil {
		return nil, err
	}
	r.Requests = results(requests).rows(nameGorillaFiles)
	r.rounds = append(records, requests...)
	for _, engine := range engines {
		c, err := runFileCrowd(ctx, engine, e.crowd, filepath.Join(dir, engine.name))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", engine.name, err)
		}
		r.Crowds = append(r.Crowds, c)
		w, err := runWaits(ctx, engine, e.crowd, filepath.Join(dir, engine.name+", waits"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", engine.name, err)
		}
		r.Waits = append(r.Waits, w)
	}
	return r, nil
}

// runRecords measures single records. Operations that wait for the disk are measured
// apart from those that do not: otherwise the writes that one leaves to the system
// would be in the syncs of the other.
func runRecords(ctx context.Context, e filesEffort, dir, code string) (all []samples, err error) {
	var assigned []assignment
	for i, c := range recordCases(fileEngines) {
		assigned = append(assigned, assignment{Part: partFiles, Subject: c.subject, Number: i, Cores: []int{runtime.GOMAXPROCS(0)},
			Dir: filepath.Join(dir, fmt.Sprint(i)), Code: code})
	}
	workers, err := gather(ctx, assigned)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, workers.close()) }()
	only := func(ops ...string) []cell {
		return workers.cells(func(c cellName) bool { return slices.Contains(ops, c.Operation) })
	}
	for _, step := range []struct {
		measure func([]cell, plan) ([]samples, error)
		cells   []cell
		plan    plan
	}{
		{measure, only(opUnsynced, opFetch), e.unsynced},
		{measure, only(opSynced, opMany), e.synced},
		{sustain, only(opSecond), e.second},
	} {
		found, err := step.measure(step.cells, step.plan)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, workers.verify()
}

// openRecords sets up the case that is assigned, with records in its directory.
func openRecords(ctx context.Context, a assignment) (*stand, error) {
	c := recordCases(fileEnginesWith(a.Code))[a.Number]
	if err := os.MkdirAll(a.Dir, 0o700); err != nil {
		return nil, err
	}
	st, err := c.open(ctx, a.Dir)
	if err != nil {
		return nil, err
	}
	records := callKeys
	if c.ops[0] == opSynced {
		records = syncedKeys
	}
	s := newRecordSubject(c.subject, st, records)
	if err := s.fill(); err != nil {
		return nil, errors.Join(err, st.close())
	}
	result := &stand{verify: s.verify, close: st.close}
	for _, op := range c.ops {
		cores, writers := 1, 1
		if op == opMany {
			cores = a.Cores[0]
			if !c.alone {
				writers = manyWriters
			}
		}
		result.cells = append(result.cells, s.cell(op, s.set, cores, writers, a.Dir))
	}
	if c.reads != "" {
		fetch := s.cell(opFetch, s.get, 1, 1, a.Dir)
		fetch.Subject = c.reads
		result.cells = append(result.cells, fetch)
	}
	return result, nil
}

// start opens the engine over a directory; 0 shards means its default.
func (e fileEngine) start(ctx context.Context, dir string, d plugin.Durability, shards int) (*plugin.Plugin, error) {
	return e.open(ctx, dir, plugin.Config{Durability: d, Shards: shards, GuestConfig: e.settings,
		CacheDir: e.code, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
}

// engineRecords is one of our engines, called as the session layer calls it.
type engineRecords struct {
	ctx    context.Context
	plugin *plugin.Plugin
	keys   [][]byte
}

// records opens the engine for single records.
func (e fileEngine) records(d plugin.Durability, shards int) func(context.Context, string) (recordStore, error) {
	return func(ctx context.Context, dir string) (recordStore, error) {
		p, err := e.start(ctx, dir, d, shards)
		if err != nil {
			return nil, err
		}
		s := &engineRecords{ctx: ctx, plugin: p}
		for i := range callKeys {
			key, _ := record(i)
			s.keys = append(s.keys, key)
		}
		return s, nil
	}
}

func (s *engineRecords) set(i int, value []byte) error {
	now := store.At(time.Now())
	return s.plugin.Set(s.ctx, store.Write{Key: s.keys[i], Value: value,
		Expires: now + store.Span(time.Hour), Now: now, Expect: abi.ExpectAny})
}

func (s *engineRecords) get(i int) ([]byte, error) {
	return s.plugin.Get(s.ctx, s.keys[i], store.At(time.Now()))
}

func (s *engineRecords) sync() error  { return s.plugin.Save(s.ctx, store.At(time.Now())) }
func (s *engineRecords) close() error { return s.plugin.Close(s.ctx) }

// filePeers are libraries that keep sessions in files, none of them synced.
func filePeers(engines []fileEngine) (all []peer) {
	for _, e := range engines {
		all = append(all, peer{name: e.name, keeps: true, open: func(ctx context.Context, dir string, f *faults) (server, error) {
			p, err := e.start(ctx, dir, plugin.DurabilityClose, 0)
			if err != nil {
				return nil, err
			}
			return waddleServer(ctx, p, f)
		}})
	}
	return append(all,
		peer{name: nameGorillaFiles, module: moduleGorilla, keeps: true, open: openGorillaFiles,
			note: "syncs nothing and overwrites in place: a crash while it writes leaves a torn file; for single records, a write is one Session.Save"},
		peer{name: nameBolt, module: moduleBoltstore, keeps: true, open: openSCSBolt,
			note: "where not synced, with bbolt's NoSync"},
		peer{name: nameBadger, module: moduleBadger, keeps: true, open: openSCSBadger,
			note: "a store of this program, with one Badger transaction for each call; scs's own badgerstore module was not available"},
	)
}

// The modules whose versions are reported.
const (
	moduleGorilla   = "github.com/gorilla/sessions"
	moduleBoltstore = "github.com/alexedwards/scs/boltstore"
	moduleBolt      = "go.etcd.io/bbolt"
	moduleBadger    = "github.com/dgraph-io/badger/v4"
)
