//go:build !unix

package network

// On this system calls cannot be kept from waiting: goroutines make them.

func (s *socket) init() {}

func (s *socket) tryRead([]byte) (int, error)  { return 0, errAgain }
func (s *socket) tryWrite([]byte) (int, error) { return 0, errAgain }

func (s *socket) waitRead(p []byte) (int, error)  { return s.conn.Read(p) }
func (s *socket) waitWrite(p []byte) (int, error) { return s.conn.Write(p) }
