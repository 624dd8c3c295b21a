package protocol

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// Config is what a [Store] needs to know. New, Pairs and Fail must be set.
type Config struct {
	// Name is what logs and errors call the plugin. Empty means the name that the
	// guest gives itself, or else DefaultName.
	Name, DefaultName string

	// Shards is how many instances there are at most, a power of two.
	Shards int

	// New makes an instance of which nothing has been called yet, and Pairs what
	// its Open is given.
	New   func(shard int) (Instance, error)
	Pairs func(shard int) []byte

	// Admit may refuse a guest by what it describes, before it is opened. Nil
	// admits all.
	Admit func(*Description) error

	// Opened is told when a shard has got an instance, whose lock is held: it must not
	// call the store. Nil for nobody.
	Opened func(shard int)

	// Fail makes the error that a caller gets.
	Fail func(*Failure) error

	// Writable is asked before each write; what it returns is the write's error.
	// Nil means that nothing can be in the way.
	Writable func() error

	// Queue is for guests that may hold a call for long: whoever waits for one does so
	// where its context can end it.
	Queue bool

	// MemoryLimit is the memory of an instance and FileBytes what all of them
	// may have in files, less than 0 for no bound: by these an enumeration is
	// known not to end. Sequence is how long calls may take of which the guest
	// says how many there are; 0 means no bound.
	MemoryLimit, FileBytes int64
	Sequence               time.Duration

	// KeepsFiles says that the next instance finds what the last one saved, and
	// that two instances of one shard must not be open at once.
	KeepsFiles bool

	// SaveEach makes every write durable before it returns.
	SaveEach bool

	Logger *slog.Logger     // nil for none
	Now    func() time.Time // the clock of pauses; nil for [time.Now]

	// Judge is the time by which records are taken for expired where a save is the
	// host's idea, given what a caller says it is. Nil means what the caller says.
	Judge func(now store.Millis) store.Millis

	// Patience is how long Save waits for a snapshot of one shard, and CloseGrace
	// how long Close waits for a sign of life after its context has ended. 0 means
	// ten seconds and two.
	Patience, CloseGrace time.Duration
}

const (
	defaultPatience = 10 * time.Second
	// A context that has ended before Close, as that of a server's shutdown may
	// have, must not cost what was written.
	defaultCloseGrace = 2 * time.Second
)

func (c Config) settle() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
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
