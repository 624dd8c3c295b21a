// Package browsertest drives the playground with a real browser: Chromium, from
// $CHROMIUM or found in PATH, against "waddle run" built from this checkout.
// Without a browser its tests are skipped with a notice; with CI=true they fail.
//
// It is a module of its own, so that importers of the root module do not get the
// dependencies that drive a browser.
//
// If SCREENSHOTS names a directory, the tests leave pictures of the page there.
package browsertest
