package image_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/waddle-sessions/waddle/host/plugin/internal/image"
)

// The sizes are those of a guest in C and of the bundled engine in Go, and how many
// pages they write for a request and for ten sessions.
func eachKind(b *testing.B, run func(b *testing.B, im *image.Image, dirty int)) {
	needed(b)
	for _, kind := range []struct {
		size  int
		dirty []int
	}{{2 * kiB64, []int{4, 16}}, {6 * kiB64, []int{8, 32}}, {48 * kiB64, []int{16, 64}}} {
		for _, dirty := range kind.dirty {
			b.Run(fmt.Sprintf("%dKiB/%d", kind.size>>10, dirty), func(b *testing.B) {
				im, _ := newImage(b, kind.size, 1)
				run(b, im, dirty)
			})
		}
	}
}

func write(m *image.Memory, size uint64, pages int) {
	bytes := m.Bytes(size)
	step := len(bytes) / page / pages * page
	for i := range pages {
		bytes[i*step+100]++
	}
}

func BenchmarkMap(b *testing.B) {
	eachKind(b, func(b *testing.B, im *image.Image, dirty int) {
		for b.Loop() {
			m, err := image.Map(im, 1024*kiB64)
			require.NoError(b, err)
			write(m, im.Size(), dirty)
			require.NoError(b, m.Release())
		}
	})
}

func BenchmarkReset(b *testing.B) {
	eachKind(b, func(b *testing.B, im *image.Image, dirty int) {
		m := newMemory(b, im, 1024*kiB64)
		for b.Loop() {
			write(m, im.Size(), dirty)
			if err := m.Reset(im); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDelta(b *testing.B) {
	eachKind(b, func(b *testing.B, im *image.Image, dirty int) {
		m := newMemory(b, im, 1024*kiB64)
		write(m, im.Size(), dirty)
		s, to := new(image.Scratch), []byte(nil)
		for b.Loop() {
			var err error
			if to, err = m.Delta(im.Size(), im, s, to[:0]); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(to)), "bytes")
	})
}

// BenchmarkWake is what a tenant that sleeps costs to wake in a region that is kept.
func BenchmarkWake(b *testing.B) {
	eachKind(b, func(b *testing.B, im *image.Image, dirty int) {
		m := newMemory(b, im, 1024*kiB64)
		write(m, im.Size(), dirty)
		delta, err := m.Delta(im.Size(), im, nil, nil)
		require.NoError(b, err)
		for b.Loop() {
			if err := m.Reset(im); err != nil {
				b.Fatal(err)
			}
			if err := m.Apply(delta); err != nil {
				b.Fatal(err)
			}
		}
	})
}
