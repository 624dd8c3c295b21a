package records

import (
	"encoding/binary"
	"fmt"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/session"
)

// frame is a record as the store has it:
//
//	 0  revision  u64, little-endian
//	 8  form      u8, frameForm
//	 9  flags     u8: frameEnded, frameNamed
//	10  length    u16, little-endian, of the token
//	12  token     if it is kept
//	    data      the rest
type frame struct {
	revision int64
	ended    bool // the session was ended, and this is what is left
	named    bool // the token is kept
	token    string
	data     []byte
}

const (
	frameEnded = 1 << iota
	frameNamed
)

const (
	frameForm   = 'a' // no form of package session, so that neither is taken for the other
	frameHeader = abi.RevisionSize + 4

	// maxData leaves room for the header, the token and the seal.
	maxData = abi.MaxValue - frameHeader - MaxToken - 64
)

func (f frame) encode() []byte {
	b := make([]byte, 0, frameHeader+len(f.token)+len(f.data))
	b = binary.LittleEndian.AppendUint64(b, uint64(f.revision))
	flags := byte(0)
	if f.ended {
		flags |= frameEnded
	}
	if f.named {
		flags |= frameNamed
	}
	b = append(b, frameForm, flags)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(f.token)))
	b = append(b, f.token...)
	return append(b, f.data...)
}

func parse(b []byte) (frame, error) {
	if len(b) < frameHeader {
		return frame{}, fmt.Errorf("%w: the record has %d bytes: must have at least %d", session.ErrDecode, len(b), frameHeader)
	}
	flags := b[abi.RevisionSize+1]
	f := frame{revision: int64(abi.Revision(b)), ended: flags&frameEnded != 0, named: flags&frameNamed != 0}
	n := int(binary.LittleEndian.Uint16(b[abi.RevisionSize+2:]))
	switch {
	case b[abi.RevisionSize] != frameForm:
		return frame{}, fmt.Errorf("%w: the record has form %d: must have form %d, which this program reads", session.ErrDecode, b[abi.RevisionSize], frameForm)
	case flags > frameEnded|frameNamed:
		return frame{}, fmt.Errorf("%w: the record has flags %d: must be 0 to %d", session.ErrDecode, flags, frameEnded|frameNamed)
	case f.revision <= 0:
		return frame{}, fmt.Errorf("%w: the record has revision %d: must have at least 1", session.ErrDecode, f.revision)
	case n > len(b)-frameHeader:
		return frame{}, fmt.Errorf("%w: the record's token has %d bytes, and the record %d: must be within it", session.ErrDecode, n, len(b))
	}
	f.token, f.data = string(b[frameHeader:frameHeader+n]), b[frameHeader+n:]
	return f, nil
}
