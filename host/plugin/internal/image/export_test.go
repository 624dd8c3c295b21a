package image

import (
	"encoding/binary"
	"hash/crc32"
)

// Sealed makes a delta of an image out of anything.
func Sealed(pages []byte, count uint32, im *Image) []byte {
	d := append(make([]byte, deltaHeader), pages...)
	binary.LittleEndian.PutUint32(d[4:], count)
	binary.LittleEndian.PutUint64(d[8:], im.id)
	binary.LittleEndian.PutUint32(d, crc32.Checksum(d[4:], castagnoli))
	return d
}
