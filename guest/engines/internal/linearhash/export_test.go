package linearhash

import "math/bits"

// OfSize returns a table as it is after enough splits to have that many
// buckets.
func OfSize(buckets uint32) Table {
	return Table{last: buckets - 1, mask: 1<<bits.Len32(buckets-1) - 1}
}
