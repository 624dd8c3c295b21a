package gorillastore

// Origins returns of how many sessions the store knows what they were.
func Origins(s *Store) (n int) {
	s.origins.bySession.Range(func(any, any) bool { n++; return true })
	return n
}
