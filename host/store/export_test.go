package store

// Room returns for how many records the store has memory.
func (m *Memory) Room() (n int) {
	for i := range m.shards {
		n += cap(m.shards[i].records)
	}
	return n
}
