// Command probe is a guest that tests use to make connections from within a sandbox. A get
// does what its key says, "what mode network address", and returns what came of it.
package main

import (
	"bytes"
	"strings"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/network"
)

func init() { guest.Register(&engine{kept: make(map[string]*kept)}, guest.Info{Name: "probe"}) }

func main() {}

// engine keeps what a scene leaves for the next.
type engine struct {
	kept  map[string]*kept
	idles int
}

func (e *engine) Open(*guest.Config) error { return nil }

func (e *engine) Get(key []byte, _ int64) ([]byte, error) {
	words := strings.Fields(string(bytes.Clone(key)))
	scene, ok := scenes[words[0]]
	if !ok {
		return nil, guest.Fail(guest.ErrInvalid, "there is no scene "+words[0])
	}
	p := &play{engine: e, dialer: network.Dialer{Blocking: words[1] == "blocking"}, network: words[2], address: words[3]}
	if len(words) > 4 {
		p.more = words[4]
	}
	scene(p)
	return p.told.Bytes(), nil
}

func (e *engine) Set(guest.Write) error      { return guest.ErrUnsupported }
func (e *engine) Delete([]byte, int64) error { return nil }
func (e *engine) Clear(int64) error          { return nil }
func (e *engine) Save(int64) error           { return nil }

// Idle implements guest.Idler.
func (e *engine) Idle(int64) (int64, error) {
	e.idles++
	return 10, nil
}
