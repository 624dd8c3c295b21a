package redis

import (
	"net"
	"slices"
	"strings"
)

// patterns are the addresses that the URL names. The servers that a Sentinel or a cluster
// names are others: those of the same hosts, unless the option nodes says where they are.
func (t *target) patterns() (list []string) {
	kind := "tcp://"
	switch {
	case t.scheme.port == "":
		return []string{"unix://" + t.hosts[0]}
	case t.scheme.tls:
		kind = "tls://"
	}
	for _, host := range t.hosts {
		list = append(list, kind+host)
	}
	if nodes := t.options["nodes"]; nodes != "" {
		for node := range strings.SplitSeq(nodes, ",") {
			list = append(list, kind+strings.TrimSpace(node))
		}
		return list
	}
	var ports []string
	switch t.scheme.mode {
	case "sentinel":
		ports = []string{"6379"}
	case "cluster":
		for _, host := range t.hosts {
			_, port, _ := net.SplitHostPort(host)
			ports = append(ports, port)
		}
	}
	for _, host := range t.hosts {
		name, _, _ := net.SplitHostPort(host)
		for _, port := range ports {
			if pattern := kind + net.JoinHostPort(name, port); !slices.Contains(list, pattern) {
				list = append(list, pattern)
			}
		}
	}
	return list
}
