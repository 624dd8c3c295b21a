package main

import (
	"strconv"
	"time"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
	"github.com/waddle-sessions/waddle/guest/network"
)

// After a failure nobody connects to the server again for a while, which is twice as long
// after each further one. Calls fail at once meanwhile. The first call after a connection was
// lost always tries.
const (
	firstPause = 20 * time.Millisecond
	mostPause  = time.Second
)

// dialer makes connections on which somebody is logged in.
type dialer struct {
	settings *settings
	outages  map[string]*outage
}

// outage is a server that could not be reached.
type outage struct {
	last, next time.Time // tried, and to be tried
	pause      time.Duration
	err        error
}

// dial connects to a server that keeps records.
func (d *dialer) dial(address string, until time.Time) (*resp.Conn, error) {
	return d.connect(address, until, d.settings.login, d.settings.database)
}

// dialSentinel connects to a Sentinel.
func (d *dialer) dialSentinel(address string, until time.Time) (*resp.Conn, error) {
	return d.connect(address, until, d.settings.sentinels, 0)
}

// connect connects to a server, logs in and chooses a database.
func (d *dialer) connect(address string, until time.Time, as credentials, database int64) (*resp.Conn, error) {
	began := time.Now()
	out := d.outages[address]
	if out != nil && began.Before(out.next) {
		return nil, guest.Fail(answerOf(out.err), "the server was tried "+
			strconv.FormatInt(began.Sub(out.last).Milliseconds(), 10)+" ms ago: "+out.err.Error())
	}
	conn, err := d.open(address, began, until)
	if err == nil {
		if err = greet(conn, as, database); err != nil {
			conn.Close()
		}
	}
	if err == nil {
		delete(d.outages, address)
		return conn, nil
	}
	err = failure(err)
	if d.outages == nil {
		d.outages = make(map[string]*outage)
	}
	if out == nil {
		out = &outage{pause: firstPause / 2}
		d.outages[address] = out
	}
	out.pause = min(2*out.pause, mostPause)
	out.last = time.Now()
	out.next, out.err = out.last.Add(out.pause), err
	return nil, err
}

// open connects.
func (d *dialer) open(address string, now, until time.Time) (*resp.Conn, error) {
	kind := "tcp"
	switch {
	case isPath(address):
		kind = "unix"
	case d.settings.tls:
		kind = "tls"
	}
	through := network.Dialer{Blocking: true, Timeout: max(until.Sub(now), time.Millisecond)}
	stream, err := through.Dial(kind, address)
	if err != nil {
		return nil, err
	}
	conn := resp.NewConn(stream, resp.Limits{})
	conn.SetDeadline(until)
	return conn, nil
}

// greet logs in and chooses the database, in one trip. If there is nothing to say, it waits
// for any answer all the same: what stands before a server that is gone may take the
// connection and close it.
func greet(conn *resp.Conn, as credentials, database int64) error {
	switch {
	case as.user != "":
		conn.Do("AUTH", as.user, as.password)
	case as.password != "":
		conn.Do("AUTH", as.password)
	}
	if database != 0 {
		conn.Begin(2)
		conn.Text("SELECT")
		conn.Int(database)
	}
	if conn.Pending() == 0 {
		conn.Do("PING")
		_, err := conn.Read()
		return err
	}
	for conn.Pending() > 0 {
		r, err := conn.Read()
		if err != nil {
			return err
		}
		if err := r.Err(); err != nil {
			return err
		}
	}
	return nil
}
