package guest

import (
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/abi"
)

// Config is what an engine is opened with: its deployer's settings, and what
// the host adds.
//
// The methods that read a setting return its value, or the fallback if it is
// not set. A malformed setting also gives the fallback, and Err reports it. The
// SDK checks Err after Open. An engine checks Err itself before it does
// anything that a wrong setting would make harmful.
type Config struct {
	settings []setting
	asked    []string
	err      error
}

type setting struct {
	name, value string
	read        bool
}

// NewConfig makes a config from alternating names and values, for tests of an
// engine. It panics if the last name has no value.
func NewConfig(namesAndValues ...string) *Config {
	c := new(Config)
	for i := 0; i < len(namesAndValues); i += 2 {
		c.settings = append(c.settings, setting{name: namesAndValues[i], value: namesAndValues[i+1]})
	}
	return c
}

// ParseConfig reads the list that session_open receives: names in ascending
// order, each followed by a NUL, its value and a NUL. It returns ErrInvalid for
// anything else.
func ParseConfig(list []byte) (*Config, error) {
	c := new(Config)
	for last := ""; ; {
		name, value, rest, ok := abi.NextPair(list)
		if !ok {
			if len(rest) > 0 {
				return nil, Fail(ErrInvalid, "the config does not end with a complete pair")
			}
			return c, nil
		}
		if name <= last {
			return nil, Fail(ErrInvalid, "the config has the name \""+name+"\" twice or out of order")
		}
		c.settings = append(c.settings, setting{name: name, value: value})
		list, last = rest, name
	}
}

// String reads a setting as it stands.
func (c *Config) String(name, fallback string) string {
	if value, ok := c.lookup(name); ok {
		return value
	}
	return fallback
}

// Int reads a whole number. It must be at least least.
func (c *Config) Int(name string, fallback, least int64) int64 {
	value, ok := c.lookup(name)
	if !ok {
		return fallback
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		c.Refuse(name, "must be a whole number")
		return fallback
	}
	if n < least {
		c.Refuse(name, "must be at least "+strconv.FormatInt(least, 10))
		return fallback
	}
	return n
}

// Bytes reads a size, such as 4096, 512KiB or 1.5GB: a number that is not
// negative, and optionally a unit: B, KB, MB, GB (powers of 1000), KiB, MiB or
// GiB (powers of 1024).
func (c *Config) Bytes(name string, fallback int64) int64 {
	value, ok := c.lookup(name)
	if !ok {
		return fallback
	}
	n, ok := parseBytes(value)
	if !ok {
		c.Refuse(name, "must be a size such as 4096, 512KiB or 64MiB")
		return fallback
	}
	return n
}

// Duration reads a duration and returns it in milliseconds, the unit of every
// time in this package. A duration is whole numbers with the units ms, s, m and
// h, as in 500ms, 15m or 1h30m. (time.Duration would add a quarter of a
// megabyte to every engine.)
func (c *Config) Duration(name string, fallbackMS int64) int64 {
	value, ok := c.lookup(name)
	if !ok {
		return fallbackMS
	}
	ms, ok := parseDuration(value)
	if !ok {
		c.Refuse(name, "must be a duration such as 500ms, 15m or 1h30m")
		return fallbackMS
	}
	return ms
}

// Bool reads true or false.
func (c *Config) Bool(name string, fallback bool) bool {
	value, ok := c.lookup(name)
	switch {
	case !ok:
		return fallback
	case value == "true":
		return true
	case value == "false":
		return false
	}
	c.Refuse(name, "must be true or false")
	return fallback
}

// Shard returns the number of this instance, from 0. A key always goes to the
// same instance (see [ShardOf]). Instances share nothing but a directory, if
// there is one.
func (c *Config) Shard() int { return int(c.Int(abi.ConfigShard, 0, 0)) }

// Shards returns how many instances there are, at least 1.
func (c *Config) Shards() int { return int(c.Int(abi.ConfigShards, 1, 1)) }

// MemoryLimit returns how many bytes the memory of this instance may grow to,
// or fallback if the host does not say.
func (c *Config) MemoryLimit(fallback int64) int64 { return c.Bytes(abi.ConfigMemoryLimit, fallback) }

// Refuse records that a setting cannot be accepted. The reason completes
// `the setting NAME is "VALUE": `, for example "must be less than max_bytes".
// Only the first call counts.
func (c *Config) Refuse(name, reason string) {
	if c.err == nil {
		value, _ := c.lookup(name)
		c.err = Fail(ErrInvalid, "the setting "+name+" is \""+value+"\": "+reason)
	}
}

// Err returns ErrInvalid, with a message that names the setting, for the first
// setting that was malformed. If there is none, it does so for the first
// setting that was never read, which is unknown to the engine. Call it when all
// settings have been read. The host's own settings are not checked.
func (c *Config) Err() error {
	if c.err != nil {
		return c.err
	}
	for _, s := range c.settings {
		switch {
		case s.read, s.name == abi.ConfigShard, s.name == abi.ConfigShards, s.name == abi.ConfigMemoryLimit,
			strings.HasPrefix(s.name, abi.ConfigHostPrefix):
			continue
		case len(c.asked) == 0:
			return Fail(ErrInvalid, "the setting "+s.name+" is unknown: this engine has none")
		}
		return Fail(ErrInvalid, "the setting "+s.name+" is unknown: this engine has "+strings.Join(c.asked, ", "))
	}
	return nil
}

func (c *Config) lookup(name string) (string, bool) {
	c.ask(name)
	for i := range c.settings {
		if c.settings[i].name == name {
			c.settings[i].read = true
			return c.settings[i].value, true
		}
	}
	return "", false
}

// ask remembers the names of settings, so that the error for a misspelt one can
// list them.
func (c *Config) ask(name string) {
	switch name {
	case abi.ConfigShard, abi.ConfigShards, abi.ConfigMemoryLimit:
		return
	}
	for _, asked := range c.asked {
		if asked == name {
			return
		}
	}
	c.asked = append(c.asked, name)
}
