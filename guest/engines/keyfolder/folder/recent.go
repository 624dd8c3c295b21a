package folder

// recent remembers revision and expiry of durable records that were read: a
// record that is replaced was nearly always read just before, and need not be
// read again to compare. Nobody else writes to the directory.
type recent struct {
	slots [1024]recentSlot
}

type recentSlot struct {
	id       id
	revision uint64
	expires  int64
	used     bool
}

func (r *recent) slot(i id) *recentSlot {
	return &r.slots[(uint(i[14])<<8|uint(i[15]))%uint(len(r.slots))]
}

func (r *recent) put(i id, revision uint64, expires int64) {
	*r.slot(i) = recentSlot{id: i, revision: revision, expires: expires, used: true}
}

func (r *recent) get(i id) (revision uint64, expires int64, ok bool) {
	if slot := r.slot(i); slot.used && slot.id == i {
		return slot.revision, slot.expires, true
	}
	return 0, 0, false
}

func (r *recent) forget(i id) {
	if slot := r.slot(i); slot.id == i {
		slot.used = false
	}
}

func (r *recent) clear() { clear(r.slots[:]) }
