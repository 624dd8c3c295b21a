package main

import "github.com/waddle-sessions/waddle/guest"

// Batch implements guest.Batcher.
func (e *engine) Batch(b *guest.Batch) error {
	for n := range b.Len() {
		op := b.Op(n)
		switch op.Kind {
		case guest.BatchGet:
			b.Answer(e.Get(op.Key, op.Now))
		case guest.BatchSet:
			b.Answer(nil, e.Set(op.Write))
		case guest.BatchDelete:
			b.Answer(nil, e.Delete(op.Key, op.Now))
		case guest.BatchTouch:
			b.Answer(nil, e.Touch(op.Key, op.Expires, op.Now))
		}
	}
	return nil
}
