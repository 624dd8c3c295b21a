package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/host/store"
)

// Call is one call that was made and its result, in words.
type Call struct {
	Store  int    `json:"store"` // which of the check's stores, from 1
	Op     string `json:"op"`    // "set"
	Args   string `json:"args"`  // key "k" (6b), value …, expires T+60000, now T, expect any
	Result string `json:"result"`
}

// String puts the call on one line.
func (c Call) String() string {
	op := c.Op
	if c.Store > 1 {
		op += "#" + strconv.Itoa(c.Store)
	}
	return strings.TrimRight(fmt.Sprintf("%-9s %s", op, c.Args), " ") + " -> " + c.Result
}

// A check also does what is no operation of a store.
const (
	opOpen   store.Op = "open"
	opRecord store.Op = "record" // of those that a restore is given
)

// call is a call in the form in which it is kept until somebody asks: putting
// it into words costs more than most calls.
type call struct {
	store      int
	op         store.Op
	key, value []byte
	expires    store.Millis
	now        store.Millis
	expect     int64
	count      int // max of sweep, records of restore and of an enumeration
	setup      Setup
	beside     int // the store whose records an opened one has, 0 for none
	err        error
	result     []byte
}

// concerns reports whether the call can concern one of the keys. Without keys,
// every call can.
func (c *call) concerns(keys [][]byte) bool {
	if c.key == nil || len(keys) == 0 {
		return true
	}
	return slices.ContainsFunc(keys, func(key []byte) bool { return bytes.Equal(key, c.key) })
}

func (c *call) words() Call {
	out := Call{Store: c.store, Op: string(c.op)}
	switch c.op {
	case opOpen:
		if c.setup.Shards > 0 {
			out.Args = fmt.Sprintf("shards %d", c.setup.Shards)
		}
		if c.setup.MemoryLimit > 0 {
			out.Args = strings.TrimSpace(out.Args + fmt.Sprintf(" memory limit %d", c.setup.MemoryLimit))
		}
		if c.beside > 0 {
			out.Args = strings.TrimSpace(out.Args + fmt.Sprintf(" with the records of #%d", c.beside))
		}
	case store.OpGet, store.OpDelete:
		out.Args = fmt.Sprintf("key %s, now %s", bytesInWords(c.key), timeInWords(c.now))
	case store.OpSet:
		out.Args = fmt.Sprintf("key %s, value %s, expires %s, now %s, expect %s", bytesInWords(c.key), bytesInWords(c.value),
			expiryInWords(c.expires), timeInWords(c.now), expectInWords(c.expect))
	case store.OpTouch:
		out.Args = fmt.Sprintf("key %s, expires %s, now %s", bytesInWords(c.key), expiryInWords(c.expires), timeInWords(c.now))
	case store.OpSweep:
		out.Args = fmt.Sprintf("max %d, now %s", c.expect, timeInWords(c.now))
	case store.OpRestore:
		out.Args = fmt.Sprintf("%d records, now %s", c.count, timeInWords(c.now))
	case opRecord:
		out.Op, out.Args = "  record", fmt.Sprintf("key %s, value %s, expires %s", bytesInWords(c.key), bytesInWords(c.value), expiryInWords(c.expires))
	case store.OpClear, store.OpSave, store.OpKeys, store.OpSnapshot:
		out.Args = "now " + timeInWords(c.now)
	}
	switch {
	case c.err != nil:
		out.Result = errorInWords(c.err)
	case c.op == store.OpGet:
		out.Result = bytesInWords(c.result)
	case c.op == store.OpSweep:
		out.Result = fmt.Sprintf("%d removed", c.count)
	case c.op == store.OpKeys:
		out.Result = fmt.Sprintf("%d keys", c.count)
	case c.op == store.OpSnapshot:
		out.Result = fmt.Sprintf("%d records", c.count)
	default:
		out.Result = "success"
	}
	return out
}

// shown is how many bytes are written out on either side of a gap.
const shown = 8

// bytesInWords writes bytes as quoted text and in hexadecimal. Of long ones it
// writes the beginning, the end and the length.
func bytesInWords(b []byte) string {
	switch {
	case b == nil:
		return `"" (no bytes)`
	case len(b) == 0:
		return `"" (0 bytes)`
	case len(b) <= 4*shown:
		return fmt.Sprintf("%q (% x, %d bytes)", b, b, len(b))
	}
	head, tail := b[:shown], b[len(b)-shown:]
	return fmt.Sprintf("%q…%q (% x … % x, %d bytes)", head, tail, head, tail, len(b))
}

// timeInWords writes a time relative to Now, or as a number if it is far away.
func timeInWords(ms store.Millis) string {
	const near = 1000 * 24 * 3600 * 1000
	switch d := ms - Now; {
	case d == 0:
		return "T"
	case ms < 0 && d > 0 || d > near || d < -near:
		return strconv.FormatInt(int64(ms), 10)
	default:
		return fmt.Sprintf("T%+d", d)
	}
}

func expiryInWords(ms store.Millis) string {
	if ms == 0 {
		return "never"
	}
	return timeInWords(ms)
}

func expectInWords(expect int64) string {
	switch expect {
	case store.Any:
		return "any"
	case store.Absent:
		return "absent"
	}
	return fmt.Sprintf("revision %d", uint64(expect))
}

// errorInWords writes an error by its name in the specification.
func errorInWords(err error) string {
	if err == nil {
		return "success"
	}
	known, name := store.ErrClosed, "closed"
	if code, ok := store.CodeOf(err); ok {
		known, name = store.FromCode(code), code.String()
	}
	switch {
	case err == known:
		return name
	case errors.Is(err, known):
		return name + " (" + err.Error() + ")"
	}
	return "error: " + err.Error()
}
