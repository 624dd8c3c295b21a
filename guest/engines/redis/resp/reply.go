package resp

import (
	"strconv"
	"strings"
)

// Kind is the kind of a reply.
type Kind byte

// Kinds of replies.
const (
	Null   Kind = iota // nothing is there: $-1 or *-1
	Status             // +OK
	Failed             // -ERR …; Err returns it
	Int                // :1
	Bulk               // a string of bytes
	Array              // of replies
)

// Reply is an answer of a server, or an element of one. Its bytes and elements lie in
// the connection's memory and are valid until the next Read.
type Reply struct {
	Kind     Kind
	Int      int64
	Text     []byte // of Status, Failed and Bulk
	Elements []Reply

	from, length int // of Text from the beginning of the reply, or of Elements
}

// OK reports whether the reply is the status OK.
func (r *Reply) OK() bool { return r.Kind == Status && string(r.Text) == "OK" }

// Err returns what the server refused, or nil if it did not.
func (r *Reply) Err() error {
	if r.Kind != Failed {
		return nil
	}
	return Error(r.Text)
}

// Number returns an Int, or a Status or Bulk that is a decimal number, as INFO and CONFIG
// write them.
func (r *Reply) Number() (int64, bool) {
	switch r.Kind {
	case Int:
		return r.Int, true
	case Bulk, Status:
		n, err := strconv.ParseInt(string(r.Text), 10, 64)
		return n, err == nil
	}
	return 0, false
}

// Error is an error that the server answered. The connection lives on.
type Error string

// Error implements error.
func (e Error) Error() string { return "the server answered " + strconv.Quote(string(e)) }

// Code returns the first word, such as MOVED.
func (e Error) Code() string {
	code, _, _ := strings.Cut(string(e), " ")
	return code
}
