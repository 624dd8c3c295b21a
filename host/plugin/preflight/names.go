package preflight

// names checks the custom section of names, which a runtime reads for its stack
// traces and whose counts it believes.
func (r *reader) names(l *Limits) {
	for r.more() {
		id := r.byte()
		size := r.u32()
		sub := r.sub(size)
		if r.err != nil {
			return
		}
		switch id {
		case 0:
			sub.name(1 << 16)
		case 1:
			sub.nameMap(l)
		case 2:
			for n := sub.count("functions with named locals", 2*l.Functions); n > 0 && sub.err == nil; n-- {
				sub.u32()
				sub.nameMap(l)
			}
		default:
			continue // of the extended name section; skipped by its size
		}
		if sub.more() {
			sub.fail("%d bytes that belong to nothing", sub.left())
		}
		if sub.err != nil {
			r.err = sub.err
			return
		}
	}
}

func (r *reader) nameMap(l *Limits) {
	for n := r.count("names", 2*l.Functions); n > 0 && r.err == nil; n-- {
		r.u32()
		r.name(1 << 16)
	}
}
