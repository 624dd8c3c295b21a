package main

import (
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/postgres/client"
	"github.com/waddle-sessions/waddle/guest/engines/postgres/table"
)

const (
	defaultTable       = "waddle_sessions"
	defaultConnections = 4
	defaultTimeoutMS   = 5000
	defaultPort        = "5432"

	mostConnections = 64
	mostTimeoutMS   = 3_600_000

	// leastOpen is the least time for opening: another server may be making the table.
	leastOpen = 10 * time.Second

	// leastMemory has room for the largest value in several copies.
	leastMemory = 20 << 20

	// messageRoom is what a message of the server has besides a value.
	messageRoom = 64 << 10
)

// read reads the settings. No error shows the password.
func read(config *guest.Config) (table.Options, error) {
	login := &client.Config{
		User:        config.String("user", "postgres"),
		Password:    config.String("password", ""),
		Application: "waddle",
		Random:      guest.Random,
		MaxMessage:  maxValue + messageRoom,
	}
	login.Database = config.String("database", login.User)
	o := table.Options{
		Client:      login,
		Name:        config.String("table", defaultTable),
		Connections: int(config.Int("connections", defaultConnections, 1)),
		SyncCommit:  config.String("synchronous_commit", ""),
		Unlogged:    config.Bool("unlogged", false),
		Scratch:     guest.Scratch,
		Log:         guest.Log,
		Random:      guest.RandomUint64,
	}
	timeout := config.Int("timeout_ms", defaultTimeoutMS, 1)
	o.Timeout = time.Duration(timeout) * time.Millisecond
	o.OpenTimeout = max(o.Timeout, leastOpen)
	login.TLS = either(config, "tls", "off")
	o.Unmanaged = !either(config, "migrate", "on")
	o.Unprepared = !either(config, "prepare", "on")
	list, err := addresses(config)
	if err != nil {
		return o, err
	}
	o.Addresses = list

	memory := config.MemoryLimit(leastMemory)
	switch {
	case memory < leastMemory:
		return o, guest.Fail(guest.ErrInvalid, "memory_limit is "+strconv.FormatInt(memory, 10)+" bytes: must be at least "+
			strconv.Itoa(leastMemory)+" (20 MiB) for each instance")
	case o.Connections > mostConnections:
		config.Refuse("connections", "must be at most "+strconv.Itoa(mostConnections))
	case timeout > mostTimeoutMS:
		config.Refuse("timeout_ms", "must be at most "+strconv.Itoa(mostTimeoutMS)+", which is an hour")
	case !tableName(o.Name):
		config.Refuse("table", "must be a name such as waddle_sessions, or one with its schema such as app.sessions: "+
			"letters, digits and _, not a digit first, at most "+strconv.Itoa(mostName)+" characters each")
	}
	switch o.SyncCommit {
	case "", "on", "off", "local", "remote_write", "remote_apply":
	default:
		config.Refuse("synchronous_commit", "must be on, off, local, remote_write or remote_apply")
	}
	return o, config.Err()
}

// either reads a setting that is on or off.
func either(config *guest.Config, name, fallback string) bool {
	value := config.String(name, fallback)
	if value != "on" && value != "off" {
		config.Refuse(name, "must be on or off")
	}
	return value == "on"
}

// addresses reads host:port, or paths of sockets, with commas in between. An error shows
// nothing that could contain a password.
func addresses(config *guest.Config) (list []string, err error) {
	const must = "must be host:port, such as db.example.com:5432, or the path of a socket, or several with commas in between"
	all := config.String("addresses", "")
	switch {
	case strings.Contains(all, "@") || strings.Contains(all, "://"):
		return nil, guest.Fail(guest.ErrInvalid, "the setting addresses has a URL or a user: "+must+"; user, password and tls are settings of their own")
	case strings.TrimSpace(all) == "":
		return nil, guest.Fail(guest.ErrInvalid, "the setting addresses is not set: "+must)
	}
	for address := range strings.SplitSeq(all, ",") {
		address = strings.TrimSpace(address)
		if strings.HasPrefix(address, "/") {
			list = append(list, address)
			continue
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil && !strings.Contains(address, ":") {
			host, port, err = address, defaultPort, nil
		}
		if n, wrong := strconv.ParseUint(port, 10, 16); err != nil || host == "" || wrong != nil || n == 0 {
			return nil, guest.Fail(guest.ErrInvalid, "the setting addresses has \""+address+"\": "+must)
		}
		list = append(list, net.JoinHostPort(host, port))
	}
	return list, nil
}

// mostName leaves room for what is added to the name of a table. The server cuts off what
// is longer than 63 bytes.
const mostName = 63 - len("_migrations")

// tableName reports whether a name is one of a table, with its schema or without.
func tableName(name string) bool {
	parts := strings.Split(name, ".")
	for _, part := range parts {
		if part == "" || len(part) > mostName || part[0] >= '0' && part[0] <= '9' {
			return false
		}
		for _, c := range []byte(part) {
			if c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
				return false
			}
		}
	}
	return len(parts) <= 2
}
