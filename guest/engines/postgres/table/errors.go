package table

import (
	"errors"
	"os"
	"strings"
	"syscall"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/postgres/client"
)

// answer makes one of package guest's errors from one of the client's.
func answer(err error) error {
	if err == nil {
		return nil
	}
	return guest.Fail(kind(err), err.Error()+advice(err))
}

// Codes of the server's errors that have a meaning of their own here.
const (
	codeProtocol      = "08P01" // also what a pooler calls a wrong password
	codeReadOnly      = "25006"
	codeNoStatement   = "26000" // a prepared statement is not there
	codeStatement     = "42P05" // a prepared statement is there already
	codeNoDatabase    = "3D000"
	codeNoSchema      = "3F000"
	codeSerialization = "40001"
	codeDeadlock      = "40P01"
	codeNoRight       = "42501"
	codeNoTable       = "42P01"
	codeDiskFull      = "53100"
	codeNoLock        = "55P03"
	codeDataCorrupt   = "XX001"
	codeIndexCorrupt  = "XX002"
)

// kind returns the error of package guest that the failure is.
func kind(err error) error {
	switch code := client.Code(err); {
	case errors.Is(err, client.ErrPassword), errors.Is(err, client.ErrNoTLS), errors.Is(err, syscall.EACCES),
		strings.HasPrefix(code, "28"), code == codeNoRight, code == codeProtocol && strings.Contains(err.Error(), "authentication failed"):
		return guest.ErrDenied
	case code == codeDiskFull:
		return guest.ErrNoSpace
	case code == codeDataCorrupt, code == codeIndexCorrupt:
		return guest.ErrCorrupt
	case code == codeNoDatabase, code == codeNoSchema:
		return guest.ErrInvalid
	case errors.Is(err, client.ErrLost), errors.Is(err, errStandby), unavailable[code[:min(2, len(code))]], code == codeNoTable:
		return guest.ErrUnavailable
	}
	return guest.ErrInternal
}

// unavailable are the classes of errors that pass: of connections, of transactions that
// others or the operator have ended, of resources, of what is in use.
var unavailable = map[string]bool{"08": true, "25": true, "40": true, "53": true, "55": true, "57": true, "58": true}

var errStandby = errors.New("the server is a standby, which takes no writes")

// advice says what an operator can do about an error.
func advice(err error) string {
	switch code := client.Code(err); {
	case errors.Is(err, client.ErrNoTLS):
		return ": set up TLS there, or set tls=off if nobody can read along"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ": no answer within timeout_ms"
	case code == codeReadOnly:
		return ": addresses must name a server that takes writes"
	case code == codeNoTable:
		return ": the table was removed; the next start makes it"
	case code == codeDiskFull:
		return ": the disk of the server is full"
	case code == codeNoSchema:
		return ": make the schema, or set table to one without it"
	}
	return ""
}

// again reports whether an error may go away if the transaction is run once more.
func again(err error) bool {
	if errors.Is(err, client.ErrLost) {
		return !errors.Is(err, errOnce) && !errors.Is(err, client.ErrUnreachable) && kind(err) == guest.ErrUnavailable
	}
	switch client.Code(err) {
	case codeSerialization, codeDeadlock, codeReadOnly, codeNoStatement, codeStatement:
		return true
	}
	return false
}
