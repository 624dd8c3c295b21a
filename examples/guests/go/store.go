package main

import (
	"math"

	"github.com/waddle-sessions/waddle/guest"
)

// engine keeps records in one list, without gaps and in no particular order, and
// a map that finds them by key. A host makes one call at a time, so there are no
// locks, and each call carries the time.
type engine struct {
	records []record
	places  map[string]int // each key's index in records

	bytes, maxBytes int64 // what the records take, and what they may
	maxRecords      int

	// No record expires before soonest: until then there is no point in looking
	// for expired ones.
	soonest int64

	unswept int // Sweep has yet to look at this many records
}

type record struct {
	key     string
	value   []byte
	expires int64
}

// The engine has optional methods: the host finds out which.
var (
	_ guest.Engine      = (*engine)(nil)
	_ guest.Toucher     = (*engine)(nil)
	_ guest.Sweeper     = (*engine)(nil)
	_ guest.Lister      = (*engine)(nil)
	_ guest.Snapshotter = (*engine)(nil)
	_ guest.Restorer    = (*engine)(nil)
)

const (
	// overhead is roughly what the list, the map and the allocator need for a
	// record beyond key and value.
	overhead = 160

	// A Go program without records, with buffers for the largest value.
	runtimeSize = 7 << 20
	// least is what must be available beyond that.
	least = 1 << 20
)

// Open reads the settings. A setting that it does not ask for is refused by
// name.
func (e *engine) Open(config *guest.Config) error {
	limit := config.MemoryLimit(64 << 20)
	shards := int64(config.Shards())
	most := config.Int("max_records", 999_999_999, 1)
	if most < shards || most > 999_999_999 {
		config.Refuse("max_records", "must be a whole number up to 999999999, and at least 1 for each shard")
	}
	if limit < runtimeSize+least {
		config.Refuse("memory_limit", "must be at least 8 MiB for each shard, since a store in Go needs that")
		return nil
	}

	// When Go runs out of memory it crashes. Its garbage collector lets the heap
	// become twice as large as what is in use, and there are gaps. So records
	// get a quarter.
	e.maxBytes = (limit - runtimeSize) / 4
	e.maxRecords = int(most / shards) // this instance is one of the shards
	e.places = make(map[string]int)
	e.soonest = math.MaxInt64
	return nil
}

func (e *engine) Get(key []byte, now int64) ([]byte, error) {
	r := e.find(key, now)
	if r == nil {
		return nil, guest.ErrNotFound
	}
	return r.value, nil
}

func (e *engine) Set(w guest.Write) error {
	old := e.find(w.Key, w.Now)
	var stored []byte
	if old != nil {
		stored = old.value
	}
	if err := w.Check(stored, old != nil); err != nil {
		return err
	}
	if w.Expired() {
		return e.Delete(w.Key, w.Now)
	}
	for !e.roomFor(e.demand(w)) {
		if e.dropExpired(w.Now) == 0 {
			return errFull
		}
	}
	e.put(w)
	return nil
}

func (e *engine) Delete(key []byte, _ int64) error {
	if place, ok := e.places[string(key)]; ok {
		e.drop(place)
	}
	return nil
}

func (e *engine) Clear(int64) error {
	clear(e.places)
	clear(e.records) // for the garbage collector
	e.records, e.bytes, e.soonest = e.records[:0], 0, math.MaxInt64
	return nil
}

// Save has nothing to write.
func (e *engine) Save(now int64) error {
	e.dropExpired(now)
	return nil
}

// Touch implements guest.Toucher.
func (e *engine) Touch(key []byte, expires, now int64) error {
	r := e.find(key, now)
	if r == nil {
		return guest.ErrNotFound
	}
	if guest.Expired(expires, now) {
		return e.Delete(key, now)
	}
	r.expires = expires
	e.expect(expires)
	return nil
}

// Sweep implements guest.Sweeper. Like Keys and Snapshot, it goes through the
// list from its end. When a record is removed, the last one moves to its place.
// That one may then be seen twice, but none is missed.
func (e *engine) Sweep(max int, now int64) (removed int, err error) {
	for range min(max, len(e.records)) {
		if e.unswept == 0 || e.unswept > len(e.records) {
			e.unswept = len(e.records)
		}
		e.unswept--
		if guest.Expired(e.records[e.unswept].expires, now) {
			e.drop(e.unswept)
			removed++
		}
	}
	return removed, nil
}

// Keys implements guest.Lister. A cursor is the number of records still to be
// seen; the first one is 0.
func (e *engine) Keys(chunk *guest.KeyChunk, cursor, now int64) (next int64, err error) {
	unseen := e.begin(cursor)
	for ; unseen > 0; unseen-- {
		r := &e.records[unseen-1]
		if !guest.Expired(r.expires, now) && !chunk.Add([]byte(r.key)) {
			break
		}
	}
	return int64(unseen), nil
}

// Snapshot implements guest.Snapshotter.
func (e *engine) Snapshot(chunk *guest.RecordChunk, cursor, now int64) (next int64, err error) {
	unseen := e.begin(cursor)
	for ; unseen > 0; unseen-- {
		r := &e.records[unseen-1]
		if !guest.Expired(r.expires, now) && !chunk.Add([]byte(r.key), r.value, r.expires) {
			break
		}
	}
	return int64(unseen), nil
}

// Restore implements guest.Restorer: the whole list is stored or, on an error,
// nothing.
func (e *engine) Restore(list guest.Records, now int64) error {
	for {
		var records int
		var bytes int64
		for w := range list.All() {
			n, b := e.demand(w)
			records, bytes = records+n, bytes+max(0, b)
		}
		if e.roomFor(records, bytes) {
			break
		}
		if e.dropExpired(now) == 0 {
			return errFull
		}
	}
	for w := range list.All() {
		e.put(w)
	}
	return nil
}

var errFull = guest.Fail(guest.ErrNoSpace, "the store is full: raise max_records or the memory limit")

// find returns the record under a key, or nil if there is none or it has
// expired.
func (e *engine) find(key []byte, now int64) *record {
	place, ok := e.places[string(key)] // the compiler allocates no string for this
	if !ok || guest.Expired(e.records[place].expires, now) {
		return nil
	}
	return &e.records[place]
}

// demand returns how many more records and bytes there will be after a write.
func (e *engine) demand(w guest.Write) (records int, bytes int64) {
	if place, ok := e.places[string(w.Key)]; ok {
		return 0, int64(len(w.Value) - cap(e.records[place].value))
	}
	return 1, size(len(w.Key), len(w.Value))
}

func size(key, value int) int64 { return int64(key) + int64(value) + overhead }

func (e *engine) roomFor(records int, bytes int64) bool {
	return len(e.records)+records <= e.maxRecords && (bytes <= 0 || e.bytes+bytes <= e.maxBytes)
}

// put stores a record. The key and value of a write belong to the host and are
// copied.
func (e *engine) put(w guest.Write) {
	place, ok := e.places[string(w.Key)]
	if !ok {
		key := string(w.Key)
		place = len(e.records)
		e.places[key] = place
		e.records = append(e.records, record{key: key})
		e.bytes += size(len(key), 0)
	}
	r := &e.records[place]
	e.bytes -= int64(cap(r.value))
	r.value, r.expires = overwrite(r.value, w.Value), w.Expires
	e.bytes += int64(cap(r.value))
	e.expect(w.Expires)
}

// overwrite returns a copy of value, in the memory of old if that is neither too
// small nor far too large: memory that is not allocated needs no garbage
// collection.
func overwrite(old, value []byte) []byte {
	if cap(old) < len(value) || cap(old) > 2*len(value)+64 {
		old = make([]byte, len(value))
	}
	return append(old[:0], value...)
}

// drop removes a record. The last of the list moves to its place.
func (e *engine) drop(place int) {
	r, last := e.records[place], len(e.records)-1
	e.bytes -= size(len(r.key), cap(r.value))
	e.records[place] = e.records[last]
	e.places[e.records[place].key] = place
	delete(e.places, r.key)
	e.records[last] = record{}
	e.records = e.records[:last]
}

// dropExpired removes all expired records and returns how many there were.
func (e *engine) dropExpired(now int64) int {
	if now < e.soonest {
		return 0
	}
	before := len(e.records)
	e.soonest = math.MaxInt64
	for place := before - 1; place >= 0; place-- {
		if expires := e.records[place].expires; guest.Expired(expires, now) {
			e.drop(place)
		} else {
			e.expect(expires)
		}
	}
	return before - len(e.records)
}

// expect updates soonest after a record was given an expiry.
func (e *engine) expect(expires int64) {
	if expires != 0 {
		e.soonest = min(e.soonest, expires)
	}
}

func (e *engine) begin(cursor int64) int {
	if cursor == 0 || cursor > int64(len(e.records)) {
		return len(e.records)
	}
	return int(cursor)
}
