package untangle

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// text writes instructions by name, with their immediates.
func text(c []instruction) string {
	var parts []string
	for _, i := range c {
		s := i.op.String()
		switch i.op.Layout() {
		case wasmbin.LayoutConst32, wasmbin.LayoutConst64:
			s += " " + decimal(i.value)
		case wasmbin.LayoutLocal, wasmbin.LayoutGlobal, wasmbin.LayoutLabel:
			s += " " + decimal(int64(i.first))
		case wasmbin.LayoutAddress:
			s += " +" + decimal(int64(i.offset))
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "; ")
}

func decimal(n int64) string {
	if n < 0 {
		return "-" + decimal(-n)
	}
	if n < 10 {
		return string(rune('0' + n))
	}
	return decimal(n/10) + string(rune('0'+n%10))
}

// parse reads what text writes.
func parse(t *testing.T, s string) (c []instruction) {
	byName := make(map[string]wasmbin.Opcode)
	for op := wasmbin.Opcode(0); op < 0x100; op++ {
		byName[op.String()] = op
	}
	for _, part := range strings.Split(s, "; ") {
		name, number, _ := strings.Cut(part, " ")
		op, ok := byName[name]
		require.True(t, ok, name)
		n := int64(0)
		for _, digit := range strings.Trim(number, "+-") {
			n = n*10 + int64(digit-'0')
		}
		if strings.HasPrefix(number, "-") {
			n = -n
		}
		c = append(c, instruction{op: op, first: uint32(n), value: n, offset: uint32(n)})
	}
	return c
}

func TestShorten(t *testing.T) {
	const prologue = "global.get 0; local.set 1; "
	for _, test := range []struct{ from, to string }{
		{"nop; local.get 2; nop", "local.get 2"},
		{"local.get 2; i64.const 5; i64.lt_s; i64.extend_i32_u; i64.eqz; i32.eqz; if; br 3; end", "local.get 2; i64.const 5; i64.lt_s; br_if 2"},
		{"local.get 2; i64.const 5; i64.lt_s; i32.eqz", "local.get 2; i64.const 5; i64.ge_s"},
		{"f64.lt; i32.eqz", "f64.lt; i32.eqz"}, // which is true for what is no number
		{"local.get 2; i64.eqz; i32.eqz", "local.get 2; i64.const 0; i64.ne"},
		{"i32.eq; i64.extend_i32_u; i32.wrap_i64", "i32.eq"},
		{"i64.const 4294967297; i32.wrap_i64", "i32.const 1"},
		{"if; br 0; end", "if; br 0; end"},
		{"local.get 2; i32.wrap_i64; i64.load32_u +8; i64.const 4294967295; i64.and", "local.get 2; i32.wrap_i64; i64.load32_u +8"},
		{"i64.load +8; i64.const 4294967295; i64.and", "i64.load +8; i64.const 4294967295; i64.and"},
		{"i64.load32_s +8; i64.const 4294967295; i64.and", "i64.load32_s +8; i64.const 4294967295; i64.and"},
		{"i64.load +8; i64.const 4294967295; i64.and; i64.const 3; i64.shr_u; i64.const 4294967295; i64.and", "i64.load +8; i64.const 4294967295; i64.and; i64.const 3; i64.shr_u"},
		{"i64.load +8; i64.const 31; i64.shr_u; i64.const 4294967295; i64.and", "i64.load +8; i64.const 31; i64.shr_u; i64.const 4294967295; i64.and"},
		{"i64.load +8; i64.const 32; i64.shr_u; i64.const 4294967295; i64.and", "i64.load +8; i64.const 32; i64.shr_u"},
		{"i64.load32_u +8; i64.const -1; i64.and; i64.const 4294967295; i64.and", "i64.load32_u +8; i64.const -1; i64.and; i64.const 4294967295; i64.and"},
		{"i64.load32_u +8; local.set 2; local.get 3; i64.const 4294967295; i64.and", "i64.load32_u +8; local.set 2; local.get 3; i64.const 4294967295; i64.and"},
		// An address on the stack, of a load, and of a store whose value is computed.
		{prologue + "local.get 1; i64.extend_i32_u; i64.const 16; i64.add; i32.wrap_i64; i64.load +4; local.set 2",
			prologue + "local.get 1; i64.load +20; local.set 2"},
		{prologue + "local.get 1; i64.extend_i32_u; i64.const 16; i64.add; i32.wrap_i64; local.get 2; i32.wrap_i64; i64.load +8; i64.const 1; i64.add; i64.store +0",
			prologue + "local.get 1; local.get 2; i32.wrap_i64; i64.load +8; i64.const 1; i64.add; i64.store +16"},
		// One that is used otherwise, or in a function with something else in that local.
		{prologue + "local.get 1; i64.extend_i32_u; i64.const 16; i64.add; i32.wrap_i64; local.get 2; i32.add; i64.load +4",
			prologue + "local.get 1; i64.extend_i32_u; i64.const 16; i64.add; i32.wrap_i64; local.get 2; i32.add; i64.load +4"},
		{prologue + "local.get 2; local.get 1; i64.extend_i32_u; i64.const 16; i64.add; i32.wrap_i64; i64.store32 +4",
			prologue + "local.get 2; local.get 1; i64.extend_i32_u; i64.const 16; i64.add; i32.wrap_i64; i64.store32 +4"},
		{"local.get 1; i64.extend_i32_u; i64.const 16; i64.add; i32.wrap_i64; i64.load +4",
			"local.get 1; i64.extend_i32_u; i64.const 16; i64.add; i32.wrap_i64; i64.load +4"},
		// The stack pointer is written once, and also before anybody looks at it.
		{prologue + "local.get 1; i32.const 56; i32.sub; local.tee 1; global.set 0; local.get 1; i32.const 8; i32.sub; local.tee 1; global.set 0",
			prologue + "local.get 1; i32.const 56; i32.sub; local.set 1; local.get 1; i32.const 8; i32.sub; local.tee 1; global.set 0"},
		{prologue + "local.tee 1; global.set 0; if; local.tee 1; global.set 0; end", prologue + "local.tee 1; global.set 0; if; local.tee 1; global.set 0; end"},
		{prologue + "local.tee 1; global.set 0; global.get 0; drop; global.set 0", prologue + "local.tee 1; global.set 0; global.get 0; drop; global.set 0"},
		{prologue + "local.tee 1; global.set 0; memory.grow; global.set 0", prologue + "local.tee 1; global.set 0; memory.grow; global.set 0"},
		{prologue + "local.get 1; i32.const 56; i32.add; local.tee 1; global.set 0; local.get 1; i32.const 8; i32.add; local.tee 1; global.set 0; i32.const 0; return",
			prologue + "local.get 1; i32.const 64; i32.add; global.set 0; i32.const 0; return"},
	} {
		c := parse(t, test.from)
		require.Equal(t, test.to, text(shorten(c, keepsStackPointer(c))), "%s", test.from)
	}
}

// Jumps that do not nest are left to the table.
func TestStructureOfLoops(t *testing.T) {
	jump := func(to int) instruction { return instruction{op: opJump, first: uint32(to), value: int64(to)} }
	jumpIf := func(to int) []instruction {
		return []instruction{{op: wasmbin.OpIf}, jump(to), {op: wasmbin.OpEnd}}
	}
	ret := instruction{op: wasmbin.OpReturn}
	for name, test := range map[string]struct {
		regions [][]instruction
		want    string
	}{
		"a loop with its condition at the end": {
			[][]instruction{{jump(2)}, {{op: wasmbin.OpNop}}, jumpIf(1), {ret}},
			"block; end; loop; block; block; if; br 2; end; end; return; end; nop; br 0; unreachable; end; unreachable",
		},
		"a loop of one region": {
			[][]instruction{{}, jumpIf(1), {ret}},
			"block; end; loop; block; if; br 2; end; end; return; unreachable; end; unreachable",
		},
		"a way into the middle": {[][]instruction{jumpIf(2), {{op: wasmbin.OpNop}}, jumpIf(1), {ret}}, ""},
		"a region that is not reached": {
			[][]instruction{{jump(2)}, {{op: wasmbin.OpNop}}, {ret}},
			"block; end; return; unreachable",
		},
	} {
		o := &form{regions: test.regions}
		code, ok := o.structured()
		require.Equal(t, test.want != "", ok, name)
		if ok {
			for n := range code {
				if code[n].op == wasmbin.OpLoop || code[n].op == wasmbin.OpBlock {
					code[n].first = 0
				}
			}
			require.Equal(t, test.want, text(code), name)
		}
	}
}
