package table

import "github.com/waddle-sessions/waddle/guest"

// batch is what doing many operations at once needs, kept for the next time.
type batch struct {
	ops   []op
	round []*op
	keys  map[string]int
}

// batchRoom is how many bytes gets of one batch may find. There is no more room for answers.
const batchRoom = 4 << 20

// Batch does many operations at once and answers each, as if they had been done one after
// the other. Those of one key are done in rounds, in their order. In a round the server
// decides the order, as it does between hosts.
func (t *Table) Batch(list *guest.Batch) {
	b := &t.batch
	b.ops, t.values, t.room = b.ops[:0], t.values.emptied(), batchRoom
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
type arena struct {
	block []byte
	total int // of what was to be kept up to a bound
}

// mostArena is the most that is kept for the next values.
const mostArena = 1 << 20

// emptied returns an arena without values, which may lie where the old ones were.
func (a arena) emptied() arena {
	if cap(a.block) > mostArena {
		return arena{}
	}
	return arena{block: a.block[:0]}
}

// keepUpTo is keep, unless there would then be more than most bytes.
func (a *arena) keepUpTo(value []byte, most int) (kept []byte, crowded bool) {
	if a.total += len(value); a.total > most {
		return nil, true
	}
	return a.keep(value), false
}

// keep returns a copy of a value. What was kept before stays where it is.
func (a *arena) keep(value []byte) []byte {
	if cap(a.block)-len(a.block) < len(value) {
		a.block = make([]byte, 0, max(2*cap(a.block), len(value), 16<<10))
	}
	at := len(a.block)
	a.block = append(a.block, value...)
	return a.block[at:len(a.block):len(a.block)]
}
