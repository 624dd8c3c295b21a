package plugin_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// Check finds every fault that shows without compiling, and a module that it accepts
// opens.
func TestCheckTellsWhatOpenWould(t *testing.T) {
	code := func(body string) guestParts { return guestParts{further: []string{"\x00" + body + "\x0b"}} }
	elements := func(content string) guestParts { return guestParts{elements: content} }
	globals := func(all ...string) guestParts { return guestParts{globals: all} }
	data := func(content string) guestParts { return guestParts{sections: section(11, content)} }
	const zeros, lanes = "\x41\x00\x41\x00\x41\x00", "\x41\x00\xfd\x00\x00\x00"
	for name, c := range map[string]struct {
		guest guestParts
		is    error // nil if it opens
	}{
		"passive elements":              {elements("\x01\x01\x00\x01\x00"), plugin.ErrFeature},
		"no passive elements":           {elements("\x01\x01\x00\x00"), plugin.ErrFeature},
		"declarative elements":          {elements("\x01\x03\x00\x01\x00"), plugin.ErrFeature},
		"passive expressions":           {elements("\x01\x05\x70\x01\xd2\x00\x0b"), plugin.ErrFeature},
		"declarative expressions":       {elements("\x01\x07\x70\x01\xd0\x70\x0b"), plugin.ErrFeature},
		"active elements":               {elements("\x01\x00\x41\x00\x0b\x01\x00"), nil},
		"active expressions":            {elements("\x01\x04\x41\x00\x0b\x01\xd2\x00\x0b"), nil},
		"active nothing":                {elements("\x01\x04\x41\x00\x0b\x01\xd0\x70\x0b"), nil},
		"active elements with a table":  {elements("\x01\x02\x00\x41\x00\x0b\x00\x01\x00"), nil},
		"expressions with a table":      {elements("\x01\x06\x00\x41\x00\x0b\x70\x01\xd2\x00\x0b"), nil},
		"elements that end at the end":  {elements("\x01\x00\x41\x01\x0b\x00"), nil},
		"elements beyond the end":       {elements("\x01\x00\x41\x02\x0b\x00"), plugin.ErrModule},
		"elements before the beginning": {elements("\x01\x00\x41\x7f\x0b\x00"), plugin.ErrModule},
		"elements that are numbers":     {elements("\x01\x04\x41\x00\x0b\x01\x41\x00\x0b"), plugin.ErrModule},
		"elements that are foreign":     {elements("\x01\x04\x41\x00\x0b\x01\xd0\x6f\x0b"), plugin.ErrModule},
		"elements from a global":        {elements("\x01\x04\x41\x00\x0b\x01\x23\x00\x0b"), plugin.ErrModule},
		"elements that are no function": {elements("\x01\x00\x41\x00\x0b\x01\xff\x01"), plugin.ErrModule},
		"elements at an i64":            {elements("\x01\x00\x42\x00\x0b\x00"), plugin.ErrModule},
		"elements at a global":          {elements("\x01\x00\x23\x00\x0b\x00"), plugin.ErrModule},
		"global of each type":           {globals("\x7f\x00\x41\x00\x0b", "\x7e\x01\x42\x00\x0b", "\x7d\x00\x43\x00\x00\x00\x00\x0b", "\x7b\x01\xfd\x0c0123456789abcdef\x0b"), nil},
		"global from a global":          {globals("\x7f\x01\x41\x00\x0b", "\x7f\x00\x23\x00\x0b"), plugin.ErrModule},
		"global of another type":        {globals("\x7e\x01\x41\x00\x0b"), plugin.ErrModule},
		"global of a function":          {globals("\x7f\x01\xd2\x00\x0b"), plugin.ErrModule},
		"global of nothing":             {globals("\x7f\x01\x0b"), plugin.ErrModule},
		"data":                          {data("\x01\x00\x41\x00\x0b\x01a"), nil},
		"data with a memory":            {data("\x01\x02\x00\x41\x00\x0b\x01a"), nil},
		"passive data":                  {data("\x01\x01\x01a"), nil},
		"data that end at the end":      {data("\x01\x00\x41\x80\x80\x04\x0b\x00"), nil},
		"data beyond the end":           {data("\x01\x00\x41\x80\x80\x04\x0b\x01a"), plugin.ErrModule},
		"no data beyond the end":        {data("\x01\x00\x41\x81\x80\x04\x0b\x00"), plugin.ErrModule},
		"data before the beginning":     {data("\x01\x00\x41\x7f\x0b\x01a"), plugin.ErrModule},
		"data at a global":              {data("\x01\x00\x23\x00\x0b\x01a"), plugin.ErrModule},
		"data at an i64":                {data("\x01\x00\x42\x00\x0b\x01a"), plugin.ErrModule},
		"data at a function":            {data("\x01\x00\xd2\x00\x0b\x01a"), plugin.ErrModule},
		"local":                         {code("\x20\x00\x1a"), plugin.ErrModule},
		"global":                        {code("\x23\x05\x1a"), plugin.ErrModule},
		"function":                      {code("\x10\x7f"), plugin.ErrModule},
		"type":                          {code("\x41\x00\x11\x7f\x00"), plugin.ErrModule},
		"label":                         {code("\x0c\x05"), plugin.ErrModule},
		"type of a block":               {code("\x02\xff\x00\x0b"), plugin.ErrModule},
		"else of a block":               {code("\x02\x40\x05\x0b"), plugin.ErrModule},
		"else of a function":            {code("\x05"), plugin.ErrModule},
		"two elses":                     {code("\x41\x00\x04\x40\x05\x05\x0b"), plugin.ErrModule},
		"alignment":                     {code("\x41\x00\x28\x03\x00\x1a"), plugin.ErrModule},
		"largest offset":                {code("\x41\x00\x28\x02\xff\xff\xff\xff\x0f\x1a"), nil},
		"lane":                          {code(lanes + "\xfd\x15\x10\x1a"), plugin.ErrModule},
		"lane of a shuffle":             {code(lanes + lanes + "\xfd\x0d0123456789abcdef\x1a"), plugin.ErrModule},
		"unknown vector instruction":    {code(lanes + "\xfd\x9a\x01\x1a"), plugin.ErrModule},
		"select with types":             {code(zeros + "\x1c\x01\x7f\x1a"), plugin.ErrFeature},
		"data.drop":                     {code("\xfc\x09\x00"), plugin.ErrModule},
		"memory.init":                   {code(zeros + "\xfc\x08\x00\x00"), plugin.ErrModule},
		"elem.drop":                     {code("\xfc\x0d\x00"), plugin.ErrModule},
		"table.init":                    {code(zeros + "\xfc\x0c\x00\x00"), plugin.ErrModule},
	} {
		t.Run(name, func(t *testing.T) {
			c.guest.types = []string{plain}
			wasm := c.guest.module()
			_, err := plugin.Validate(wasm)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
				return
			}
			require.NoError(t, err)
			p, err := plugin.Open(ctx, wasm, untrusted())
			require.NoError(t, err)
			require.NoError(t, p.Close(ctx))
		})
	}
}

// The compiler checks the types of operands: it refuses and does not panic.
func TestOpenTellsOfTypes(t *testing.T) {
	for name, body := range map[string]string{
		"nothing to drop":      "\x1a",
		"of another type":      "\x42\x00\x45\x1a",
		"no result":            "\x02\x7f\x0b\x1a",
		"if without else":      "\x41\x00\x04\x7f\x41\x00\x0b\x1a",
		"targets that differ":  "\x02\x40\x02\x7f\x41\x00\x41\x00\x0e\x01\x00\x01\x0b\x1a\x0b",
		"something left":       "\x41\x00",
		"parameters of a call": "\x10\x01",
	} {
		wasm := guestParts{further: []string{"\x00" + body + "\x0b"}, types: []string{plain}}.module()
		_, err := plugin.Validate(wasm)
		require.NoError(t, err, name)
		_, err = plugin.Open(ctx, wasm, untrusted())
		var refused *plugin.LoadError
		require.True(t, errors.As(err, &refused) && errors.Is(err, plugin.ErrModule), "%s: %v", name, err)
		require.NotContains(t, err.Error(), "panic", name)
	}
}

// Preflight knows the same instructions as the compiler: it can read over each, and
// knows no others.
func TestEveryInstructionIsKnown(t *testing.T) {
	open := func(body string) error {
		p, err := plugin.Open(ctx, guestParts{further: []string{body}, types: []string{plain}, globals: shapeGlobals}.module(), untrusted())
		if err == nil {
			err = p.Close(ctx)
		}
		return err
	}
	for i, o := range operations1 {
		s := shape{Parts: []part{{Kind: "op", N: 1, M: i}}}
		require.NoError(t, open(s.body()), "% x", o.code)
	}
	known := make(map[byte]bool)
	for _, o := range operations1 {
		if o.code[0] == 0xfd && len(o.code) > 1 {
			known[vectorNumber(o.code)] = true
		}
	}
	for _, stores := range []byte{11, 88, 89, 90, 91} {
		known[stores] = true
	}
	for sub := range 256 {
		_, err := plugin.Validate(guestParts{further: []string{"\x00\xfd" + string(uleb(sub)) + "\x0b"}, types: []string{plain}}.module())
		unknown := err != nil && errors.Is(err, plugin.ErrModule) && strings.Contains(err.Error(), "unknown instruction")
		require.Equal(t, !known[byte(sub)], unknown, "0xfd %d: %v", sub, err)
	}
}

func vectorNumber(code string) byte {
	r := wasmbin.NewReader([]byte(code[1:]), 0)
	return byte(r.U32())
}
