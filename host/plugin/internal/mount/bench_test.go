package mount_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
)

// Each benchmark runs on a mount with and without quotas, and on wazero's own
// directory mount, which is no sandbox.
func eachFS(b *testing.B, bench func(b *testing.B, m sys.FS)) {
	b.Run("counted", func(b *testing.B) {
		m, _ := open(b, mount.Options{MaxBytes: 1 << 40, MaxFiles: 1 << 20})
		bench(b, m)
	})
	b.Run("uncounted", func(b *testing.B) {
		m, _ := open(b, mount.Options{})
		bench(b, m)
	})
	b.Run("wazero", func(b *testing.B) { bench(b, sysfs.DirFS(b.TempDir())) })
}

func benchFile(b *testing.B, m sys.FS, flag sys.Oflag) sys.File {
	f, errno := m.OpenFile("f", readWrite|flag, 0o600)
	require.Zero(b, errno)
	_, errno = f.Write(make([]byte, 1<<20))
	require.Zero(b, errno)
	b.Cleanup(func() { f.Close() })
	b.ReportAllocs()
	b.ResetTimer()
	return f
}

func BenchmarkPread(b *testing.B) {
	eachFS(b, func(b *testing.B, m sys.FS) {
		f, buf := benchFile(b, m, 0), make([]byte, 300)
		for i := 0; b.Loop(); i++ {
			f.Pread(buf, int64(i%3000)*300)
		}
	})
}

func BenchmarkPwrite(b *testing.B) {
	eachFS(b, func(b *testing.B, m sys.FS) {
		f, buf := benchFile(b, m, 0), make([]byte, 300)
		for i := 0; b.Loop(); i++ {
			f.Pwrite(buf, int64(i%3000)*300)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	eachFS(b, func(b *testing.B, m sys.FS) {
		f, buf := benchFile(b, m, sys.O_APPEND), make([]byte, 300)
		for i := 0; b.Loop(); i++ {
			if i%100_000 == 99_999 {
				b.StopTimer()
				f.Truncate(0)
				b.StartTimer()
			}
			f.Write(buf)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	for depth, dir := range []string{"", "a/", "a/b/", "a/b/c/"} {
		b.Run(fmt.Sprint("depth=", depth+1), func(b *testing.B) {
			eachFS(b, func(b *testing.B, m sys.FS) {
				for i := range len(dir) / 2 {
					require.Zero(b, m.Mkdir(dir[:2*i+1], 0o700))
				}
				f, errno := m.OpenFile(dir+"f", readWrite, 0o600)
				require.Zero(b, errno)
				f.Close()
				b.ReportAllocs()
				for b.Loop() {
					f, _ := m.OpenFile(dir+"f", sys.O_RDWR, 0o600)
					f.Close()
				}
			})
		})
	}
}

// BenchmarkReplace replaces a record, without the syncs.
func BenchmarkReplace(b *testing.B) {
	replace := func(b *testing.B, m sys.FS, dir string) {
		f, errno := m.OpenFile(dir+"/tmp", readWrite|sys.O_EXCL, 0o600)
		if errno != 0 {
			b.Error(errno)
		}
		f.Write(make([]byte, 300))
		f.Close()
		if errno := m.Rename(dir+"/tmp", dir+"/record"); errno != 0 {
			b.Error(errno)
		}
	}
	eachFS(b, func(b *testing.B, m sys.FS) {
		m.Mkdir("a", 0o700)
		m.Mkdir("a/b", 0o700)
		for b.Loop() {
			replace(b, m, "a/b")
		}
	})
	b.Run("parallel", func(b *testing.B) {
		m, _ := open(b, mount.Options{MaxBytes: 1 << 40, MaxFiles: 1 << 20})
		dirs := make(chan string, 1000)
		for i := range cap(dirs) {
			dirs <- fmt.Sprint(i)
			m.Mkdir(fmt.Sprint(i), 0)
		}
		b.RunParallel(func(pb *testing.PB) {
			dir := <-dirs
			for pb.Next() {
				replace(b, m, dir)
			}
		})
	})
}

// BenchmarkCall measures what it costs a call that errors reach the guest: the
// call itself asks for the position of an open file.
func BenchmarkCall(b *testing.B) {
	ctx := context.Background()
	tell := func(b *testing.B, g *guest) {
		fd, errno := g.open("f", oCreat, rightRead|rightWrite, 0)
		require.Zero(b, errno)
		f, stack := g.mod.ExportedFunction("fd_tell"), make([]uint64, 2)
		for b.Loop() {
			stack[0], stack[1] = fd, 8
			if err := f.CallWithStack(ctx, stack); err != nil || stack[0] != 0 {
				b.Fatal(err, stack[0])
			}
		}
	}
	b.Run("mount", func(b *testing.B) {
		m, _ := open(b, mount.Options{MaxBytes: 1})
		tell(b, newGuest(b, m))
	})
	b.Run("wazero", func(b *testing.B) {
		r := wazero.NewRuntime(ctx)
		defer r.Close(ctx)
		wasi_snapshot_preview1.MustInstantiate(ctx, r)
		m, _ := open(b, mount.Options{MaxBytes: 1})
		config := wazero.NewFSConfig().(sysfs.FSConfig).WithSysFSMount(m, "/")
		tell(b, &guest{b, instantiate(b, r, callsWasm, config)})
	})
}

// BenchmarkCount measures what Open costs for each existing file.
func BenchmarkCount(b *testing.B) {
	dir := b.TempDir()
	const dirs, files = 100, 100
	for i := range dirs {
		require.NoError(b, os.Mkdir(fmt.Sprint(dir, "/", i), 0o700))
		for j := range files {
			require.NoError(b, os.WriteFile(fmt.Sprint(dir, "/", i, "/", j), nil, 0o600))
		}
	}
	for b.Loop() {
		m, err := mount.Open(dir, mount.Options{MaxBytes: 1})
		require.NoError(b, err)
		require.NoError(b, m.Close())
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(dirs*(files+1)), "ns/file")
}
