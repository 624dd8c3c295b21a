package main

import (
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
)

// leastVersion is the oldest version of Redis that the tests run on. Valkey says of itself
// that it is Redis 7.2.
const leastVersion = 7

// checkServers looks whether the servers are what the settings say, and fit to keep
// sessions.
func (e *engine) checkServers() error {
	conns, err := e.nodes.Masters()
	if err != nil {
		return err
	}
	warned := false
	for _, conn := range conns {
		about, err := ask(conn)
		if err != nil {
			return err
		}
		if err := e.check(about); err != nil {
			return err
		}
		if policy := about["maxmemory_policy"]; !warned && evicts(about) {
			warned = true
			guest.Log(guest.LevelWarn, "the server's maxmemory-policy is "+policy+": when its memory is full it removes sessions that have not expired, "+
				"and their users are logged out; with noeviction it refuses new ones instead")
		}
	}
	return nil
}

// ask returns what a server says of itself. A user who may not ask gets nothing.
func ask(conn *resp.Conn) (map[string]string, error) {
	conn.Do("INFO", "everything")
	r, err := conn.Read()
	if err != nil {
		return nil, err
	}
	if err := r.Err(); err != nil {
		if answerTo(resp.Error(r.Text)) == guest.ErrDenied && resp.Error(r.Text).Code() != "NOAUTH" {
			guest.Log(guest.LevelInfo, "the server's version and maxmemory-policy are not checked: the user may not run INFO")
			return nil, nil
		}
		return nil, err
	}
	about := make(map[string]string)
	for line := range strings.SplitSeq(string(r.Text), "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			switch name {
			case "redis_version", "redis_mode", "cluster_enabled", "maxmemory", "maxmemory_policy":
				about[name] = value
			}
		}
	}
	return about, nil
}

// check refuses a server that the engine cannot use, or not as it is set.
func (e *engine) check(about map[string]string) error {
	if version := about["redis_version"]; version != "" {
		major, _, _ := strings.Cut(version, ".")
		if n, err := strconv.Atoi(major); err == nil && n < leastVersion {
			return guest.Fail(guest.ErrUnsupported, "the server is Redis "+version+": must be Redis 7 or later, or Valkey")
		}
	}
	switch {
	case about["redis_mode"] == sentinel:
		return guest.Fail(guest.ErrInvalid, "the server is a Sentinel, which keeps no data: with the setting mode=sentinel and the name of the master, it is asked for the address")
	case about["cluster_enabled"] == "1" && e.mode != cluster:
		return guest.Fail(guest.ErrInvalid, "the server belongs to a cluster: the setting mode must be cluster")
	case about["cluster_enabled"] == "0" && e.mode == cluster:
		return guest.Fail(guest.ErrInvalid, "the server does not belong to a cluster: the setting mode must not be cluster")
	}
	return nil
}

func evicts(about map[string]string) bool {
	policy := about["maxmemory_policy"]
	return policy != "" && policy != "noeviction" && about["maxmemory"] != "0"
}
