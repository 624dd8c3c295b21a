package folder

// Stats say what a store holds, as far as it knows, and what it gave up.
type Stats struct {
	// Records and Bytes are less than 0 as long as nobody knows: in a directory
	// that was found with records, until a sweep has been round once. Bytes are
	// the length of the files, about.
	Records, Bytes int64

	Expired uint64 // records that were removed because they had expired
}

// tally counts records. A store that was made empty is counted exactly; in any
// other, what a round of the sweeper has seen counts, with what happened since.
type tally struct {
	known, exact   bool
	records, bytes int64

	seenRecords, seenBytes int64 // by the round that runs
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

// empty begins anew with a store that holds nothing.
func (t *tally) empty() { *t = tally{known: true, exact: true, expired: t.expired} }

func (t *tally) made(bytes int64) {
	t.records++
	t.bytes += bytes
}

// resized counts a file that has been replaced by one of another length.
func (t *tally) resized(bytes int64) { t.bytes = max(0, t.bytes+bytes) }

// lost counts a file that is gone; nobody looked how long it was.
func (t *tally) lost() {
	if t.records <= 1 {
		t.records, t.bytes = 0, 0
		return
	}
	t.bytes -= t.bytes / t.records
	t.records--
}

// seen counts a record that a round has come by.
func (t *tally) seen(bytes int64) {
	t.seenRecords++
	t.seenBytes += bytes
}

// round ends a round, and takes over what it has seen.
func (t *tally) round() {
	if !t.exact {
		t.known, t.records, t.bytes = true, t.seenRecords, t.seenBytes
	}
	t.seenRecords, t.seenBytes = 0, 0
}

// lengthFor is how long the file of a record of a size is.
func lengthFor(size int) int64 { return fileLength(slotSizeFor(size), true) }
