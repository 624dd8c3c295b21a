package image_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/waddle-sessions/waddle/host/plugin/internal/image"
)

const modelLimit = 6 * kiB64

// A model is a memory and what it should contain. What is beyond its size is zeros.
type model struct {
	memory *image.Memory
	size   uint64
	want   []byte // of the whole region
}

// TestModel does random things with memories of two images, in several goroutines,
// and compares each whole region with a slice to which the same was done.
func TestModel(t *testing.T) {
	needed(t)
	initialised, first := newImage(t, 2*kiB64, 1)
	opened, second := newImage(t, 3*kiB64, 2)
	bytesOf := map[*image.Image][]byte{initialised: first, opened: second}
	var group sync.WaitGroup
	for seed := range uint64(4) {
		group.Go(func() { runModel(t, rand.New(rand.NewPCG(seed, 1)), []*image.Image{initialised, opened}, bytesOf) })
	}
	group.Wait()
}

func runModel(t *testing.T, r *rand.Rand, images []*image.Image, bytesOf map[*image.Image][]byte) {
	s := new(image.Scratch)
	fresh := func(im *image.Image) *model {
		m, err := image.Map(im, modelLimit)
		if err != nil {
			t.Error(err)
		}
		return &model{m, im.Size(), append(slices.Clone(bytesOf[im]), make([]byte, modelLimit-im.Size())...)}
	}
	reset := func(m *model, im *image.Image) {
		if err := m.memory.Reset(im); err != nil {
			t.Error(err)
		}
		m.size, m.want = im.Size(), append(slices.Clone(bytesOf[im]), make([]byte, modelLimit-im.Size())...)
	}
	same := func(m *model, about string) bool {
		for at, got := 0, m.memory.Bytes(m.size); at < int(m.size); at += page {
			if string(got[at:at+page]) != string(m.want[at:at+page]) {
				t.Errorf("%s: page %d of %d differs", about, at/page, m.size/page)
				return false
			}
		}
		return true
	}
	memories := []*model{fresh(images[0]), fresh(images[1]), fresh(images[0])}
	var delta []byte
	for range 600 {
		m := memories[r.IntN(len(memories))]
		switch r.IntN(10) {
		case 0, 1, 2, 3: // a few bytes, or many
			at := r.IntN(int(m.size))
			n := min(1<<r.IntN(14), int(m.size)-at)
			value := byte(r.IntN(3))
			for i := range n {
				m.memory.Bytes(m.size)[at+i], m.want[at+i] = value, value
			}
		case 4: // as in the image again
			if from := int(m.memory.Image().Size()); from > 0 {
				at := r.IntN(min(from, int(m.size)) - 10)
				copy(m.memory.Bytes(m.size)[at:at+10], bytesOf[m.memory.Image()][at:])
				copy(m.want[at:at+10], bytesOf[m.memory.Image()][at:])
			}
		case 5:
			m.size = min(m.size+kiB64, modelLimit)
		case 6:
			reset(m, images[r.IntN(2)])
		case 7: // asleep, and awake in another memory
			against := images[r.IntN(2)]
			var err error
			if delta, err = m.memory.Delta(m.size, against, s, delta[:0]); err != nil {
				t.Error(err)
			}
			k := r.IntN(len(memories))
			woken := memories[k]
			if r.IntN(2) == 0 || woken == m {
				woken = fresh(against)
			} else if err := woken.memory.Reset(against); err != nil {
				t.Error(err)
			}
			if err := woken.memory.Apply(delta); err != nil {
				t.Error(err)
			}
			woken.size, woken.want = m.size, slices.Clone(m.want)
			if woken != memories[k] {
				if err := memories[k].memory.Release(); err != nil {
					t.Error(err)
				}
				memories[k] = woken
			}
			m = woken
		case 8: // by comparing: what is the memory's own is at least what differs
			n, err := m.memory.Dirty(m.size, s)
			if err != nil {
				t.Error(err)
			}
			im, differing := bytesOf[m.memory.Image()], uint64(0)
			for at := uint64(0); at < min(m.size, uint64(len(im))); at += page {
				if string(m.want[at:at+page]) != string(im[at:at+page]) {
					differing += page
				}
			}
			if n < differing || n > m.size {
				t.Errorf("%d bytes are dirty; %d of the image's differ", n, differing)
			}
		case 9: // all that there could be
			m.size = modelLimit
		}
		if !same(m, "after a step") {
			return
		}
	}
	for _, m := range memories {
		same(m, "at the end")
		if err := m.memory.Release(); err != nil {
			t.Error(err)
		}
	}
}

// mappings counts those of this process that are of an image, and the descriptors.
func mappings(t *testing.T) (maps, descriptors int) {
	b, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.Contains(to, "waddle-image") {
			descriptors++
		}
	}
	return strings.Count(string(b), "waddle-image"), descriptors
}

func TestNothingIsLeft(t *testing.T) {
	needed(t)
	maps, descriptors := mappings(t)
	for range 50 {
		a, err := image.New(make([]byte, kiB64))
		require.NoError(t, err)
		b, err := image.New(make([]byte, kiB64))
		require.NoError(t, err)
		var all []*image.Memory
		for range 20 {
			m, err := image.Map(a, 4*kiB64)
			require.NoError(t, err)
			all = append(all, m)
		}
		during, open := mappings(t)
		require.Equal(t, maps+22, during)
		require.Equal(t, descriptors+2, open)
		require.NoError(t, all[0].Reset(b))
		require.NoError(t, a.Close())
		require.NoError(t, a.Close())
		require.NoError(t, b.Close())
		_, open = mappings(t)
		require.Equal(t, descriptors, open, "images are closed although memories live on")
		for _, m := range all {
			m.Bytes(2 * kiB64)[kiB64] = 1
			require.NoError(t, m.Release())
			require.NoError(t, m.Release())
		}
		after, _ := mappings(t)
		require.Equal(t, maps, after)
	}
}

// A region must not show up in what the whole process has mapped, either.
func TestRegionsAreGivenBack(t *testing.T) {
	needed(t)
	im, _ := newImage(t, kiB64, 1)
	count := func() int {
		b, err := os.ReadFile("/proc/self/maps")
		require.NoError(t, err)
		return strings.Count(string(b), "\n")
	}
	before := count()
	for range 1000 {
		m, err := image.Map(im, 64*kiB64)
		require.NoError(t, err)
		m.Bytes(64 * kiB64)[63*kiB64] = 1
		require.NoError(t, m.Release())
	}
	require.Less(t, count(), before+100)
}
