package image_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/waddle-sessions/waddle/host/plugin/internal/image"
)

const (
	page  = 4096
	kiB64 = image.Granularity
)

func needed(t testing.TB) {
	if err := image.Available(); errors.Is(err, image.ErrWrong) {
		t.Fatal(err) // more likely this package's fault than the system's
	} else if err != nil {
		t.Skip(err)
	}
}

// newImage has a number in each page but every fourth, which is zeros.
func newImage(t testing.TB, size int, number byte) (*image.Image, []byte) {
	memory := make([]byte, size)
	for at := 0; at < size; at += page {
		if at/page%4 != 3 {
			memory[at], memory[at+page/2] = number, byte(at/page)+1
		}
	}
	im, err := image.New(memory)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, im.Close()) })
	return im, memory
}

func newMemory(t testing.TB, im *image.Image, limit uint64) *image.Memory {
	m, err := image.Map(im, limit)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Release()) })
	return m
}

// equal compares without printing memories.
func equal(t testing.TB, want, got []byte, about string) {
	t.Helper()
	require.Equal(t, len(want), len(got), about)
	for at := 0; at < len(want); at += page {
		if string(want[at:at+page]) != string(got[at:at+page]) {
			require.Fail(t, about, "page %d differs", at/page)
		}
	}
}

func TestMemoriesShareTheirImageAndNothingElse(t *testing.T) {
	needed(t)
	im, memory := newImage(t, 2*kiB64, 7)
	require.EqualValues(t, 2*kiB64, im.Size())
	require.EqualValues(t, 2*kiB64/4*3, im.Stored())

	a, b := newMemory(t, im, 4*kiB64), newMemory(t, im, 4*kiB64)
	equal(t, memory, a.Bytes(2*kiB64), "as mapped")
	require.Nil(t, a.Bytes(5*kiB64), "beyond the region")

	a.Bytes(2 * kiB64)[5] = 99
	a.Bytes(4 * kiB64)[3*kiB64] = 98
	equal(t, memory, b.Bytes(2*kiB64), "the other memory")
	equal(t, make([]byte, 2*kiB64), b.Bytes(4 * kiB64)[2*kiB64:], "beyond the image")

	n, err := a.Dirty(4*kiB64, nil)
	require.NoError(t, err)
	require.EqualValues(t, 2*page, n)
	n, err = a.Dirty(2*kiB64, nil)
	require.NoError(t, err)
	require.EqualValues(t, page, n)
	n, err = b.Dirty(2*kiB64, nil)
	require.NoError(t, err)
	require.Zero(t, n, "it was only read")

	require.NoError(t, a.Reset(im))
	equal(t, memory, a.Bytes(2*kiB64), "reset")
	equal(t, make([]byte, 2*kiB64), a.Bytes(4 * kiB64)[2*kiB64:], "beyond the image, reset")
}

func TestDelta(t *testing.T) {
	needed(t)
	const limit = 11 * kiB64
	initialised, _ := newImage(t, 2*kiB64, 1)
	opened, _ := newImage(t, 3*kiB64, 2)
	large, _ := newImage(t, 9*kiB64, 3)
	for _, test := range []struct {
		from, against *image.Image
		size          uint64
	}{
		{initialised, initialised, 2 * kiB64},
		{initialised, initialised, 4 * kiB64},
		{initialised, opened, 2 * kiB64}, // smaller than the image it is taken against
		{initialised, opened, 3 * kiB64},
		{initialised, opened, 4 * kiB64},
		{opened, initialised, 3 * kiB64},
		{opened, initialised, 4 * kiB64},
		{opened, opened, 3 * kiB64},
		{initialised, large, 2 * kiB64},
		{opened, large, 10 * kiB64},
		{large, opened, 9 * kiB64},
	} {
		t.Run(fmt.Sprint(test.from.Size()/kiB64, test.against.Size()/kiB64, test.size/kiB64), func(t *testing.T) {
			m := newMemory(t, test.from, limit)
			b := m.Bytes(test.size)
			b[10], b[page+1], b[len(b)-1] = 50, 51, 52
			clear(b[2*page : 3*page])
			want := append([]byte(nil), b...)

			prefix := []byte("what was there")
			delta, err := m.Delta(test.size, test.against, new(image.Scratch), prefix)
			require.NoError(t, err)
			require.Equal(t, prefix, delta[:len(prefix)])
			delta = delta[len(prefix):]

			woken := newMemory(t, test.against, limit)
			require.NoError(t, woken.Apply(delta))
			equal(t, want, woken.Bytes(test.size), "woken")
			equal(t, make([]byte, limit-test.size), woken.Bytes(limit)[test.size:], "zeros beyond")

			again, err := woken.Delta(test.size, test.against, nil, nil)
			require.NoError(t, err)
			require.Equal(t, delta, again)

			n, err := woken.Dirty(test.size, nil)
			require.NoError(t, err)
			if test.from == test.against && test.size == test.against.Size() {
				require.EqualValues(t, 4*page, n)
				require.Less(t, len(delta), 4*100)
			}
		})
	}
}

func TestResetToAnotherImage(t *testing.T) {
	needed(t)
	small, smallMemory := newImage(t, 1*kiB64, 1)
	large, largeMemory := newImage(t, 3*kiB64, 2)
	full, fullMemory := newImage(t, 4*kiB64, 3)
	empty, err := image.New(nil)
	require.NoError(t, err)
	defer empty.Close()
	images := []*image.Image{small, large, full, empty}
	memories := [][]byte{smallMemory, largeMemory, fullMemory, nil}
	for i, from := range images {
		for k, to := range images {
			m := newMemory(t, from, 4*kiB64)
			b := m.Bytes(4 * kiB64)
			for at := range b {
				b[at] = 200
			}
			require.NoError(t, m.Reset(to))
			require.Same(t, to, m.Image())
			equal(t, memories[k], m.Bytes(to.Size()), fmt.Sprint("from ", i, " to ", k))
			equal(t, make([]byte, 4*kiB64-to.Size()), m.Bytes(4 * kiB64)[to.Size():], "zeros beyond")
		}
	}
}

// What a memory keeps when it is reset is bounded, however often and however far it
// was used, and it is never seen.
func TestResetKeepsLittle(t *testing.T) {
	needed(t)
	const limit = 1024 * kiB64
	im, memory := newImage(t, 48*kiB64, 1)
	m := newMemory(t, im, limit)
	own := func() int {
		n, err := m.Dirty(limit, nil)
		require.NoError(t, err)
		return int(n)
	}
	write := func(from, bytes int) {
		for at := from; at < from+bytes; at += page {
			m.Bytes(uint64(from + bytes))[at] = 9
		}
	}
	write(0, image.Keep)
	require.NoError(t, m.Reset(im))
	require.Equal(t, image.Keep, own(), "few pages are written over")
	write(image.Keep, page)
	require.NoError(t, m.Reset(im))
	require.Zero(t, own(), "many are given back")

	for pages := 200; pages > 0; pages-- {
		write(pages*image.Keep/4, page)
		require.NoError(t, m.Reset(im))
		require.LessOrEqual(t, own(), image.Keep, "pages beyond what is used now count, too")
	}
	write(1000*kiB64, page)
	require.NoError(t, m.Reset(im))
	require.Zero(t, own(), "a large memory is given back")
	equal(t, append(memory, make([]byte, limit-len(memory))...), m.Bytes(limit), "reset")
}

// A byte that is written beyond the image takes a page, whatever the system's policy
// of huge pages is.
func TestZerosAreOfSmallPages(t *testing.T) {
	needed(t)
	im, _ := newImage(t, kiB64, 1)
	m := newMemory(t, im, 1024*kiB64)
	check := func() {
		t.Helper()
		data, err := os.ReadFile("/proc/self/smaps")
		require.NoError(t, err)
		_, after, found := strings.Cut(string(data), fmt.Sprintf("\n%x-", uintptr(unsafe.Pointer(&m.Bytes(2 * kiB64)[m.Image().Size()]))))
		require.True(t, found, "the zeros have a mapping of their own")
		_, flags, _ := strings.Cut(after, "VmFlags:")
		flags, _, _ = strings.Cut(flags, "\n")
		require.Contains(t, strings.Fields(flags), "nh")
	}
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("the system has no huge pages")
	}
	check()
	empty, err := image.New(nil)
	require.NoError(t, err)
	defer empty.Close()
	require.NoError(t, m.Reset(empty))
	check()
}
