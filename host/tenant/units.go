package tenant

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Bytes is a size. In JSON it is a number of bytes, or text such as "16MiB" with one of
// the units B, KiB, MiB and GiB.
type Bytes int64

// units of sizes, the largest first. Units of a thousand are not among them: of two
// readers one takes "16MB" for 16 MiB.
var units = []struct {
	name string
	size Bytes
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

var (
	errBytes    = errors.New("a size such as 65536, \"512KiB\", \"16MiB\" or \"1GiB\"")
	errDuration = errors.New("a time such as \"50ms\", \"1.5s\" or \"2m\"")
)

// ParseBytes reads a size: a whole number, followed by a unit or by nothing.
func ParseBytes(text string) (Bytes, error) {
	size := Bytes(1)
	for _, u := range units {
		if before, ok := strings.CutSuffix(text, u.name); ok {
			text, size = before, u.size
			break
		}
	}
	// A leading + or - is no digit.
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || Bytes(n) > math.MaxInt64/size {
		return 0, fmt.Errorf("tenant: a size must be %w", errBytes)
	}
	return Bytes(n) * size, nil
}

// String returns the size in the largest unit of which it is a whole number.
func (b Bytes) String() string {
	for _, u := range units {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return "0B"
}

// MarshalJSON implements [json.Marshaler].
func (b Bytes) MarshalJSON() ([]byte, error) { return json.Marshal(b.String()) }

// UnmarshalJSON implements [json.Unmarshaler]. It takes numbers and text.
func (b *Bytes) UnmarshalJSON(data []byte) error {
	text := string(bytes.TrimSpace(data))
	if strings.HasPrefix(text, `"`) {
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
	}
	size, err := ParseBytes(text)
	if err == nil {
		*b = size
	}
	return err
}

// Duration is a time. In JSON it is text such as "50ms" or "1.5s", as
// [time.ParseDuration] takes it.
type Duration time.Duration

// ParseDuration reads a time that is not negative. Even 0 has a unit.
func ParseDuration(text string) (Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") || text == "0" {
		return 0, fmt.Errorf("tenant: a time must be %w", errDuration)
	}
	return Duration(d), nil
}

// String returns the time as [time.Duration] shows it.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalJSON implements [json.Marshaler].
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON implements [json.Unmarshaler].
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("tenant: a time must be %w", errDuration)
	}
	parsed, err := ParseDuration(text)
	if err == nil {
		*d = parsed
	}
	return err
}
