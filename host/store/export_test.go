package store

// Room returns the number of records that the store has memory for.
func (m *Memory) Room() (n int) {
	for i := range m.shards {
		n += cap(m.shards[i].records)
	}
	return n
}
