package folder

// recent remembers what it takes to replace records that were saved and then
// read: a record that is replaced was nearly always read just before. Nobody else
// writes to the directory.
type recent struct {
	slots []recentSlot // as many as Options.Remembered
}

type recentSlot struct {
	used  bool
	id    id
	known known
}

// known is what is remembered of a record.
type known struct {
	place
	sequence uint64
	expires  int64
	revision uint64
}

func (r *recent) slot(i id) *recentSlot {
	return &r.slots[(uint(i[14])<<8|uint(i[15]))%uint(len(r.slots))]
}

func (r *recent) put(i id, k known) { *r.slot(i) = recentSlot{used: true, id: i, known: k} }

func (r *recent) get(i id) (k known, ok bool) {
	if slot := r.slot(i); slot.used && slot.id == i {
		return slot.known, true
	}
	return known{}, false
}

func (r *recent) forget(i id) {
	if slot := r.slot(i); slot.id == i {
		slot.used = false
	}
}

func (r *recent) clear() { clear(r.slots[:]) }
