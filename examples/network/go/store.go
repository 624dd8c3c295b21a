package main

import (
	"bufio"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/network"
)

// engine keeps records in Redis: eight bytes that say when it expires, and the value.
type engine struct {
	network, address string
	prefix           string

	conn *network.Conn
	in   *bufio.Reader

	// Buffers that are used again. In Go, what a call leaves behind is what fills the memory.
	key, record, command, answer []byte
}

func (e *engine) Open(config *guest.Config) error {
	var ok bool
	if e.network, e.address, ok = strings.Cut(config.String("address", "tcp://127.0.0.1:6379"), "://"); !ok {
		config.Refuse("address", "must be tcp://host:port, tls://host:port or unix:///path")
	}
	e.prefix = config.String("prefix", "waddle:")
	if strings.ContainsAny(e.prefix, `*?[]\`) {
		config.Refuse("prefix", `must have none of *?[]\`)
	}
	if err := config.Err(); err != nil {
		return err
	}
	_, err := e.call([]byte("PING"))
	return err
}

func (e *engine) Get(key []byte, now int64) ([]byte, error) {
	record, err := e.call([]byte("GET"), e.name(key))
	switch {
	case err != nil:
		return nil, err
	case record == nil:
		return nil, guest.ErrNotFound
	case len(record) < 8:
		return nil, guest.ErrCorrupt
	case guest.Expired(int64(binary.LittleEndian.Uint64(record)), now):
		return nil, guest.ErrNotFound
	}
	return record[8:], nil
}

// live says whether the record is there at ARGV[1]. The host's time decides, of which half fits
// into a number of Lua.
const live = `
local record, live = redis.call('GETRANGE', KEYS[1], 0, 15), false
if #record >= 8 then
  local elow, ehigh = struct.unpack('<I4i4', record)
  local low, high = struct.unpack('<I4i4', ARGV[1])
  live = (elow == 0 and ehigh == 0) or high < ehigh or (high == ehigh and low < elow)
end`

var set = []byte(live + `
if ARGV[2] == 'absent' then
  if live then return 0 end
elseif ARGV[2] ~= 'any' then
  if not live or string.sub(string.sub(record, 9) .. string.rep('\0', 8), 1, 8) ~= ARGV[2] then return 0 end
end
if ARGV[3] == '' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[3]) end
if ARGV[4] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1`)

func (e *engine) Set(w guest.Write) error {
	expect := number(w.Expect)
	switch w.Expect {
	case 0:
		expect = []byte("any")
	case -1:
		expect = []byte("absent")
	}
	e.record = e.record[:0]
	if !w.Expired() {
		e.record = append(append(e.record, number(w.Expires)...), w.Value...)
	}
	return e.eval(set, w.Key, guest.ErrConflict, number(w.Now), expect, e.record, dropAfter(w.Expires, w.Now))
}

var touch = []byte(live + `
if not live then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1])
else redis.call('SETRANGE', KEYS[1], 0, ARGV[2]) redis.call('PERSIST', KEYS[1]) end
if ARGV[3] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1`)

func (e *engine) Touch(key []byte, expires, now int64) error {
	header := number(expires)
	if guest.Expired(expires, now) {
		header = nil
	}
	return e.eval(touch, key, guest.ErrNotFound, number(now), header, dropAfter(expires, now))
}

// eval runs a script over a record. An answer of 0 is the error no.
func (e *engine) eval(script, key []byte, no error, args ...[]byte) error {
	done, err := e.call(append([][]byte{[]byte("EVAL"), script, []byte("1"), e.name(key)}, args...)...)
	if err == nil && string(done) == "0" {
		return no
	}
	return err
}

// dropAfter is when Redis drops a record, by its own clock: a minute after it has expired. "0"
// means never.
func dropAfter(expires, now int64) []byte {
	if ms := expires - now; expires != 0 && ms > 0 && ms < 1<<40 {
		return strconv.AppendInt(nil, ms+60_000, 10)
	}
	return []byte("0")
}

func (e *engine) Delete(key []byte, _ int64) error {
	_, err := e.call([]byte("DEL"), e.name(key))
	return err
}

// Redis serves nobody else meanwhile. A store for many users removes one page after the other.
const clear = `
local cursor = '0'
repeat
  local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
  cursor = page[1]
  for _, name in ipairs(page[2]) do redis.call('UNLINK', name) end
until cursor == '0'`

func (e *engine) Clear(int64) error {
	_, err := e.call([]byte("EVAL"), []byte(clear), []byte("0"), []byte(e.prefix+"*"))
	return err
}

func (e *engine) Save(int64) error { return nil } // as safe as the server's settings make it

func (e *engine) name(key []byte) []byte {
	e.key = append(append(e.key[:0], e.prefix...), key...)
	return e.key
}

func number(n int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }
