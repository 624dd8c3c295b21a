package tenant

import (
	"errors"
	"fmt"
)

// Errors of a [Host]. Test for them with [errors.Is].
var (
	ErrUnknown   = errors.New("tenant: no such tenant")
	ErrTooMany   = errors.New("tenant: too many tenants")
	ErrClosed    = errors.New("tenant: the host is closed")
	ErrHostName  = errors.New("tenant: host name belongs to another tenant")
	ErrProbe     = errors.New("tenant: the plugin does not keep what it is given")
	ErrMove      = errors.New("tenant: the sessions could not be moved")
	ErrWouldLose = errors.New("tenant: replacing the plugin would lose its sessions")
	ErrState     = errors.New("tenant: the state on disk cannot be used")
)

// Stage is a part of deploying, in order.
type Stage string

// The stages of deploying.
const (
	StageManifest Stage = "manifest" // reading and checking what was given
	StageModule   Stage = "module"   // checking and compiling the plugin
	StageOpen     Stage = "open"     // starting it
	StageProbe    Stage = "probe"    // trying it with a record
	StageMove     Stage = "move"     // moving the sessions to it
	StageSettings Stage = "settings" // making the session manager
	StageNames    Stage = "names"    // giving the tenant its host names
)

// DeployError is returned when a deploy fails. It is also its cause, under [errors.Is]
// and [errors.As].
type DeployError struct {
	Tenant string
	Stage  Stage
	// Serving says that the tenant goes on as it was before.
	Serving bool
	Err     error
}

// Error describes the failure in one line.
func (e *DeployError) Error() string {
	s := fmt.Sprintf("deploying tenant %q: %s: %v", e.Tenant, e.Stage, e.Err)
	if e.Serving {
		s += "; the tenant goes on as before"
	}
	return s
}

// Unwrap returns the cause.
func (e *DeployError) Unwrap() error { return e.Err }
