package folder

// Stats say what a store holds, as far as it knows, and what it has removed.
type Stats struct {
	// Records and Bytes are negative while they are unknown: in a directory
	// that was opened with records, until a sweep has completed one round.
	// Bytes is approximately the length of the files.
	Records, Bytes int64

	Expired uint64 // records that were removed because they had expired
}

// tally counts records. A store that was made empty is counted exactly. For any
// other, the count is what a round of the sweeper has seen, updated by every
// change since.
type tally struct {
	known, exact   bool
	records, bytes int64

	seenRecords, seenBytes int64 // by the current round
	expired                uint64
}

// Stats returns the counts.
func (s *Store) Stats() Stats {
	t := &s.tally
	if !t.known {
		return Stats{Records: -1, Bytes: -1, Expired: t.expired}
	}
	return Stats{Records: t.records, Bytes: t.bytes, Expired: t.expired}
}

// empty starts the count again for a store that holds nothing.
func (t *tally) empty() { *t = tally{known: true, exact: true, expired: t.expired} }

func (t *tally) made(bytes int64) {
	t.records++
	t.bytes += bytes
}

// resized counts a file that was replaced by one of another length.
func (t *tally) resized(bytes int64) { t.bytes = max(0, t.bytes+bytes) }

// lost counts a file that is gone. Its length is not known.
func (t *tally) lost() {
	if t.records <= 1 {
		t.records, t.bytes = 0, 0
		return
	}
	t.bytes -= t.bytes / t.records
	t.records--
}

// seen counts a record that a round has visited.
func (t *tally) seen(bytes int64) {
	t.seenRecords++
	t.seenBytes += bytes
}

// round ends a round and adopts what it has seen.
func (t *tally) round() {
	if !t.exact {
		t.known, t.records, t.bytes = true, t.seenRecords, t.seenBytes
	}
	t.seenRecords, t.seenBytes = 0, 0
}

// lengthFor is the length of the file for a record of a size.
func lengthFor(size int) int64 { return fileLength(slotSizeFor(size), true) }
