package abi_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/bits"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
)

// These tests check the specification and the constants against each other.

func spec(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("SPEC.md")
	require.NoError(t, err)
	return string(b)
}

func section(t *testing.T, number int) string {
	t.Helper()
	parts := regexp.MustCompile(`(?m)^## \d+\. `).Split(spec(t), -1)
	require.Greater(t, len(parts), number)
	return parts[number]
}

// block returns the bytes of the fenced block of section 15 that follows a mark, and the
// explanation on each line, which follows the bytes after several spaces.
func block(t *testing.T, mark string) (all []byte, said []string) {
	t.Helper()
	_, after, ok := strings.Cut(section(t, 15), mark)
	require.True(t, ok, "the section has no %q", mark)
	_, after, ok = strings.Cut(after, "```\n")
	require.True(t, ok)
	body, _, ok := strings.Cut(after, "```")
	require.True(t, ok)
	for line := range strings.Lines(body) {
		digits, words, _ := strings.Cut(strings.TrimSpace(line), "   ")
		b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		require.NoError(t, err, line)
		all, said = append(all, b...), append(said, strings.TrimSpace(words))
	}
	return all, said
}

func TestWorkedExampleOpen(t *testing.T) {
	config, said := block(t, "**Open.**")
	require.Len(t, config, 55)
	require.Equal(t, strings.ReplaceAll(strings.Join(said, ""), "␀", "\x00"), string(config))
	want := abi.AppendPair(nil, "max_entries", "100")
	want = abi.AppendPair(want, abi.ConfigMemoryLimit, "16777216")
	want = abi.AppendPair(want, abi.ConfigShard, "0")
	want = abi.AppendPair(want, abi.ConfigShards, "1")
	require.Equal(t, want, config)
	require.Contains(t, section(t, 15), "session_open(0x00010000, 55)")
}

func TestWorkedExampleSnapshot(t *testing.T) {
	chunk, _ := block(t, "**Snapshot**")
	value := []byte("\x06\x00\x00\x00\x00\x00\x00\x00ho")
	want := abi.AppendRecord(abi.AppendCursor(nil, 0), []byte("key1"), value, 1767225660000)
	require.Equal(t, want, chunk)
	require.Contains(t, section(t, 15), "16 + 4 + 10 bytes behind the cursor")
	require.Len(t, chunk, 8+16+4+10)
}

// TestWorkedExampleCalls runs the calls in the example's tables on a model of a guest,
// and checks every result in them.
func TestWorkedExampleCalls(t *testing.T) {
	const exchange, copied = 0x00010000, 0x00020100
	memory := make([]byte, 0x30000)
	var stored []byte
	var expires int64
	number := func(s string) int64 {
		n, err := strconv.ParseInt(strings.TrimSpace(s), 0, 64)
		require.NoError(t, err)
		return n
	}
	call := func(name string, a []int64) int64 {
		switch name {
		case abi.ExportAlloc:
			return exchange
		case abi.ExportOpen:
			require.Equal(t, []int64{exchange, 55}, a)
			return 0
		case abi.ExportSet:
			require.Len(t, a, 7)
			require.Equal(t, "key1", string(memory[a[0]:a[0]+a[1]]))
			there := stored != nil && a[5] < expires
			if a[6] == abi.ExpectAbsent && there || a[6] > 0 && (!there || abi.Revision(stored) != uint64(a[6])) {
				return int64(abi.Conflict)
			}
			stored, expires = append([]byte{}, memory[a[2]:a[2]+a[3]]...), a[4]
			return 0
		case abi.ExportGet:
			require.Len(t, a, 3)
			require.Equal(t, "key1", string(memory[a[0]:a[0]+a[1]]))
			if stored == nil || a[2] >= expires {
				return int64(abi.NotFound)
			}
			return abi.Pack(copied, uint32(len(stored)))
		}
		t.Fatalf("no such call: %s", name)
		return 0
	}
	row := regexp.MustCompile("(?m)^\\| `(session_\\w+)\\(([^)]*)\\)` \\| `([^`]*)`")
	writes := regexp.MustCompile("(?m)^\\| \\*host writes to 0x00010000:\\* `([0-9a-f ]+)`")
	calls, written := 0, 0
	for line := range strings.Lines(section(t, 15)) {
		if m := writes.FindStringSubmatch(line); m != nil {
			b, err := hex.DecodeString(strings.ReplaceAll(m[1], " ", ""))
			require.NoError(t, err)
			copy(memory[exchange:], b)
			written++
		}
		if m := row.FindStringSubmatch(line); m != nil {
			var arguments []int64
			for _, a := range strings.Split(m[2], ",") {
				arguments = append(arguments, number(a))
			}
			require.Equal(t, number(m[3]), call(m[1], arguments), line)
			calls++
		}
	}
	require.Equal(t, 8, calls, "calls in the tables")
	require.Equal(t, 3, written)
	require.Equal(t, "ho", string(stored[8:]))
	require.Contains(t, section(t, 15), "2026-01-01T00:00:00Z, that is 1767225600000 ms")
}

// TestShardsOfTheSpecification checks the table of keys, and that the text beside it
// agrees with the constants.
func TestShardsOfTheSpecification(t *testing.T) {
	text := section(t, 12)
	rows := regexp.MustCompile("(?m)^\\| `([0-9a-f ]+)` \\| `(0x[0-9a-f]{16})` \\| (\\d+) \\| (\\d+) \\| (\\d+) \\| (\\d+) \\|$").FindAllStringSubmatch(text, -1)
	require.GreaterOrEqual(t, len(rows), 7)
	lengths := make(map[int]bool)
	for _, row := range rows {
		key, err := hex.DecodeString(strings.ReplaceAll(row[1], " ", ""))
		require.NoError(t, err)
		require.Equal(t, row[2], fmt.Sprintf("0x%016x", abi.KeyHash(key)), row[1])
		require.Equal(t, row[2], fmt.Sprintf("0x%016x", hashAsTheTextSays(key)), row[1])
		require.Zero(t, abi.ShardOf(key, 1))
		for i, shards := range []int{2, 4, 64, 1024} {
			require.Equal(t, row[3+i], strconv.Itoa(abi.ShardOf(key, shards)), "%s of %d", row[1], shards)
			top := hashAsTheTextSays(key) >> (64 - bits.Len(uint(shards-1)))
			require.Equal(t, row[3+i], strconv.FormatUint(top, 10), "the top bits of h")
		}
		lengths[len(key)%8] = true
	}
	require.True(t, lengths[0] && lengths[1] && lengths[4], "words that are whole and words that are not")
	require.Contains(t, text, "| key, in hexadecimal | `h` at the end | of 2 | of 4 | of 64 | of 1024 |")
	require.Contains(t, text, "its name is `"+abi.MountPath+"`")
	require.Contains(t, section(t, 9), fmt.Sprintf("a power of two, at most %d", abi.MaxShards))
	require.Contains(t, section(t, 8), "version 1 knows [`"+abi.CapabilityCAS+"`](#6-revisions-and-expect), [`"+abi.CapabilityReshard+"`](#another-number-of-shards) and [`"+
		abi.CapabilityRemote+"`](#records-that-lie-elsewhere)")
}

// hashAsTheTextSays follows section 12 word by word, to show that the specification is
// enough to write the hash anew.
func hashAsTheTextSays(key []byte) uint64 {
	const prime = 0x9e3779b97f4a7c15
	h := uint64(len(key))
	for len(key) > 0 {
		var eight [8]byte
		n := copy(eight[:], key)
		key = key[n:]
		word := binary.LittleEndian.Uint64(eight[:])
		h = (h ^ word) * prime
		h = h ^ (h >> 32)
	}
	return h * prime
}

// TestLinksOfTheSpecification: every section that is linked to exists.
func TestLinksOfTheSpecification(t *testing.T) {
	anchors := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^##+ (.+)$`).FindAllStringSubmatch(spec(t), -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		anchors["#"+strings.ReplaceAll(anchor, " ", "-")] = true
	}
	for _, m := range regexp.MustCompile(`\]\((#[^)]+)\)`).FindAllStringSubmatch(spec(t), -1) {
		require.True(t, anchors[m[1]], m[1])
	}
}

func TestCodesOfTheSpecification(t *testing.T) {
	rows := regexp.MustCompile(`(?m)^\| (-\d+) \| ([A-Z_]+) \|`).FindAllStringSubmatch(section(t, 4), -1)
	require.Len(t, rows, 10)
	for i, row := range rows {
		n, err := strconv.Atoi(row[1])
		require.NoError(t, err)
		require.Equal(t, -1-i, n)
		require.Equal(t, row[2], abi.Code(n).String())
	}
	require.Equal(t, "INTERNAL", abi.Code(-11).String(), "any other negative number")
}

// TestExportsOfTheSpecification compares names and signatures in the headings of SPEC.md
// with the constants and their comments.
func TestExportsOfTheSpecification(t *testing.T) {
	heading := regexp.MustCompile("(?m)^### `(\\w+) ?(\\([^`]*)?`$")
	inSpec := map[string]string{}
	for _, n := range []int{7, 8, 10} {
		for _, m := range heading.FindAllStringSubmatch(section(t, n), -1) {
			inSpec[m[1]] = strings.ReplaceAll(m[2], "→", "->")
		}
	}
	inGo := map[string]string{}
	for _, name := range []string{"abi.go", "network.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if name := v.Names[0].Name; strings.HasPrefix(name, "Export") || strings.HasPrefix(name, "Import") {
				value, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				require.NoError(t, err)
				signature, _, _ := strings.Cut(v.Comment.Text(), ":") // and what it returns, in words
				inGo[value] = strings.TrimSpace(signature)
			}
			return true
		})
	}
	require.Len(t, inGo, 30)
	require.Equal(t, inSpec, inGo)
}

// TestNetworkOfTheSpecification compares numbers in the text with the constants.
func TestNetworkOfTheSpecification(t *testing.T) {
	text := section(t, 10)
	require.Equal(t, 65_536, abi.FirstConn)
	require.Contains(t, text, "returns its number, which is 65,536 or more")
	rows := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^\| (E[A-Z]+) \| (\d+) \|`).FindAllStringSubmatch(text, -1) {
		rows[m[1]] = m[2]
	}
	file, err := parser.ParseFile(token.NewFileSet(), "network.go", nil, parser.ParseComments)
	require.NoError(t, err)
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, "Errno") {
			name, _, _ := strings.Cut(v.Comment.Text(), ":")
			name = strings.TrimSpace(name)
			require.Equal(t, v.Values[0].(*ast.BasicLit).Value, rows[name], name)
			found++
		}
		return true
	})
	require.Len(t, rows, found)
	require.Contains(t, text, fmt.Sprintf("%d there is something to read, or the end; %d something can be", abi.WaitRead, abi.WaitWrite))
}

func TestLimitsOfTheSpecification(t *testing.T) {
	limits := section(t, 11)
	for _, says := range []string{
		fmt.Sprintf("| key | 1 to %d bytes", abi.MaxKey),
		fmt.Sprintf("16 MiB (%s bytes)", "16 777 216"),
		"at most 2 GiB",
		fmt.Sprintf("messages | %d bytes, log lines %d bytes", abi.MaxMessage, abi.MaxLog),
	} {
		require.Contains(t, limits, says)
	}
	require.Equal(t, 16_777_216, abi.MaxValue)
	require.Equal(t, 2<<30, abi.MaxMemory)
	require.Contains(t, section(t, 10), fmt.Sprintf("Levels: %d debug, %d info, %d warning, %d error", abi.LevelDebug, abi.LevelInfo, abi.LevelWarn, abi.LevelError))
	for _, name := range []string{abi.ConfigShard, abi.ConfigShards, abi.ConfigMemoryLimit} {
		require.Contains(t, section(t, 9), "| `"+name+"` |")
	}
	for _, name := range []string{abi.DescribeName, abi.DescribeVersion, abi.DescribeCapabilities, abi.DescribeMaxKey, abi.DescribeMaxValue} {
		require.Contains(t, section(t, 8), "| `"+name+"` |")
	}
	for _, name := range []string{abi.StatsRecords, abi.StatsBytes, abi.StatsEvicted, abi.StatsExpired, abi.StatsLimit} {
		require.Contains(t, section(t, 8), "| `"+name+"` |")
	}
	require.Equal(t, abi.MarkerPrefix+strconv.Itoa(abi.Version), abi.ExportMarker)
}
