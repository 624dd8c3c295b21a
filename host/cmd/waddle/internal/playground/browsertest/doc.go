// Package browsertest drives the playground with a real browser: Chromium, from
// $CHROMIUM or found in PATH, against the program "waddle run" as it is built
// from this checkout. Its tests are skipped aloud where there is no browser,
// unless CI=true, where they fail.
//
// It is a module of its own, so that nobody who imports the root module pulls
// what drives a browser.
//
// With SCREENSHOTS set to a directory, pictures of the page are left there.
package browsertest
