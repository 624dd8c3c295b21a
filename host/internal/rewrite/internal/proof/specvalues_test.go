package proof_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// specValue is an argument or result in a script of the specification's tests.
type specValue struct {
	Type     string          `json:"type"`
	LaneType string          `json:"lane_type"`
	Value    json.RawMessage `json:"value"`
}

// text is the value as the script has it, or "" if any will do.
func (v specValue) text() (s string) {
	_ = json.Unmarshal(v.Value, &s)
	return s
}

// lanes are the parts of a value, which is one lane unless it is a vector, and how many
// bits each has.
func (v specValue) lanes() (lanes []string, kind string, bits int) {
	kind = v.Type
	if lanes = []string{v.text()}; v.Type == "v128" {
		kind, lanes = v.LaneType, nil
		_ = json.Unmarshal(v.Value, &lanes)
	}
	bits = 64
	if n, err := strconv.Atoi(kind[1:]); err == nil {
		bits = n
	}
	return lanes, kind, bits
}

// reference is a reference as the runtime passes it, where null is 0.
func (v specValue) reference() bool { return strings.HasSuffix(v.Type, "ref") }

// arguments are the values as a call takes them.
func arguments(values []specValue) (args []uint64, err error) {
	for _, v := range values {
		if v.reference() {
			n := uint64(0)
			if s := v.text(); s != "null" {
				if n, err = number(s, 64); err != nil {
					return nil, err
				}
				n++
			}
			args = append(args, n)
			continue
		}
		lanes, _, bits := v.lanes()
		whole := make([]uint64, max(1, len(lanes)*bits/64))
		for i, lane := range lanes {
			n, err := number(lane, bits)
			if err != nil {
				return nil, err
			}
			whole[i*bits/64] |= n << (i * bits % 64)
		}
		args = append(args, whole...)
	}
	return args, nil
}

// number reads the decimal bits of a value.
func number(s string, bits int) (uint64, error) {
	if strings.HasPrefix(s, "-") {
		n, err := strconv.ParseInt(s, 10, bits)
		return uint64(n) & (math.MaxUint64 >> (64 - bits)), err
	}
	return strconv.ParseUint(s, 10, bits)
}

// match compares results with what a script expects. Types are those of the results.
func match(types []wasmbin.ValueType, got []uint64, want []specValue) error {
	if len(types) != len(want) {
		return fmt.Errorf("%d results, and %d are expected", len(types), len(want))
	}
	for i, v := range want {
		whole := got[:1]
		if types[i] == wasmbin.V128 {
			whole = got[:2]
		}
		got = got[len(whole):]
		if v.reference() {
			switch s := v.text(); {
			case s == "": // any
			case s == "null":
				if whole[0] != 0 {
					return fmt.Errorf("result %d is %d: must be null", i, whole[0])
				}
			default:
				if n, err := number(s, 64); err != nil || whole[0] != n+1 {
					return fmt.Errorf("result %d is the reference %d: must be %s", i, whole[0], s)
				}
			}
			continue
		}
		lanes, kind, bits := v.lanes()
		for j, lane := range lanes {
			n := whole[j*bits/64] >> (j * bits % 64) & (math.MaxUint64 >> (64 - bits))
			if !matchLane(n, lane, kind) {
				return fmt.Errorf("result %d, lane %d is %d as %s: must be %s", i, j, n, kind, lane)
			}
		}
	}
	return nil
}

func matchLane(n uint64, want, kind string) bool {
	// The bits of a float: exponent, and the highest bit of the fraction.
	infinite, quiet := uint64(0x7f800000), uint64(0x00400000)
	sign := uint64(1) << 31
	if kind == "f64" {
		infinite, quiet, sign = 0x7ff0000000000000, 0x0008000000000000, 1<<63
	}
	switch want {
	case "nan:canonical":
		return n&^sign == infinite|quiet
	case "nan:arithmetic":
		return n&(infinite|quiet) == infinite|quiet
	}
	bits, err := strconv.Atoi(kind[1:])
	if err != nil {
		return false
	}
	m, err := number(want, bits)
	return err == nil && n == m
}
