package guest

import (
	"strconv"

	"github.com/waddle-sessions/waddle/abi"
)

// current is the instance that the exports serve: a module has only one.
var current instance

// Sizes of the exchange buffer. It starts with room for any chunk and grows by
// large factors, so that all buffers together are little more than the last one:
// memory that was freed may be fragmented by then.
const (
	minExchange    = chunkSize + exchangeMargin
	growExchange   = 4
	exchangeMargin = 256 // beyond the largest key and value, for the header of a record in a list
)

// instance stands between the interface and an engine.
type instance struct {
	engine      Engine
	info        Info
	description []byte
	opened      bool

	keyTooLarge, valueTooLarge error

	// The optional interfaces of the engine, nil where it lacks one.
	toucher     Toucher
	sweeper     Sweeper
	flusher     Flusher
	lister      Lister
	snapshotter Snapshotter
	restorer    Restorer
	counter     Counter
	copier      Copier
	batcher     Batcher
	idler       Idler

	// exchange is the buffer that the host writes to, and base its address.
	// Results that do not lie in the engine's memory are built in it.
	exchange []byte
	base     uint32

	// result keeps alive the bytes that the host may still read.
	result []byte

	counts []byte // the list of the last count, kept for reuse

	keyChunk    KeyChunk
	recordChunk RecordChunk

	batch    Batch
	batching bool // Batcher.Batch is running
}

func (i *instance) init(engine Engine, info Info) {
	i.engine, i.info = engine, info.checked()
	i.description = i.info.description()
	i.keyTooLarge = Fail(ErrTooLarge, "the key is longer than the "+strconv.Itoa(i.info.MaxKey)+" bytes that this engine takes")
	i.valueTooLarge = Fail(ErrTooLarge, "the value is longer than the "+strconv.Itoa(i.info.MaxValue)+" bytes that this engine takes")
	i.toucher, _ = engine.(Toucher)
	i.sweeper, _ = engine.(Sweeper)
	i.flusher, _ = engine.(Flusher)
	i.lister, _ = engine.(Lister)
	i.snapshotter, _ = engine.(Snapshotter)
	i.restorer, _ = engine.(Restorer)
	i.counter, _ = engine.(Counter)
	i.copier, _ = engine.(Copier)
	i.batcher, _ = engine.(Batcher)
	i.idler, _ = engine.(Idler)
}

func (i *instance) describe() ([]byte, int64) {
	if i.engine == nil {
		return nil, i.fail(errNoEngine)
	}
	return i.description, 0
}

func (i *instance) alloc(size uint32) uint32 {
	// What fits as an argument also fits as a chunk of one record.
	need := int64(size) + exchangeMargin
	if need > int64(len(i.exchange)) {
		largest := max(minExchange, i.info.MaxKey+i.info.MaxValue+2*exchangeMargin)
		if need > int64(largest) {
			return 0
		}
		grown := max(minExchange, int(need), len(i.exchange)*growExchange)
		if grown > largest/2 {
			grown = largest
		}
		i.exchange, i.result = nil, nil // not held while the next one is made
		i.exchange = make([]byte, grown)
		i.base = address(i.exchange)
	}
	return i.base
}

func (i *instance) scratch(n int) []byte {
	if i.batching { // the exchange buffer has the operations
		return i.batch.scratch(n)
	}
	if n <= len(i.exchange) {
		return i.exchange[:n:n]
	}
	return make([]byte, n)
}

func (i *instance) copied() int64 {
	switch {
	case i.copier == nil:
		return int64(abi.Unsupported)
	case i.opened:
		return i.fail(errCopiedLate)
	}
	return i.done(i.copier.Copied())
}

func (i *instance) open(ptr, length uint32) int64 {
	if i.engine == nil {
		return i.fail(errNoEngine)
	}
	if i.opened {
		return i.fail(errReopened)
	}
	list, ok := i.argument(ptr, length)
	if !ok {
		return i.fail(errOutside)
	}
	config, err := ParseConfig(list)
	if err == nil {
		err = i.engine.Open(config)
	}
	if err == nil {
		err = config.Err()
	}
	if err != nil {
		return i.fail(err)
	}
	i.opened = true
	if i.batcher != nil {
		i.batch.open(config.MemoryLimit(maxResults * resultsShare))
	}
	return 0
}

func (i *instance) get(keyPtr, keyLen uint32, now int64) int64 {
	key, ok := i.argument(keyPtr, keyLen)
	if !ok || keyLen == 0 || !i.opened {
		return i.fail(i.refusal(ok))
	}
	if len(key) > i.info.MaxKey {
		return int64(abi.NotFound)
	}
	value, err := i.engine.Get(key, now)
	if err != nil {
		return i.fail(err)
	}
	i.result = value
	return region(value, 0)
}

func (i *instance) set(keyPtr, keyLen, valuePtr, valueLen uint32, expires, now, expect int64) int64 {
	key, ok := i.argument(keyPtr, keyLen)
	value, valueOK := i.argument(valuePtr, valueLen)
	if !ok || !valueOK || keyLen == 0 || !i.opened {
		return i.fail(i.refusal(ok && valueOK))
	}
	w := Write{Key: key, Value: value, Expires: expires, Now: now, Expect: expect}
	if err := i.checkSize(key, value); err != nil {
		return i.fail(err)
	}
	if !i.info.CAS && w.Expired() {
		return i.delete(keyPtr, keyLen, now)
	}
	if err := i.engine.Set(w); err != nil {
		return i.fail(err)
	}
	return 0
}

func (i *instance) delete(keyPtr, keyLen uint32, now int64) int64 {
	key, ok := i.argument(keyPtr, keyLen)
	if !ok || keyLen == 0 || !i.opened {
		return i.fail(i.refusal(ok))
	}
	if len(key) > i.info.MaxKey {
		return 0
	}
	if err := i.engine.Delete(key, now); err != nil {
		code := i.fail(err)
		if code == int64(abi.NotFound) {
			return 0
		}
		return code
	}
	return 0
}

func (i *instance) clear(now int64) int64 {
	if !i.opened {
		return i.fail(errNotOpen)
	}
	return i.done(i.engine.Clear(now))
}

func (i *instance) save(now int64) int64 {
	if !i.opened {
		return i.fail(errNotOpen)
	}
	return i.done(i.engine.Save(now))
}

func (i *instance) touch(keyPtr, keyLen uint32, expires, now int64) int64 {
	if i.toucher == nil {
		return int64(abi.Unsupported)
	}
	key, ok := i.argument(keyPtr, keyLen)
	if !ok || keyLen == 0 || !i.opened {
		return i.fail(i.refusal(ok))
	}
	if len(key) > i.info.MaxKey {
		return int64(abi.NotFound)
	}
	return i.done(i.toucher.Touch(key, expires, now))
}

func (i *instance) sweep(now int64, most uint32) int64 {
	if i.sweeper == nil {
		return int64(abi.Unsupported)
	}
	if !i.opened {
		return i.fail(errNotOpen)
	}
	removed, err := i.sweeper.Sweep(int(min(most, 1<<31-1)), now)
	if err != nil {
		return i.fail(err)
	}
	return int64(removed)
}

func (i *instance) flush(now int64, most uint32) int64 {
	if i.flusher == nil {
		return int64(abi.Unsupported)
	}
	if !i.opened {
		return i.fail(errNotOpen)
	}
	left, err := i.flusher.Flush(int(min(most, 1<<31-1)), now)
	if err != nil {
		return i.fail(err)
	}
	return int64(left)
}

func (i *instance) keys(cursor, now int64) ([]byte, int64) {
	if i.lister == nil {
		return nil, int64(abi.Unsupported)
	}
	if !i.opened {
		return nil, i.fail(errNotOpen)
	}
	if cursor < 0 {
		return nil, i.fail(errCursor)
	}
	i.keyChunk.begin(i.scratch(chunkSize))
	next, err := i.lister.Keys(&i.keyChunk, cursor, now)
	if err != nil {
		return nil, i.fail(err)
	}
	i.result = i.keyChunk.end(next)
	return i.result, 0
}

func (i *instance) snapshot(cursor, now int64) ([]byte, int64) {
	if i.snapshotter == nil {
		return nil, int64(abi.Unsupported)
	}
	if !i.opened {
		return nil, i.fail(errNotOpen)
	}
	if cursor < 0 {
		return nil, i.fail(errCursor)
	}
	// The whole buffer, although a chunk ends at chunkSize: a single record may
	// be longer, and this way it need not be copied elsewhere.
	i.recordChunk.begin(i.scratch(max(chunkSize, len(i.exchange))))
	next, err := i.snapshotter.Snapshot(&i.recordChunk, cursor, now)
	if err != nil {
		return nil, i.fail(err)
	}
	i.result = i.recordChunk.end(next)
	return i.result, 0
}

// mostCounted is the largest number with 18 digits.
const mostCounted = 1e18 - 1

func (i *instance) stats() ([]byte, int64) {
	if i.counter == nil {
		return nil, int64(abi.Unsupported)
	}
	if !i.opened {
		return nil, i.fail(errNotOpen)
	}
	c := i.counter.Count()
	list := i.counts[:0]
	if c.Records >= 0 {
		list = abi.AppendPair(list, abi.StatsRecords, strconv.FormatInt(c.Records, 10))
	}
	if c.Bytes >= 0 {
		list = abi.AppendPair(list, abi.StatsBytes, strconv.FormatInt(c.Bytes, 10))
	}
	list = abi.AppendPair(list, abi.StatsEvicted, strconv.FormatUint(min(c.Evicted, mostCounted), 10))
	list = abi.AppendPair(list, abi.StatsExpired, strconv.FormatUint(min(c.Expired, mostCounted), 10))
	if c.Limit != "" {
		list = abi.AppendPair(list, abi.StatsLimit, c.Limit)
	}
	i.counts, i.result = list, list
	return list, 0
}

func (i *instance) restore(ptr, length uint32, now int64) int64 {
	list, ok := i.argument(ptr, length)
	if !ok || !i.opened {
		return i.fail(i.refusal(ok))
	}
	for rest := list; len(rest) > 0; {
		key, value, _, after, ok := abi.NextRecord(rest)
		if !ok || len(key) == 0 {
			return i.fail(errMalformed)
		}
		if err := i.checkSize(key, value); err != nil {
			return i.fail(err)
		}
		rest = after
	}
	records := Records{list: list, now: now}
	if i.restorer != nil {
		return i.done(i.restorer.Restore(records, now))
	}
	for w := range records.All() {
		if err := i.engine.Set(w); err != nil {
			return i.fail(err)
		}
	}
	return 0
}

var (
	errNoEngine   = Fail(ErrInternal, "the module never called guest.Register")
	errReopened   = Fail(ErrInvalid, "session_open was called a second time")
	errCopiedLate = Fail(ErrInvalid, "session_copied was called after session_open")
	errOutside    = Fail(ErrInvalid, "an argument does not lie within the exchange buffer")
	errNotOpen    = Fail(ErrInvalid, "the instance is not open: session_open must be called first and succeed")
	errEmptyKey   = Fail(ErrInvalid, "the key is empty: must have at least one byte")
	errCursor     = Fail(ErrInvalid, "the cursor is negative")
	errMalformed  = Fail(ErrInvalid, "the list ends within a record, or has a record without a key")
)

// argument returns the bytes that an operation was given. They must lie within
// the exchange buffer, like everything that the host writes.
func (i *instance) argument(ptr, length uint32) ([]byte, bool) {
	offset := ptr - i.base // below base it wraps around and is out of range
	if uint64(offset)+uint64(length) > uint64(len(i.exchange)) {
		return nil, length == 0 // with no length, the pointer is not used
	}
	end := offset + length
	return i.exchange[offset:end:end], true
}

// refusal says why a call does not reach the engine.
func (i *instance) refusal(inside bool) error {
	switch {
	case !inside:
		return errOutside
	case !i.opened:
		return errNotOpen
	}
	return errEmptyKey
}

// checkSize allocates nothing: a caller that keeps sending too much must not
// fill the memory with messages.
func (i *instance) checkSize(key, value []byte) error {
	if len(key) > i.info.MaxKey {
		return i.keyTooLarge
	}
	if len(value) > i.info.MaxValue {
		return i.valueTooLarge
	}
	return nil
}

func (i *instance) done(err error) int64 {
	if err != nil {
		return i.fail(err)
	}
	return 0
}

// fail turns an error into its code and hands its message to the host. It is
// inlined for the common answers.
func (i *instance) fail(err error) int64 {
	if code, ok := err.(codeError); ok {
		return int64(code)
	}
	return failWithMessage(err)
}

func failWithMessage(err error) int64 {
	code, message := codeOf(err)
	if message != "" {
		hostFail(message[:min(len(message), abi.MaxMessage)])
	}
	return int64(code)
}

// region makes a result from bytes, or from a code.
func region(b []byte, code int64) int64 {
	if code < 0 || len(b) == 0 {
		return code
	}
	return abi.Pack(address(b), uint32(len(b)))
}
