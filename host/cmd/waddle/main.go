// Command waddle works with sessions whose storage is a WebAssembly plugin.
//
//	waddle run [FILE.wasm]      serve the playground
//	waddle host DIR             serve the tenants whose manifests lie in a directory
//	waddle serve                serve sessions to programs in other languages
//	waddle manifest ACTION      check the manifests of tenants, and seal their plugins
//	waddle check DIR            look for damage in a directory of sessions
//	waddle backup DIR FILE      copy a directory of sessions to a file, while it is served
//	waddle restore FILE DIR     make a directory of sessions from a backup
//	waddle sessions ACTION      count, list, show and end what is stored
//	waddle migrate              move all sessions to another engine, codec or secret
//	waddle inspect FILE.wasm    show what a module is and what it may do
//	waddle test FILE.wasm       run the conformance suite on a module
//	waddle bench FILE.wasm      compare a module's speed with a bundled engine's
//	waddle new LANGUAGE DIR     make a project for a plugin of your own
//	waddle completion SHELL     write a script that completes waddle's arguments
//	waddle version              show the version of waddle
//	waddle help [VERB]          explain a verb
//
// The exit code is 0 on success, 1 if something failed, and 2 for arguments or
// settings that cannot work.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-asked
		// After this a second signal ends the process at once, however long the
		// first takes.
		signal.Stop(asked)
		cancel()
	}()
	os.Exit(run(ctx, os.Args[1:], &environment{os.Environ(), os.Stdin, os.Stdout, os.Stderr}))
}

// untilPipeBreaks returns a context that ends when nobody reads the output any
// more. Otherwise that would end the process at once and leave a verb's files
// behind.
func untilPipeBreaks(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	go func() {
		select {
		case <-broken:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(broken)
		cancel()
	}
}

// environment is a verb's input besides its arguments, and its output.
type environment struct {
	variables      []string // in the form of os.Environ
	stdin          io.Reader
	stdout, stderr io.Writer
}
