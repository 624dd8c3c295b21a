package main

import (
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/guest"
)

// settings are what the engine's deployer says.
type settings struct {
	addresses []string
	mode      string
	master    string // the name that Sentinels know

	login, sentinels credentials
	database         int64
	tls              bool

	prefix string

	waitReplicas int64
	wait         time.Duration
	timeout      time.Duration
}

// credentials are a user and a password. Without a password nobody logs in.
type credentials struct{ user, password string }

// Values of mode.
const (
	standalone = "standalone"
	sentinel   = "sentinel"
	cluster    = "cluster"
)

const (
	defaultPrefix  = "waddle:"
	maxPrefix      = 256
	defaultWait    = 1000
	defaultTimeout = 5000
	mostDatabase   = 1 << 20
	mostMS         = 3_600_000
)

// read reads the settings. No error shows a password.
func (s *settings) read(config *guest.Config) error {
	*s = settings{
		mode:         config.String("mode", standalone),
		master:       config.String("master", ""),
		login:        credentials{config.String("user", ""), config.String("password", "")},
		sentinels:    credentials{config.String("sentinel_user", ""), config.String("sentinel_password", "")},
		database:     config.Int("database", 0, 0),
		prefix:       config.String("prefix", defaultPrefix),
		waitReplicas: config.Int("wait_replicas", 0, 0),
		wait:         milliseconds(config, "wait_ms", defaultWait),
		timeout:      milliseconds(config, "timeout_ms", defaultTimeout),
	}
	switch tls := config.String("tls", "off"); tls {
	case "on", "off":
		s.tls = tls == "on"
	default:
		config.Refuse("tls", "must be on or off")
	}
	if err := s.readAddresses(config.String("addresses", "")); err != nil {
		return err
	}
	s.check(config)
	return config.Err()
}

func milliseconds(config *guest.Config, name string, fallback int64) time.Duration {
	ms := config.Int(name, fallback, 1)
	if ms > mostMS {
		config.Refuse(name, "must be at most "+strconv.Itoa(mostMS)+", which is an hour")
		ms = fallback
	}
	return time.Duration(ms) * time.Millisecond
}

// check refuses what does not go together.
func (s *settings) check(config *guest.Config) {
	switch s.mode {
	case standalone:
		if len(s.addresses) > 1 {
			config.Refuse("addresses", "must be one address, unless mode is sentinel or cluster")
		}
	case sentinel:
		if s.master == "" {
			config.Refuse("master", "must be the name by which the Sentinels know the master, since mode is sentinel")
		}
	case cluster:
		if s.database != 0 {
			config.Refuse("database", "must be 0, since a cluster has no other")
		}
	default:
		config.Refuse("mode", "must be standalone, sentinel or cluster")
	}
	switch {
	case s.mode != sentinel && s.master != "":
		config.Refuse("master", "must not be set, unless mode is sentinel")
	case s.mode != sentinel && s.sentinels.user != "":
		config.Refuse("sentinel_user", "must not be set, unless mode is sentinel")
	case s.mode != sentinel && s.sentinels.password != "":
		config.Refuse("mode", "must be sentinel, since sentinel_password is set")
	case s.login.user != "" && s.login.password == "":
		config.Refuse("user", "must not be set without password")
	case s.sentinels.user != "" && s.sentinels.password == "":
		config.Refuse("sentinel_user", "must not be set without sentinel_password")
	case s.database > mostDatabase:
		config.Refuse("database", "must be at most "+strconv.Itoa(mostDatabase))
	case s.prefix == "" || len(s.prefix) > maxPrefix:
		config.Refuse("prefix", "must have 1 to "+strconv.Itoa(maxPrefix)+" bytes: whatever begins with it belongs to this engine, and is removed by clear")
	case s.waitReplicas > 1000:
		config.Refuse("wait_replicas", "must be at most 1000")
	}
}

// readAddresses splits the list. An error shows nothing of an address that could contain
// a password.
func (s *settings) readAddresses(list string) error {
	for address := range strings.SplitSeq(list, ",") {
		address = strings.TrimSpace(address)
		if address == "" {
			continue
		}
		if strings.Contains(address, "@") || strings.Contains(address, "://") {
			return guest.Fail(guest.ErrInvalid, "the setting addresses has a URL or a user: must be host:port or the path of a socket; "+
				"user, password and tls are settings of their own")
		}
		if reason := s.refused(address); reason != "" {
			return guest.Fail(guest.ErrInvalid, "the setting addresses has \""+address+"\": "+reason)
		}
		s.addresses = append(s.addresses, address)
	}
	if len(s.addresses) == 0 {
		return guest.Fail(guest.ErrInvalid, "the setting addresses is not set: must be host:port or the path of a socket, or several of them with commas between")
	}
	return nil
}

// refused says why an address cannot be one.
func (s *settings) refused(address string) string {
	if isPath(address) {
		switch {
		case s.tls:
			return "a socket has no TLS: tls must be off"
		case s.mode != standalone:
			return "a socket must have mode standalone"
		}
		return ""
	}
	host, port, err := net.SplitHostPort(address)
	number, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || host == "" || number == 0 {
		return "must be host:port, such as localhost:6379 or [::1]:6379, or the path of a socket, which begins with /"
	}
	return ""
}

func isPath(address string) bool { return strings.HasPrefix(address, "/") }
