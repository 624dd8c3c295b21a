package plugin_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// Section 12: which shard serves a key, and which guest may open a directory.

func mutant(t testing.TB, name string) []byte {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join("../storetest/plugintest/testdata/mutants/wasm", name+".wasm"))
	require.NoError(t, err)
	return wasm
}

// TestSpecShardOfKeys: the keys of the table reach the shards given there.
func TestSpecShardOfKeys(t *testing.T) {
	rows := specRows(t, sectionShards)
	require.NotEmpty(t, rows)
	for column, shards := range map[int]int{2: 2, 3: 4, 4: 64} {
		config := specConfigOf(nil)
		config.Shards, config.MemoryLimit = shards, 4<<30
		p := open(t, specGuest(t).bytes(), config)
		for i, row := range rows {
			key, err := hex.DecodeString(strings.ReplaceAll(strings.Trim(row[0], "`"), " ", ""))
			require.NoError(t, err)
			want, err := strconv.Atoi(row[column])
			require.NoError(t, err)
			before := p.Stats().Shards[want].Ops["set"].Calls
			require.NoError(t, p.Set(ctx, store.Write{Key: key, Now: 1}))
			require.Equal(t, before+1, p.Stats().Shards[want].Ops["set"].Calls, "row %d of %d shards", i, shards)
		}
		require.NoError(t, p.Close(ctx))
	}
}

// TestSpecFirstShard: shard 0 is open before another begins.
func TestSpecFirstShard(t *testing.T) {
	require.Contains(t, strings.Join(strings.Fields(specSection(t, sectionLife)), " "),
		"Shard 0 is brought up first, and the others, perhaps at the same time, when it is open")
	m := specGuest(t)
	log := m.imported(specImport(t, abi.ImportLog))
	says := func(name string, region ...byte) {
		f := m.export(name)
		f.body = append(append(append([]byte{opI32Const, 0}, region...), opCall, byte(log)), f.code()...)
	}
	text := []byte("begins")
	says(abi.ExportDescribe, append(append([]byte{opI32Const}, sleb(int64(m.text(text)))...), opI32Const, byte(len(text)))...)
	says(abi.ExportOpen, opLocalGet, 0, opLocalGet, 1)
	var lines logBuffer
	config := specConfigOf(jsonLogger(&lines))
	config.Shards, config.MemoryLimit = 8, 512<<20
	open(t, m.bytes(), config)
	said := guestLines(t, &lines)
	require.Len(t, said, 16)
	require.Equal(t, "begins", said[0].Message)
	require.Regexp(t, `shard.0.shards.8.$`, said[1].Message)
}

// TestSpecReshard: a guest that finds its records with any number opens with another,
// which is the directory's from then on.
func TestSpecReshard(t *testing.T) {
	wasm, dir := mutant(t, "file_reshards"), t.TempDir()
	for _, shards := range []int{2, 8, 1, 4} {
		p := open(t, wasm, overDir(dir, shards))
		if shards == 2 {
			fillShards(t, p, 100)
		}
		require.Equal(t, 100, heldShards(p, 100), "%d shards", shards)
		require.NoError(t, p.Close(ctx))
		p = open(t, wasm, overDir(dir, 0))
		require.Equal(t, shards, p.Info().Shards)
		require.Equal(t, 100, heldShards(p, 100))
		require.NoError(t, p.Close(ctx))
	}
	// The same directory, with a guest that does not.
	_, err := plugin.Open(ctx, fileGuest(t), overDir(dir, 2))
	var other *plugin.ShardsError
	require.ErrorAs(t, err, &other)
	require.Equal(t, 4, other.Written)
}

// TestSpecOwnRefusal: a guest's own refusal gives the same kind of error, with both
// numbers and the guest's message, and changes nothing.
func TestSpecOwnRefusal(t *testing.T) {
	wasm, dir := mutant(t, "file_refuses"), t.TempDir()
	p := open(t, wasm, overDir(dir, 2))
	fillShards(t, p, 100)
	require.NoError(t, p.Close(ctx))
	for range 2 {
		_, err := plugin.Open(ctx, wasm, overDir(dir, 4))
		require.ErrorIs(t, err, plugin.ErrShards)
		require.ErrorIs(t, err, store.ErrInvalid)
		var other *plugin.ShardsError
		require.ErrorAs(t, err, &other)
		require.Equal(t, plugin.ShardsError{Dir: dir, Written: 2, Asked: 4}, *other)
		require.ErrorContains(t, err, "the guest says: INVALID: the files are for another number of shards: 2")
	}
	p = open(t, wasm, overDir(dir, 0))
	require.Equal(t, 2, p.Info().Shards, "the refusal is not noted as a number")
	require.Equal(t, 100, heldShards(p, 100))
	require.NoError(t, p.Close(ctx))

	// Another answer is no refusal of the number.
	wasm, dir = mutant(t, "file_refuses_mute"), t.TempDir()
	p = open(t, wasm, overDir(dir, 2))
	fillShards(t, p, 10)
	require.NoError(t, p.Close(ctx))
	_, err := plugin.Open(ctx, wasm, overDir(dir, 4))
	require.ErrorIs(t, err, plugin.ErrOpen)
	require.NotErrorIs(t, err, plugin.ErrShards)

	// Without the host's file the guest's refusal is all there is.
	dir = t.TempDir()
	p = open(t, mutant(t, "file_refuses"), overDir(dir, 2))
	fillShards(t, p, 10)
	require.NoError(t, p.Close(ctx))
	require.NoError(t, os.Remove(filepath.Join(dir, ".waddle.shards")))
	_, err = plugin.Open(ctx, mutant(t, "file_refuses"), overDir(dir, 4))
	require.ErrorIs(t, err, plugin.ErrOpen)
	require.ErrorContains(t, err, "another number of shards: 2")
	require.Equal(t, 2, open(t, mutant(t, "file_refuses"), overDir(dir, 2)).Info().Shards)
}

// TestSpecDirectory: the numbers and names of the directory. The tests of internal/mount
// and host/internal/dirlock hold the rest.
func TestSpecDirectory(t *testing.T) {
	text := strings.Join(strings.Fields(specSection(t, sectionShards)), " ")
	require.Contains(t, text, "its name is `"+plugin.DefaultMountPath+"`")
	require.Regexp(t, regexp.MustCompile("names begin with `\\.waddle`, which the guest neither sees"), text)
	wasm, dir := fileGuest(t), t.TempDir()
	p := open(t, wasm, overDir(dir, 1))
	_, err := plugin.Open(ctx, wasm, overDir(dir, 1))
	require.ErrorIs(t, err, plugin.ErrInUse, "one process, and one plugin of it")
	require.NoError(t, p.Close(ctx))
	open(t, wasm, overDir(dir, 1))
}
