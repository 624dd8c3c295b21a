// Package fiberstorage makes any store.Store a storage for fiber's middleware: its
// sessions, cache, limiter, csrf and idempotency keep their records in a bundled engine
// or in a plugin from a .wasm, and no handler changes.
//
//	engine, err := engines.OpenFromEnv(ctx, os.Environ())
//	…
//	app.Use(session.New(session.Config{Storage: fiberstorage.New(engine, fiberstorage.Namespace("sessions"))}))
//	app.Use(limiter.New(limiter.Config{Storage: fiberstorage.New(engine, fiberstorage.Namespace("limits"))}))
//
// [Storage] has the methods of fiber.Storage of fiber v3, and so those of fiber v2. The
// package does not import fiber.
//
// Sessions of this project for fiber are in fibersession: they merge concurrent
// changes, which middleware that stores a session as a whole cannot.
package fiberstorage
