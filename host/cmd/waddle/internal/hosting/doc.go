// Package hosting is what "waddle host" runs: it serves the tenants whose manifests lie
// in a directory, and shows them to whoever operates the process.
//
// A [Directory] reads the manifests, again and again, and deploys what has changed. A
// [Site] answers the tenants' own requests. An [Admin] is a page, a JSON interface and
// metrics for the operator, behind a token.
package hosting
