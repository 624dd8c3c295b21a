package table

import "github.com/waddle-sessions/waddle/guest"

// batch is what doing many operations at once needs, kept for the next time.
type batch struct {
	ops   []op
	round []*op
	keys  map[string]int
}

// Batch does many operations at once and answers each, as if they had been done one after
// the other. Those of one key are done in rounds, in their order. In a round the server
// decides the order, as it does between hosts.
func (t *Table) Batch(list *guest.Batch) {
	b := &t.batch
	b.ops, t.values = b.ops[:0], t.values.emptied()
	if b.keys == nil {
		b.keys = make(map[string]int)
	}
	for i := range list.Len() {
		b.ops = append(b.ops, t.batchOp(list.Op(i)))
	}
	for done := 0; done < len(b.ops); {
		clear(b.keys)
		b.round = b.round[:0]
		for i := done; i < len(b.ops); i++ {
			o := &b.ops[i]
			if _, twice := b.keys[string(o.key)]; twice {
				break
			}
			b.keys[string(o.key)] = i
			b.round = append(b.round, o)
		}
		done += len(b.round)
		t.run(b.round)
	}
	for i := range b.ops {
		list.Answer(b.ops[i].found, b.ops[i].err)
	}
	clear(b.ops)
}

func (t *Table) batchOp(o *guest.BatchOp) op {
	switch o.Kind {
	case guest.BatchGet:
		return op{kind: opGet, key: o.Key, now: o.Now}
	case guest.BatchSet:
		return t.setOp(&o.Write)
	case guest.BatchTouch:
		return touchOp(o.Key, o.Expires, o.Now)
	}
	return op{kind: opRemove, key: o.Key}
}

// arena keeps copies of values.
type arena []byte

// mostArena is the most that is kept for the next values.
const mostArena = 1 << 20

// emptied returns an arena without values, which may lie where the old ones were.
func (a arena) emptied() arena {
	if cap(a) > mostArena {
		return nil
	}
	return a[:0]
}

// keep returns a copy of a value. What was kept before stays where it is.
func (a *arena) keep(value []byte) []byte {
	if cap(*a)-len(*a) < len(value) {
		*a = make([]byte, 0, max(2*cap(*a), len(value), 16<<10))
	}
	at := len(*a)
	*a = append(*a, value...)
	return (*a)[at:len(*a):len(*a)]
}
