// Package tenant runs the storage plugins of many customers in one process: each is a
// tenant, with its own plugin, sessions, cookie, keys and limits.
package tenant
