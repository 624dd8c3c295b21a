package linearhash

import "math/bits"

// OfSize returns a table as it is after so many splits, and one more bucket.
func OfSize(buckets uint32) Table {
	return Table{last: buckets - 1, mask: 1<<bits.Len32(buckets-1) - 1}
}
