// Package backend starts real servers for tests: Redis and Valkey, alone, as a master with
// replicas under Sentinel, or as a cluster; PostgreSQL, and PgBouncer in front of it. It is
// for people who write guests that keep sessions in a server.
//
//	func TestEngine(t *testing.T) {
//		server := backend.Redis(t, backend.RedisOptions{})
//		open(t, server.Addr())
//	}
//
// Each server runs on free ports of 127.0.0.1 with a directory of its own, and answers
// when the function that starts it returns. It ends with the test. If the test has failed,
// the test's output has what the server logged. No process is left behind, even if the
// test's process is killed.
//
// A program that is not installed skips the test aloud. With CI=true in the environment it
// fails the test.
//
// # Faults
//
// [Process.Kill], [Process.Pause] and [Process.Restart] treat a server as an accident
// would. A [Proxy] between a client and a server cuts, stalls, slows and refuses
// connections. [RedisCluster.Move] moves slots while they are in use.
//
// # One server for many tests
//
// A server takes some ten milliseconds to start, a cluster about a second. Tests that need
// no server of their own have one in common:
//
//	func TestMain(m *testing.M) { os.Exit(backend.Main(m)) }
//
//	func TestGet(t *testing.T) {
//		server := backend.SharedRedis(t, backend.RedisOptions{})
//		open(t, server.Addr(), "prefix", t.Name())
//	}
package backend
