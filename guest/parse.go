package guest

import (
	"strconv"
	"strings"
)

// parseBytes reads a size with its unit.
func parseBytes(s string) (int64, bool) {
	number := strings.TrimRight(s, "BKMGi")
	var unit int64
	switch s[len(number):] {
	case "", "B":
		unit = 1
	case "KB":
		unit = 1e3
	case "MB":
		unit = 1e6
	case "GB":
		unit = 1e9
	case "KiB":
		unit = 1 << 10
	case "MiB":
		unit = 1 << 20
	case "GiB":
		unit = 1 << 30
	default:
		return 0, false
	}
	whole, fraction, dotted := strings.Cut(number, ".")
	size, ok := times(whole, unit)
	if !ok || !dotted {
		return size, ok
	}
	if len(fraction) > 9 { // unit times fraction stays far below 2^63
		return 0, false
	}
	part, ok := times(fraction, unit)
	if !ok {
		return 0, false
	}
	for range len(fraction) {
		part /= 10
	}
	return size + part, size <= maxInt64-part
}

// parseDuration reads numbers with their units and returns milliseconds.
func parseDuration(s string) (int64, bool) {
	if s == "0" {
		return 0, true
	}
	var total int64
	for rest := s; rest != ""; {
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		number := rest[:digits]
		rest = rest[digits:]
		var unit int64
		switch {
		case strings.HasPrefix(rest, "ms"):
			unit, rest = 1, rest[2:]
		case strings.HasPrefix(rest, "s"):
			unit, rest = 1000, rest[1:]
		case strings.HasPrefix(rest, "m"):
			unit, rest = 60_000, rest[1:]
		case strings.HasPrefix(rest, "h"):
			unit, rest = 3_600_000, rest[1:]
		default:
			return 0, false
		}
		part, ok := times(number, unit)
		if !ok || total > maxInt64-part {
			return 0, false
		}
		total += part
	}
	return total, s != ""
}

const maxInt64 = 1<<63 - 1

// times reads decimal digits and multiplies, unless that overflows.
func times(digits string, unit int64) (int64, bool) {
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || int64(n) > maxInt64/unit {
		return 0, false
	}
	return int64(n) * unit, true
}
