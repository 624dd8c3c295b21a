// Package adapttest is a suite of tests for sessions in a web framework. It runs
// the framework's own server and is its client, over real connections. For each
// behaviour of HTTP it checks that the session keeps its promises, not only that
// bytes arrive.
//
//	func TestSuite(t *testing.T) {
//		adapttest.Run(t, adapttest.Framework{Name: "gin", Start: start})
//	}
//
// A framework serves the suite's [Route]s by its own means. A route's handler is
// written once, over an [Exchange], which each adapter implements in the style of
// its framework. [HTTP] is an Exchange over net/http; embed it and replace the
// methods for which the framework has something of its own. [Serve] runs a server
// for any http.Handler.
//
// The results are compared with the file testdata/table.txt of the package under
// test, from which the table in the README of host/adapt is made. Run the tests
// with -update to write it.
//
// The package is for tests alone.
package adapttest
