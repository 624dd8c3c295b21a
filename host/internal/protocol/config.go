package protocol

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// Config configures a [Store]. New, Pairs and Fail must be set.
type Config struct {
	// Name is the plugin's name in logs and errors. If it is empty, the guest's own
	// name is used, or else DefaultName.
	Name, DefaultName string

	// Shards is the largest number of instances, a power of two.
	Shards int

	// MaxCalls bounds the operations on records that run at once, MaxQueue those that wait for an
	// instance, and QueueWait how long each does. MaxCalls of 0 means as many as there are
	// shards. MaxQueue of 0 means a default, and less than 0 no bound; so does QueueWait.
	MaxCalls, MaxQueue int
	QueueWait          time.Duration

	// New makes an instance on which nothing has been called yet. Pairs returns the
	// argument for its Open.
	New   func(shard int) (Instance, error)
	Pairs func(shard int) []byte

	// Admit may refuse a guest by its description, before it is opened. Nil admits
	// all.
	Admit func(*Description) error

	// Opened is called when a shard has got an instance. It must not call the store,
	// since the shard's lock is held. Nil means no call.
	Opened func(shard int)

	// Woken is called when the instance of a shard was woken that had been put aside. The same
	// goes for it.
	Woken func(shard int)

	// Fail turns a failure into the error that a caller gets.
	Fail func(*Failure) error

	// Allow is called before each operation, but not before saves, sweeps and
	// restores, and between the steps of an enumeration. It returns why the operation
	// may not be made; the store fills in which it was. Nil allows all.
	Allow func() *Failure

	// MaxKey and MaxValue bound keys and values in bytes, whatever the guest takes. 0 means
	// the contract's bounds.
	MaxKey, MaxValue int

	// Exceeded is called when the guest or a caller exceeds a limit that the store looks
	// after. Several goroutines may call it at once. Nil means no call.
	Exceeded func(Limit)

	// Writable is called before each write; an error that it returns becomes the
	// write's. Nil means that writing is always possible.
	Writable func() error

	// MemoryLimit bounds the memory of one instance and FileBytes the files of all
	// of them, less than 0 for no bound. An enumeration that exceeds them does not
	// end. Sequence bounds the time of a series of calls whose number the guest
	// decides; 0 means no bound.
	MemoryLimit, FileBytes int64
	Sequence               time.Duration

	// KeepsFiles says that a new instance finds what the last one saved, and that
	// two instances of one shard must not be open at once.
	KeepsFiles bool

	// Keep takes room for bytes of records that the store keeps while an instance sleeps.
	// If it returns an error, the instance does not sleep. Drop gives the room back.
	// Several goroutines may call them at once. Nil means that there is always room.
	Keep func(bytes int) error
	Drop func(bytes int)

	// BatchTime is how long a call for several operations may take before the next are for
	// fewer. 0 means that it does not matter.
	BatchTime time.Duration

	// SaveEach makes every write durable before it returns.
	SaveEach bool

	Logger *slog.Logger     // nil for none
	Now    func() time.Time // the clock of pauses; nil for [time.Now]

	// Judge takes the caller's time and returns the time by which saves and sweeps
	// that the host starts take records for expired. Nil means the caller's time.
	Judge func(now store.Millis) store.Millis

	// Patience is how long Save waits for a snapshot of one shard; 0 means ten
	// seconds. CloseGrace is how long Close waits for a sign of life after its
	// context has ended; 0 means two seconds.
	Patience, CloseGrace time.Duration
}

// The bounds of a queue whose config sets none: of operations that wait for each shard, and
// of the time that each waits.
const (
	DefaultQueue     = 1024
	DefaultQueueWait = 10 * time.Second
)

const (
	defaultPatience = 10 * time.Second
	// A context that ended before Close, as a server's shutdown context may, must
	// not lose writes.
	defaultCloseGrace = 2 * time.Second
)

func (c Config) resolve() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Keep == nil {
		c.Keep, c.Drop = func(int) error { return nil }, func(int) {}
	}
	if c.Exceeded == nil {
		c.Exceeded = func(Limit) {}
	}
	c.MaxKey = cmp.Or(c.MaxKey, abi.MaxKey)
	c.MaxValue = cmp.Or(c.MaxValue, abi.MaxValue)
	if c.MaxQueue == 0 {
		c.MaxQueue = DefaultQueue * c.Shards
	}
	c.QueueWait = cmp.Or(c.QueueWait, DefaultQueueWait)
	c.Patience = cmp.Or(c.Patience, defaultPatience)
	c.CloseGrace = cmp.Or(c.CloseGrace, defaultCloseGrace)
	return c
}

func (c *Config) judge(now store.Millis) store.Millis {
	if c.Judge == nil {
		return now
	}
	return c.Judge(now)
}
