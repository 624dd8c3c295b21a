// Command waddle works with sessions whose storage is a WebAssembly plugin.
//
//	waddle run [FILE.wasm]      serve the playground
//	waddle inspect FILE.wasm    say what a module is, and what it may do
//	waddle test FILE.wasm       hold a module to the conformance suite
//	waddle bench FILE.wasm      measure a module beside a bundled engine
//	waddle new LANGUAGE DIR     make a project for a plugin of your own
//	waddle completion SHELL     write a script that completes waddle's arguments
//	waddle version              say which waddle this is
//	waddle help [VERB]          explain a verb
//
// It ends with 0 if all went well, 1 if something failed, and 2 if it was
// called with arguments or settings that cannot work.
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
		// With nobody listening any more, a second signal ends the process at
		// once, however long the first takes.
		signal.Stop(asked)
		cancel()
	}()
	os.Exit(run(ctx, os.Args[1:], &environment{os.Environ(), os.Stdin, os.Stdout, os.Stderr}))
}

// untilPipeBreaks returns a context that ends when nobody reads the output any
// more. That would end the process at once otherwise, and leave behind what a
// verb has made.
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

// environment is what a verb has beside its arguments.
type environment struct {
	variables      []string // as os.Environ gives them
	stdin          io.Reader
	stdout, stderr io.Writer
}
