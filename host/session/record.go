package session

import (
	"encoding/binary"
	"fmt"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// Record is a session as it is stored. Times are Unix milliseconds.
type Record struct {
	// Revision changes with every write; see [store.Write.Expect]. A stored record has
	// one from 1 to 2⁶³−1; a record without one counts as corrupt.
	Revision uint64

	// Created is when the session was first stored, Saved when it was last changed,
	// LastSeen when it was last looked at, as exactly as the settings ask for, and
	// Issued when it got its id.
	Created, Saved, LastSeen, Issued store.Millis

	// Expires is the first millisecond at which the session has ended, including its
	// idle timeout.
	Expires store.Millis

	// CookieUntil is what the browser was last told, or 0 for "until you close".
	// In what is left of a session it is the end of the grace for clients: a
	// request that began before it is led on by a RecordMoved, and gets no new
	// session from a RecordEnded.
	CookieUntil store.Millis

	// Lifetime is the session's own time to live after a change, or its own
	// fixed end if Fixed is set; 0 means that the settings decide.
	Lifetime store.Millis

	// IdleTimeout and AbsoluteTimeout are the session's own; 0 means that the
	// settings decide, and -1 that there is none.
	IdleTimeout, AbsoluteTimeout store.Millis

	Fixed bool

	// Codec is the id of the codec of the values.
	Codec uint8

	// Persistence says whether the cookie ends with the browser.
	Persistence Persistence

	// Transport is how the session's id travels.
	Transport Transport

	// State is what the record is: a session, or what is left of one.
	State RecordState

	// Held says whether a request that came with the session's id changed or ended it:
	// somebody got the response that told it.
	Held bool

	bound bool // to a user; kept only with Settings.AnonymousLifetime

	// fresh says that the values lie in fresh memory that has room for the rest of the
	// stored form before them, so that a commit does not copy them twice.
	fresh bool

	Values Values
}

// Persistence says whether a session's cookie ends when the browser closes.
type Persistence uint8

// What a session says of the end of its cookie.
const (
	PersistenceDefault Persistence = iota // as the settings say
	EndWithBrowser                        // the cookie ends with the browser
	Persist                               // the cookie stays
)

// Transport is how a session's id travels between client and server. A session
// stays with the one it began with.
type Transport uint8

// How an id travels.
const (
	TransportCookie Transport = iota
	TransportHeader           // Settings.TokenHeader
	TransportAny              // made by Manager.Session: whichever the application uses
	transports
)

// RecordState is what a record stands for.
type RecordState uint8

// The states of a record.
const (
	// RecordSession is a session.
	RecordSession RecordState = iota
	// RecordEnded is left for a while under the id of a session that was ended
	// or renewed. It leads nowhere, and keeps the session from being written
	// again. After a renewal it holds the storage key that the session got.
	RecordEnded
	// RecordMoved is left for a while under an old id when a session's id was
	// renewed by age. Its value leads from the old id to the new.
	RecordMoved
	recordStates
)

// The stored form, little-endian:
//
//	 0  revision     u64
//	 8  form         u8   formVersion
//	 9  codec        u8
//	10  flags        u8   bit 0: fixed; bits 1-2: browser; bits 3-4: transport; bits 5-6: state; bit 7: own timeouts
//	11  more flags   u8   bit 0: held; the rest: 0
//	12  values       u32  how many
//	16  created      i64
//	24  saved        i64
//	32  seen         i64
//	40  issued       i64
//	48  expires      i64
//	56  cookie until i64
//	64  lifetime     i64
//	72  idle timeout, absolute timeout   i64 each, only with own timeouts
//	    the block of values
const (
	formVersion  = 1
	recordHeader = 72
	timeoutsSize = 16
	maxRecord    = abi.MaxValue

	// leastRead is how much of a record is read however small Settings.MaxSize is:
	// lowering it must not end existing sessions, and a list of a user's sessions may
	// be as large as that.
	leastRead = maxIndex

	flagFixed      = 1
	browserShift   = 1
	transportShift = 3
	stateShift     = 5
	flagTimeouts   = 1 << 7
	flagHeld       = 1 // in the second byte
)

func (r *Record) hasTimeouts() bool { return r.IdleTimeout != 0 || r.AbsoluteTimeout != 0 }

// headerSize is the length of everything but the values.
func (r *Record) headerSize() int {
	if r.hasTimeouts() {
		return recordHeader + timeoutsSize
	}
	return recordHeader
}

// size is the length of the stored form.
func (r *Record) size() int { return r.headerSize() + len(r.Values.block()) }

// appendHeader appends everything but the values.
func (r *Record) appendHeader(b []byte, values uint32) []byte {
	var flags, more uint8
	if r.Fixed {
		flags |= flagFixed
	}
	if r.Held {
		more |= flagHeld
	}
	if r.hasTimeouts() {
		flags |= flagTimeouts
	}
	flags |= uint8(r.Persistence)<<browserShift | uint8(r.Transport)<<transportShift | uint8(r.State)<<stateShift
	b = binary.LittleEndian.AppendUint64(b, r.Revision)
	b = append(b, formVersion, r.Codec, flags, more)
	b = binary.LittleEndian.AppendUint32(b, values)
	for _, n := range [...]store.Millis{r.Created, r.Saved, r.LastSeen, r.Issued, r.Expires, r.CookieUntil, r.Lifetime} {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	if r.hasTimeouts() {
		b = binary.LittleEndian.AppendUint64(b, uint64(r.IdleTimeout))
		b = binary.LittleEndian.AppendUint64(b, uint64(r.AbsoluteTimeout))
	}
	return b
}

// encode returns the stored form.
func (r *Record) encode() []byte {
	if r.fresh {
		r.appendHeader(r.Values.all[:0], r.Values.n)
		return r.Values.all
	}
	b := r.appendHeader(make([]byte, 0, r.size()), r.Values.n)
	return append(b, r.Values.block()...)
}

// setValues sets the values that an overlay makes of a base.
func (r *Record) setValues(o *overlay, base Values) {
	r.Values, r.fresh = o.apply(r.headerSize(), base), true
}

// decode is the opposite of encode. The record's values share b's memory. On an error
// the record stays as it was.
func (r *Record) decode(b []byte) error {
	if len(b) < recordHeader {
		return fmt.Errorf("%w: the record has %d bytes: must have at least %d", ErrDecode, len(b), recordHeader)
	}
	if b[8] == sealedVersion {
		return fmt.Errorf("%w: the record is sealed and no keyring is set; set Settings.Keyring, or WADDLE_SECRET, to the secret that it was sealed with", ErrDecode)
	}
	if b[8] != formVersion {
		return fmt.Errorf("%w: the record has form %d: must have form %d, which this program reads", ErrDecode, b[8], formVersion)
	}
	flags := b[10]
	browser := Persistence(flags >> browserShift & 3)
	state := RecordState(flags >> stateShift & 3)
	transport := Transport(flags >> transportShift & 3)
	if b[11]&^flagHeld != 0 || browser > Persist || transport >= transports || state >= recordStates {
		return fmt.Errorf("%w: the record has unknown flags %#x %#x", ErrDecode, flags, b[11])
	}
	header := recordHeader
	var idle, absolute store.Millis
	if flags&flagTimeouts != 0 {
		if header += timeoutsSize; len(b) < header {
			return fmt.Errorf("%w: the record has %d bytes: must have at least %d, with its own timeouts", ErrDecode, len(b), header)
		}
		idle, absolute = store.Millis(binary.LittleEndian.Uint64(b[72:])), store.Millis(binary.LittleEndian.Uint64(b[80:]))
		if idle < timeoutNone || absolute < timeoutNone || idle == 0 && absolute == 0 {
			return fmt.Errorf("%w: the record's own timeouts are %d and %d: must be at least -1, and not both 0", ErrDecode, idle, absolute)
		}
	}
	values, err := ParseValues(b[header:])
	if err != nil {
		return err
	}
	if n := binary.LittleEndian.Uint32(b[12:]); values.n != n {
		return fmt.Errorf("%w: the record has %d values, but says that it has %d", ErrDecode, values.n, n)
	}
	if binary.LittleEndian.Uint64(b[48:]) == 0 {
		return fmt.Errorf("%w: the record's Expires is 0: must be a time", ErrDecode)
	}
	*r = Record{
		Revision:    binary.LittleEndian.Uint64(b),
		Codec:       b[9],
		Created:     store.Millis(binary.LittleEndian.Uint64(b[16:])),
		Saved:       store.Millis(binary.LittleEndian.Uint64(b[24:])),
		LastSeen:    store.Millis(binary.LittleEndian.Uint64(b[32:])),
		Issued:      store.Millis(binary.LittleEndian.Uint64(b[40:])),
		Expires:     store.Millis(binary.LittleEndian.Uint64(b[48:])),
		CookieUntil: store.Millis(binary.LittleEndian.Uint64(b[56:])),
		Lifetime:    store.Millis(binary.LittleEndian.Uint64(b[64:])),
		Fixed:       flags&flagFixed != 0,
		Persistence: browser,
		Transport:   transport,
		State:       state,
		Held:        b[11]&flagHeld != 0,
		Values:      values,

		IdleTimeout:     idle,
		AbsoluteTimeout: absolute,
	}
	return nil
}
