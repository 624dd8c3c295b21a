// Package nethttp shows sessions in a server of net/http, as it is.
package nethttp
