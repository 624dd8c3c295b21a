package network

import (
	"errors"
	"os"
	"time"
)

var (
	errTLSTwice  = errors.New("the connection has TLS already")
	errBeforeTLS = errors.New("the server sent something before TLS began")

	// errDeadline is package net's error for a deadline that has passed.
	errDeadline = os.ErrDeadlineExceeded
)

// past is a deadline that has passed.
var past = time.Unix(1, 0)
