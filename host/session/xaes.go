package session

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
)

// xaes is XAES-256-GCM, AES-256-GCM with a nonce of 192 bits that may be drawn
// at random for any number of messages, as C2SP specifies it
// (https://c2sp.org/XAES-256-GCM). Plain AES-GCM, whose 96 bits are safe for
// 2³² random nonces, would wear a key out within weeks on a busy site.
type xaes struct {
	block cipher.Block
	k1    [aes.BlockSize]byte
}

const (
	xaesKey   = 32
	xaesNonce = 24
	xaesTag   = 16
)

func newXAES(key *[xaesKey]byte) *xaes {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the length is right
	}
	x := &xaes{block: block}
	block.Encrypt(x.k1[:], x.k1[:])
	carry := byte(0)
	for i := len(x.k1) - 1; i >= 0; i-- {
		carry, x.k1[i] = x.k1[i]>>7, x.k1[i]<<1|carry
	}
	x.k1[len(x.k1)-1] ^= 0x87 & -carry
	return x
}

// derive returns the AES-256-GCM of a nonce's first half; the second half is
// the nonce for that.
func (x *xaes) derive(nonce []byte) cipher.AEAD {
	var key [xaesKey]byte
	for i := range 2 {
		half := key[i*aes.BlockSize:][:aes.BlockSize]
		copy(half, []byte{0, byte(i + 1), 'X', 0})
		copy(half[4:], nonce[:12])
		for j := range half {
			half[j] ^= x.k1[j]
		}
		x.block.Encrypt(half, half)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func (x *xaes) seal(dst, nonce, plain, data []byte) []byte {
	return x.derive(nonce).Seal(dst, nonce[12:xaesNonce], plain, data)
}

func (x *xaes) open(dst, nonce, sealed, data []byte) ([]byte, error) {
	plain, err := x.derive(nonce).Open(dst, nonce[12:xaesNonce], sealed, data)
	if err != nil {
		return nil, fmt.Errorf("%w: the seal is broken: the record was changed, or belongs to another session or revision", ErrDecode)
	}
	return plain, nil
}
