package wasi_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
	"github.com/waddle-sessions/waddle/host/plugin/internal/wasi"
)

// Numbers of WASI, and the descriptor of the first mount.
const (
	success     = 0
	badf        = 8
	fault       = 21
	inval       = 28
	nametoolong = 37
	preopen     = 3
)

// guest is a module with a memory and a mount, whose functions are called as it
// would call them. The tests of package mount cover what a guest does with files.
type guest struct {
	t         testing.TB
	mod       api.Module
	functions []wasi.Function
}

func newGuest(t testing.TB, hooks wasi.Hooks) *guest {
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	t.Cleanup(func() { r.Close(ctx) })
	g := &guest{t: t, functions: wasi.Functions(hooks)}
	b := r.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	for _, f := range g.functions {
		b.NewFunctionBuilder().WithGoModuleFunction(f.Call, f.Params, f.Results).Export(f.Name)
	}
	_, err := b.Instantiate(ctx)
	require.NoError(t, err)
	m, err := mount.Open(t.TempDir(), mount.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	wasm, err := os.ReadFile("../mount/testdata/calls.wasm")
	require.NoError(t, err)
	g.mod, err = r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithFSConfig(wasi.Mount(wazero.NewFSConfig(), m, "/")))
	require.NoError(t, err)
	return g
}

func (g *guest) call(name string, args ...uint64) uint64 {
	g.t.Helper()
	i := slices.IndexFunc(g.functions, func(f wasi.Function) bool { return f.Name == name })
	require.GreaterOrEqual(g.t, i, 0, name)
	stack := append(args, 0)
	g.functions[i].Call.Call(context.Background(), g.mod, stack)
	return uint64(uint32(stack[0]))
}

// make makes a file, and returns its descriptor.
func (g *guest) make(name string) uint64 {
	g.t.Helper()
	require.True(g.t, g.mod.Memory().WriteString(0, name))
	const create, readAndWrite, result = 1, 1<<1 | 1<<6, 8
	require.EqualValues(g.t, success, g.call("path_open", preopen, 1, 0, uint64(len(name)), create, readAndWrite, 0, 0, result))
	fd, ok := g.mod.Memory().ReadUint32Le(result)
	require.True(g.t, ok)
	return uint64(fd)
}

// All of WASI preview 1 is there, with wazero's signatures.
func TestFunctions(t *testing.T) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	module, err := wasi_snapshot_preview1.NewBuilder(r).Compile(ctx)
	require.NoError(t, err)
	want := module.ExportedFunctions()
	functions := wasi.Functions(wasi.Hooks{})
	require.Len(t, functions, len(want))
	for i, f := range functions {
		require.True(t, i == 0 || functions[i-1].Name < f.Name, "in order, each once")
		require.Contains(t, want, f.Name)
		require.Equal(t, want[f.Name].ParamTypes(), f.Params, f.Name)
		require.Equal(t, want[f.Name].ResultTypes(), f.Results, f.Name)
	}
}

// The cost of one call to the host is bounded, whatever numbers the guest gives.
func TestCallsAreBounded(t *testing.T) {
	g := newGuest(t, wasi.Hooks{})
	fd := g.make("f")
	for _, tc := range []struct {
		name string
		args []uint64
		want uint64
	}{
		{"fd_read", []uint64{fd, 0, 1025, 8}, inval},
		{"fd_write", []uint64{fd, 0, 1025, 8}, inval},
		{"fd_pread", []uint64{fd, 0, 1 << 29, 0, 8}, inval},
		{"fd_pwrite", []uint64{fd, 0, 1<<32 - 1, 0, 8}, inval},
		{"fd_readdir", []uint64{preopen, 0, 128<<10 + 1, 0, 8}, inval},
		{"fd_renumber", []uint64{fd, 1<<31 - 1}, badf},
		{"fd_renumber", []uint64{fd, 1<<12 + 1}, badf},
		{"fd_renumber", []uint64{fd, 1<<32 - 1}, badf},
		{"path_open", []uint64{preopen, 1, 0, 4097, 0, 0, 0, 0, 8}, nametoolong},
		{"path_filestat_get", []uint64{preopen, 1, 0, 4097, 0}, nametoolong},
		{"path_filestat_set_times", []uint64{preopen, 1, 0, 4097, 0, 0, 5}, nametoolong},
		{"path_create_directory", []uint64{preopen, 0, 4097}, nametoolong},
		{"path_remove_directory", []uint64{preopen, 0, 4097}, nametoolong},
		{"path_unlink_file", []uint64{preopen, 0, 4097}, nametoolong},
		{"path_readlink", []uint64{preopen, 0, 4097, 0, 1, 8}, nametoolong},
		{"path_rename", []uint64{preopen, 0, 4097, preopen, 0, 1}, nametoolong},
		{"path_rename", []uint64{preopen, 0, 1, preopen, 0, 4097}, nametoolong},
		{"path_link", []uint64{preopen, 0, 0, 4097, preopen, 0, 1}, nametoolong},
		{"path_link", []uint64{preopen, 0, 0, 1, preopen, 0, 4097}, nametoolong},
		{"path_symlink", []uint64{0, 4097, preopen, 0, 1}, nametoolong},
		{"path_symlink", []uint64{0, 1, preopen, 0, 4097}, nametoolong},
	} {
		require.Equal(t, tc.want, g.call(tc.name, tc.args...), "%s %d", tc.name, tc.args)
	}
	require.EqualValues(t, success, g.call("fd_renumber", fd, 1000))
	require.EqualValues(t, success, g.call("fd_close", 1000))
}

// The embedder is called before each call, is told how much the call may do, and can
// end the guest.
func TestHooks(t *testing.T) {
	var before []wasi.Work
	after, tooLate := 0, error(nil)
	g := newGuest(t, wasi.Hooks{
		Before: func(_ context.Context, w wasi.Work) {
			if before = append(before, w); tooLate != nil {
				panic(tooLate)
			}
		},
		After: func(context.Context) { after++ },
	})
	mem := g.mod.Memory()
	require.True(t, mem.WriteUint32Le(64, 0) && mem.WriteUint32Le(68, 300) && mem.WriteUint32Le(72, 0) && mem.WriteUint32Le(76, 40<<20))
	for _, tc := range []struct {
		name  string
		args  []uint64
		want  wasi.Work
		files int
	}{
		{"fd_sync", []uint64{99}, wasi.Work{Files: true}, 1},
		{"fd_close", []uint64{99}, wasi.Work{Files: true}, 1},
		{"path_unlink_file", []uint64{99, 0, 0}, wasi.Work{Files: true}, 1},
		{"fd_write", []uint64{99, 64, 1, 0}, wasi.Work{Files: true, Bytes: 300}, 1},
		{"fd_write", []uint64{99, 64, 2, 0}, wasi.Work{Files: true, Bytes: 300}, 1},
		{"fd_read", []uint64{99, 72, 1, 0}, wasi.Work{Files: true, Bytes: wasi.MaxTransfer}, 1},
		{"fd_read", []uint64{99, 0, 4096, 0}, wasi.Work{Files: true}, 1}, // too many vectors
		{"poll_oneoff", []uint64{0, 0, 0, 0}, wasi.Work{}, 0},
		{"sched_yield", nil, wasi.Work{}, 0},
		{"clock_time_get", []uint64{0, 0, 0}, wasi.Work{}, 0},
		{"random_get", []uint64{0, 8}, wasi.Work{}, 0},
	} {
		before, after = nil, 0
		g.call(tc.name, tc.args...)
		require.Equal(t, []wasi.Work{tc.want}, before, "%s %d", tc.name, tc.args)
		require.Equal(t, tc.files, after, "%s %d", tc.name, tc.args)
	}
	tooLate = errors.New("too late")
	_, err := g.mod.ExportedFunction("fd_sync").Call(context.Background(), preopen)
	require.ErrorIs(t, err, tooLate)
	require.PanicsWithError(t, "too late", func() { g.call("poll_oneoff", 0, 0, 1, 0) })
}

// subscription is one of a clock, or of a descriptor.
// A guest that has its streams in common with others cannot change them, and nothing else is
// different for it.
func TestCommonStreams(t *testing.T) {
	const notsup = 58
	common := true
	g := newGuest(t, wasi.Hooks{Common: func(context.Context) bool { return common }})
	for fd := range uint64(3) {
		require.EqualValues(t, notsup, g.call("fd_close", fd))
		require.EqualValues(t, notsup, g.call("fd_fdstat_set_flags", fd, 4))
		require.EqualValues(t, notsup, g.call("fd_renumber", fd, 3))
		require.EqualValues(t, notsup, g.call("fd_renumber", fd, (fd+1)%3))
	}
	require.EqualValues(t, badf, g.call("fd_close", 9))
	require.EqualValues(t, badf, g.call("fd_renumber", 9, 1))
	require.EqualValues(t, success, g.call("fd_write", 1, 0, 0, 8))
	common = false
	require.EqualValues(t, success, g.call("fd_close", 1))
	require.EqualValues(t, badf, g.call("fd_write", 1, 0, 0, 8))
}

func subscription(user uint64, kind byte, fd uint32, timeout uint64, absolute bool) []byte {
	s := make([]byte, 48)
	binary.LittleEndian.PutUint64(s, user)
	s[8] = kind
	binary.LittleEndian.PutUint32(s[16:], fd)
	binary.LittleEndian.PutUint64(s[24:], timeout)
	if absolute {
		s[40] = 1
	}
	return s
}

func TestPoll(t *testing.T) {
	const (
		clock, read, write = 0, 1, 2
		from, result       = 0x1000, 8
		millisecond        = uint64(time.Millisecond)
		longest            = time.Duration(1<<63 - 1)
	)
	never := time.Duration(-1)
	for _, c := range []struct {
		name          string
		subscriptions [][]byte
		to            uint64
		errno         uint64
		slept         time.Duration
		errors        []byte // of each event
	}{
		{"a clock", [][]byte{subscription(7, clock, 0, 3*millisecond, false)}, 0x8000, success, 3 * time.Millisecond, []byte{0}},
		{"the first of two clocks", [][]byte{subscription(7, clock, 0, 5*millisecond, false), subscription(8, clock, 0, 2*millisecond, false)},
			0x8000, success, 2 * time.Millisecond, []byte{0, 0}},
		{"a moment", [][]byte{subscription(7, clock, 0, 3*millisecond, true)}, 0x8000, success, longest, []byte{0}},
		{"more than there is", [][]byte{subscription(7, clock, 0, 1<<64-1, false)}, 0x8000, success, longest, []byte{0}},
		{"standard streams", [][]byte{subscription(7, read, 0, 0, false), subscription(8, write, 2, 0, false)}, 0x8000, success, 0, []byte{0, 0}},
		{"a stream and a clock", [][]byte{subscription(7, clock, 0, millisecond, false), subscription(8, write, 1, 0, false)}, 0x8000, success, 0, []byte{0, 0}},
		{"another descriptor", [][]byte{subscription(7, read, 3, 0, false)}, 0x8000, success, 0, []byte{badf}},
		{"events over subscriptions", [][]byte{subscription(7, read, 3, 0, false), subscription(8, clock, 0, millisecond, false), subscription(9, write, 1, 0, false)},
			from, success, 0, []byte{badf, 0, 0}},
		{"another kind", [][]byte{subscription(7, 3, 0, 0, false)}, 0x8000, inval, never, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			slept := never
			g := newGuest(t, wasi.Hooks{Sleep: func(_ context.Context, d time.Duration) { slept = d }})
			require.True(t, g.mod.Memory().Write(from, slices.Concat(c.subscriptions...)))
			require.Equal(t, c.errno, g.call("poll_oneoff", from, c.to, uint64(len(c.subscriptions)), result))
			require.Equal(t, c.slept, slept)
			for i, want := range c.errors {
				event, ok := g.mod.Memory().Read(uint32(c.to)+32*uint32(i), 32)
				require.True(t, ok)
				require.EqualValues(t, 7+i, binary.LittleEndian.Uint64(event))
				require.Equal(t, want, event[8])
				require.Equal(t, c.subscriptions[i][8], event[10])
			}
			n, _ := g.mod.Memory().ReadUint32Le(result)
			require.EqualValues(t, len(c.subscriptions), n)
		})
	}
	g := newGuest(t, wasi.Hooks{})
	end := uint64(g.mod.Memory().Size())
	for _, args := range [][]uint64{{from, from, 0, result}, {from, from, 1025, result}, {from, from, 1 << 28, result}, {from, from, 1<<32 - 1, result}} {
		require.EqualValues(t, inval, g.call("poll_oneoff", args...), "%d", args)
	}
	for _, args := range [][]uint64{{end - 47, from, 1, result}, {from, end - 31, 1, result}, {from, from, 1, end - 3}} {
		require.EqualValues(t, fault, g.call("poll_oneoff", args...), "%d", args)
	}
	require.EqualValues(t, success, g.call("poll_oneoff", from, from, 1024, result), "a thousand at once")
}
