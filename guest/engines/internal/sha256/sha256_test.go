package sha256_test

import (
	standard "crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/internal/sha256"
)

// TestVectors checks the examples of FIPS 180-4.
func TestVectors(t *testing.T) {
	for text, want := range map[string]string{
		"":    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
	} {
		sum := sha256.Sum([]byte(text))
		require.Equal(t, want, hex.EncodeToString(sum[:]), text)
	}
}

// TestIsTheStandardLibrarys compares every length around the ends of blocks.
func TestIsTheStandardLibrarys(t *testing.T) {
	b := make([]byte, 1200)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(b)
	for n := range b {
		require.Equal(t, standard.Sum256(b[:n]), sha256.Sum(b[:n]), "%d bytes", n)
	}
}

func TestDoesNotAllocate(t *testing.T) {
	b := make([]byte, 200)
	require.Zero(t, testing.AllocsPerRun(100, func() { sha256.Sum(b) }))
}

func FuzzSum(f *testing.F) {
	f.Add([]byte("abc"))
	f.Fuzz(func(t *testing.T, b []byte) { require.Equal(t, standard.Sum256(b), sha256.Sum(b)) })
}
