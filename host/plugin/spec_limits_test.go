package plugin_test

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// The numbers of section 11, on both sides of each.

func TestSpecLimitsOfKeysAndValues(t *testing.T) {
	key := specNumbers(t, `^(\d+) to (\d+) bytes`, specRow(t, sectionLimits, "key")[1])
	value := specNumbers(t, `^(\d+) to \d+ MiB \(([\d\s]+) bytes\)`, specRow(t, sectionLimits, "value")[1])
	p := open(t, specGuest(t).bytes(), specConfigOf(nil))
	for _, c := range []struct {
		key, value int
		want       error
	}{
		{key[0], 1, nil}, {key[1], 1, nil}, {key[0] - 1, 1, store.ErrInvalid}, {key[1] + 1, 1, store.ErrTooLarge},
		{1, value[0], nil}, {1, value[1], nil}, {1, value[1] + 1, store.ErrTooLarge}, {key[1], value[1], nil},
	} {
		w := store.Write{Key: make([]byte, c.key), Value: make([]byte, c.value), Now: 1}
		require.ErrorIs(t, p.Set(ctx, w), c.want, "%d and %d bytes", c.key, c.value)
		if c.value == 1 {
			_, err := p.Get(ctx, w.Key, 1)
			require.ErrorIs(t, err, c.want)
			require.ErrorIs(t, p.Delete(ctx, w.Key, 1), c.want)
			require.ErrorIs(t, p.Touch(ctx, w.Key, 9, 1), c.want)
		}
	}
	require.Zero(t, p.Stats().Restarts)

	// The same limits hold for what a guest returns.
	for length, want := range map[int]error{value[1]: nil, value[1] + 1: plugin.ErrProtocol} {
		m := specGuest(t)
		m.returns(abi.ExportGet, abi.Pack(specBuffer, uint32(length)))
		_, err := open(t, m.bytes(), specConfigOf(nil)).Get(ctx, []byte("k"), 1)
		require.ErrorIs(t, err, want, "a value of %d bytes", length)
	}
}

func TestSpecLimitOfMemory(t *testing.T) {
	most := specNumbers(t, `at most (\d+) GiB`, specRow(t, sectionLimits, "memory")[1])[0] << 30
	config := specConfigOf(nil)
	config.MemoryLimit = math.MaxInt64
	p := open(t, specGuest(t).bytes(), config)
	require.EqualValues(t, most, p.Info().ShardMemory)

	// session_sweep grows the memory by what is left and one page, and then by
	// what is left: it answers 1 if the first fails and the second does not.
	const limit = (specPages + 3) << 16
	grow := func(pages byte) []byte { return []byte{opI32Const, pages, 0x40, 0} }
	var body []byte
	body = append(append(body, grow(4)...), opI32Const, 0x7f, 0x46) // i32.eq -1
	body = append(append(body, grow(3)...), opI32Const, 0x7f, 0x47) // i32.ne -1
	body = append(body, 0x71, 0xac)                                 // i32.and, i64.extend_i32_s
	m := specGuest(t)
	m.export(abi.ExportSweep).body = body
	config.MemoryLimit = limit
	n, err := open(t, m.bytes(), config).Sweep(ctx, 10, 1)
	require.NoError(t, err)
	require.Equal(t, 1, n, "memory.grow beyond the limit fails, and up to it does not")

	config.MemoryLimit = specPages<<16 - 1
	_, err = plugin.Open(ctx, m.bytes(), config)
	require.ErrorIs(t, err, plugin.ErrLimits)
}

// specRecords returns a snapshot chunk of n bytes, with one record of the largest
// value.
func specRecords(n int) (head []byte, second int, tail []byte) {
	record := func(value int) []byte {
		b := binary.LittleEndian.AppendUint32(nil, 1)
		b = binary.LittleEndian.AppendUint32(b, uint32(value))
		return append(append(b, make([]byte, 8)...), 'k')
	}
	head = append(make([]byte, 8), record(abi.MaxValue)...)
	second = len(head) + abi.MaxValue
	return head, second, record(n - second - 17)
}

func TestSpecLimitOfChunks(t *testing.T) {
	parts := specNumbers(t, `^(\d+) MiB and (\d+) KiB`, specRow(t, sectionLimits, "a chunk of")[1])
	most := parts[0]<<20 + parts[1]<<10
	require.Contains(t, specRow(t, sectionLimits, "a chunk of")[0], "`session_keys`, `session_snapshot`")
	for _, length := range []int{most, most + 1} {
		const at = 1 << 20
		m := specGuest(t)
		head, second, tail := specRecords(length)
		m.data = append(m.data, specData{at, head}, specData{at + second, tail})
		m.returns(abi.ExportSnapshot, abi.Pack(at, uint32(length)))
		p := open(t, m.bytes(), specConfigOf(nil))
		var sizes []int
		var failed error
		for r, err := range p.Snapshot(ctx, 1) {
			sizes, failed = append(sizes, len(r.Value)), err
		}
		if length == most {
			require.NoError(t, failed)
			require.Equal(t, []int{abi.MaxValue, length - second - 17}, sizes)
		} else {
			require.ErrorIs(t, failed, plugin.ErrProtocol)
		}
	}
}

func TestSpecLimitsOfTexts(t *testing.T) {
	numbers := specNumbers(t, `^(\d+) bytes, log lines (\d+) bytes`, specRow(t, sectionLimits, "messages")[1])
	imports := specSection(t, sectionImports)
	require.Equal(t, numbers[1:], specNumbers(t, `host keeps the first (\d+) bytes, replaces control characters`, imports))
	require.Equal(t, numbers[:1], specNumbers(t, `host keeps the first (\d+) bytes, cleaned`, imports))

	text := append([]byte("\x1b\xff"), strings.Repeat("x", 5000)...)
	cleaned := func(n int) string { return "\ufffd\ufffd" + strings.Repeat("x", n-2) }
	m := specGuest(t)
	ptr := sleb(int64(m.text(text)))
	region := append(append(append([]byte{opI32Const}, ptr...), opI32Const), sleb(int64(len(text)))...)
	log, fail := m.imported(specImport(t, abi.ImportLog)), m.imported(specImport(t, abi.ImportFail))
	m.returns(abi.ExportClear, int64(abi.Denied))
	m.export(abi.ExportClear).body = append(append(append([]byte{opI32Const, 0}, region...), opCall, byte(log)), m.export(abi.ExportClear).body...)
	m.export(abi.ExportClear).body = append(append(append([]byte{}, region...), opCall, byte(fail)), m.export(abi.ExportClear).body...)
	var lines logBuffer
	var failed *plugin.Error
	require.ErrorAs(t, open(t, m.bytes(), specConfigOf(jsonLogger(&lines))).Clear(ctx, 1), &failed)
	require.Equal(t, cleaned(numbers[0]), failed.Message)
	require.Equal(t, cleaned(numbers[1]), guestLines(t, &lines)[0].Message)
}

func TestSpecLevels(t *testing.T) {
	levels := specNumbers(t, `Levels: (-?\d+) debug, (\d+) info, (\d+) warning, (\d+) error`, specSection(t, sectionImports))
	require.Contains(t, words(t, sectionImports), "what lies between two counts as the lower one")
	levels = append(levels, -40, -1, 1, 3, 5, 7, 9, 1<<30)
	m := specGuest(t)
	log := m.imported(specImport(t, abi.ImportLog))
	var body []byte
	for _, level := range levels {
		body = append(append(append(body, opI32Const), sleb(int64(level))...), opI32Const, 0, opI32Const, 0, opCall, byte(log))
	}
	m.export(abi.ExportClear).body = append(body, m.export(abi.ExportClear).code()...)
	var lines logBuffer
	require.NoError(t, open(t, m.bytes(), specConfigOf(jsonLogger(&lines))).Clear(ctx, 1))
	var got []string
	for _, l := range guestLines(t, &lines) {
		got = append(got, l.Level)
	}
	require.Equal(t, []string{"DEBUG", "INFO", "WARN", "ERROR", "DEBUG", "DEBUG", "INFO", "INFO", "WARN", "WARN", "ERROR", "ERROR"}, got)
}
