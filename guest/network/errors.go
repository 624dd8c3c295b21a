package network

import (
	"os"
	"time"
)

// errDeadline is package net's error for a deadline that has passed.
var errDeadline = os.ErrDeadlineExceeded

// past is a deadline that has passed.
var past = time.Unix(1, 0)
