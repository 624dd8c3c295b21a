package network

import "time"

// Until is how long to wait. The zero value does not wait.
type Until struct {
	At   time.Time       // the moment when waiting ends
	Done <-chan struct{} // ends it before, if it is not nil; waiting then costs more
}

func (u Until) passed() bool { return u.At.IsZero() || !time.Now().Before(u.At) }
