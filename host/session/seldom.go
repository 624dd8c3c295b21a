package session

// seldom has fields that few sessions need. In memory of its own, it keeps the others
// smaller.
type seldom struct {
	half    *halfEnded  // a renewal that may have failed
	old     *OldSession // of another library, to go on with
	oldUsed bool        // the session is that of old, whose token is used up
	takes   string      // the id to begin with, made from an old token
}

// rarely returns the session's, to be changed.
func (s *Session) rarely() *seldom {
	if s.seldom == nil {
		s.seldom = new(seldom)
	}
	return s.seldom
}

func (r *seldom) halfEnded() *halfEnded {
	if r == nil {
		return nil
	}
	return r.half
}

func (r *seldom) oldSession() *OldSession {
	if r == nil {
		return nil
	}
	return r.old
}

func (r *seldom) takenID() string {
	if r == nil {
		return ""
	}
	return r.takes
}
