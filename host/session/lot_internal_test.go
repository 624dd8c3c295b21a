package session

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

const lotSecret = "a c0mpletely r4ndom s3cret f0r th!s test only"

func sealed(t testing.TB, s store.Store, random io.Reader) *sealedStore {
	t.Helper()
	k, err := NewKeyring(lotSecret)
	require.NoError(t, err)
	return &sealedStore{Store: s, reads: store.AtMost(s), keyring: k, random: random}
}

// last keeps the last sealed value.
type last struct {
	store.Store
	mu    sync.Mutex
	value []byte
	all   [][]byte
}

func (l *last) Set(ctx context.Context, w store.Write) error {
	l.mu.Lock()
	l.value = bytes.Clone(w.Value)
	l.all = append(l.all, l.value)
	l.mu.Unlock()
	return l.Store.Set(ctx, w)
}

func write(t testing.TB, s store.Store, key string, revision byte) {
	t.Helper()
	value := append([]byte{revision, 0, 0, 0, 0, 0, 0, 0}, "a value"...)
	require.NoError(t, s.Set(context.Background(), store.Write{Key: []byte(key), Value: value}))
}

// TestNoncesAreNeverUsedTwice: by many goroutines, across the end of a lot, and
// even if the source of random bits repeats itself.
func TestNoncesAreNeverUsedTwice(t *testing.T) {
	for name, random := range map[string]io.Reader{"random": rand.Reader, "the same bits each time": new(sameSalts)} {
		t.Run(name, func(t *testing.T) {
			seen := &last{Store: store.NewMemory()}
			s := sealed(t, seen, random)
			write(t, s, "first", 1)
			s.current.Load().used.Store(lotSize - 500)
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Go(func() {
					for range 250 {
						write(t, s, string(rune('a'+g)), 1)
					}
				})
			}
			wg.Wait()
			nonces, lots := make(map[string]bool), make(map[string]bool)
			for _, v := range seen.all {
				nonces[string(v[saltStart:sealedHeader])] = true
				lots[string(v[saltStart:nonceStart])] = true
			}
			require.Len(t, nonces, 2001)
			require.Len(t, lots, 2, "one after the other")
		})
	}
}

// sameSalts gives different salts, as it must, but the same bits for nonces.
type sameSalts struct{ n byte }

func (r *sameSalts) Read(p []byte) (int, error) {
	clear(p)
	if len(p) == saltSize {
		r.n++
		p[0] = r.n
	}
	return len(p), nil
}

// TestLotsOfOthers: another process's records are opened, before and after
// their lot is known. A made-up lot is not accepted.
func TestLotsOfOthers(t *testing.T) {
	memory := &last{Store: store.NewMemory()}
	writer, reader := sealed(t, memory, rand.Reader), sealed(t, memory, rand.Reader)
	write(t, writer, "key", 1)
	k := &reader.keyring.keys[0]
	require.Nil(t, k.lots.known.Load())
	for range 3 {
		value, err := reader.Get(context.Background(), []byte("key"), 0)
		require.NoError(t, err)
		require.Equal(t, "a value", string(value[8:]))
		require.Len(t, *k.lots.known.Load(), 1)
	}
	for i := range 100 {
		forged := bytes.Clone(memory.all[0])
		forged[saltStart+i%saltSize] ^= byte(i + 1)
		require.NoError(t, memory.Store.Set(context.Background(), store.Write{Key: []byte("key"), Value: forged}))
		_, err := reader.Get(context.Background(), []byte("key"), 0)
		require.ErrorIs(t, err, ErrDecode)
	}
	require.Len(t, *k.lots.known.Load(), 1)
}

// TestLotsAreBounded, however many processes have ever written.
func TestLotsAreBounded(t *testing.T) {
	memory := store.NewMemory()
	reader := sealed(t, memory, rand.Reader)
	for i := range maxLots + 50 {
		write(t, sealed(t, memory, rand.Reader), "key", byte(i))
		_, err := reader.Get(context.Background(), []byte("key"), 0)
		require.NoError(t, err)
		require.LessOrEqual(t, len(*reader.keyring.keys[0].lots.known.Load()), maxLots)
	}
}

// TestSealCoversEverything: every byte before and behind the seal, the key, and
// the place of each.
func TestSealCoversEverything(t *testing.T) {
	memory := &last{Store: store.NewMemory()}
	s := sealed(t, memory, rand.Reader)
	write(t, s, "key", 1)
	good := bytes.Clone(memory.value)
	require.Len(t, good, 8+len("a value")+sealOverhead)
	try := func(key string, value []byte) error {
		require.NoError(t, memory.Store.Set(context.Background(), store.Write{Key: []byte(key), Value: value}))
		_, err := s.Get(context.Background(), []byte(key), 0)
		return err
	}
	require.NoError(t, try("key", good))
	require.ErrorIs(t, try("other", good), ErrDecode)
	require.ErrorIs(t, try("key", append(bytes.Clone(good), 0)), ErrDecode)
	for n := range good {
		require.ErrorIs(t, try("key", good[:n]), ErrDecode, "cut off at %d", n)
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[n] ^= 1 << bit
			require.ErrorIs(t, try("key", bad), ErrDecode, "bit %d of byte %d", bit, n)
		}
	}
}

// TestSealWithoutRandomBits: it is an error and stores nothing.
func TestSealWithoutRandomBits(t *testing.T) {
	memory := store.NewMemory()
	s := sealed(t, memory, bytes.NewReader(make([]byte, saltSize+8)))
	write(t, s, "key", 1)
	err := s.Set(context.Background(), store.Write{Key: []byte("more"), Value: make([]byte, 9)})
	require.ErrorIs(t, err, store.ErrInternal)
	require.Equal(t, 1, memory.Len())
	require.ErrorIs(t, s.Set(context.Background(), store.Write{Key: []byte("more"), Value: make([]byte, 7)}), store.ErrInvalid)
}
