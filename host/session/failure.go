package session

import "fmt"

// These read and change a session without an error at each step: the first error
// is kept, and the response answers for it.

// Err returns the first error that [Key.Value], [Key.Put], [Value] or
// [Session.Check] met, or nil. After one, nothing that the request changed in
// its session is stored any more, because a value that it read may have been a
// mere zero value. Of the other methods, those that save return the error and
// store nothing; Get and its like try anew; Destroy and Manager.Revoke work.
//
// The middleware answers for the error before the first byte, as
// [Manager.WriteError] does, in place of whatever the handler writes. The
// handler need not call Err. If it does and gets an error, it answers for it:
// what it then writes is the response. If it writes nothing, the middleware
// answers after all. After the first byte only an EventFailed can tell of the
// error.
//
// For a session without a response, from [Manager.Session], call Err: nobody
// else does.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failureTaken = s.failure != nil
	return s.failure
}

// Check keeps err, as Value keeps its own error, if it is not nil and the first,
// and reports whether there is none so far. It brings the other methods into that
// form, and hands an error that the handler took by Err back to the middleware:
//
//	s.Check(s.LogIn(name, nil))
//	n, err := visits.Update(s, plusOne)
//	if !s.Check(err) {
//		return
//	}
func (s *Session) Check(err error) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.fail(err)
	}
	return s.failure == nil
}

// Value returns what read returns. On an error it returns the zero value and
// keeps the error for [Session.Err]; after one it does not call read. It is for
// the methods that [Key.Value] does not cover:
//
//	user := session.Value(s, s.User)
//	token := session.Value(s, s.CSRFToken)
func Value[T any](s *Session, read func() (T, error)) T {
	var zero T
	if !s.Check(nil) {
		return zero
	}
	v, err := read()
	if !s.Check(err) {
		return zero
	}
	return v
}

// fail keeps the first error, for the middleware to answer. The lock is held.
func (s *Session) fail(err error) {
	s.touched = true // the response now depends on the session
	s.failureTaken = false
	if s.failure == nil {
		s.failure = err
	}
}

// takeFailure says that the handler answers for the error itself.
func (s *Session) takeFailure() { _ = s.Err() }

// endFailed ends a response whose session has met an error. It returns the error
// for the middleware to answer, unless the handler has taken it and answers.
func (s *Session) endFailed() error {
	dropped := s.modified()
	s.changesSaved()
	err := s.failure
	if dropped {
		err = fmt.Errorf("%w; the changes to its session were dropped", err)
	}
	if w := s.w; s.failureTaken && !(w.returned && w.beginning) {
		if dropped {
			s.event(EventFailed, err)
		}
		err = nil
	}
	// A renewal from before the error must not leave its old id behind.
	if rest := s.endRest(); err == nil {
		err = rest
	}
	return err
}
