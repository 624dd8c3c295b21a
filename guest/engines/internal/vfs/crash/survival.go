package crash

import "math/rand/v2"

// Survival decides which unsynced changes are on the medium when the power
// comes back.
type Survival interface {
	// write returns data with the surviving part of a write.
	write(data []byte, w write) []byte

	// naming reports whether the next change of a directory survived.
	naming() bool

	// prefix returns how much of a write of n bytes was done by a process that
	// was killed in the middle.
	prefix(n int) int
}

// Survivals that decide the same for everything.
var (
	Nothing    Survival = all(false)  // only what was synced is there
	Everything Survival = all(true)   // everything is there, including the change that was cut
	NamesOnly  Survival = namesOnly{} // all names are there, and no contents of files
	DataOnly   Survival = dataOnly{}  // contents are there, and no changes of names
	Lengths    Survival = lengths{}   // names and lengths are there, and zeros instead of contents
)

type all bool

func (a all) write(data []byte, w write) []byte {
	if a {
		return w.apply(data)
	}
	return data
}
func (a all) naming() bool { return bool(a) }
func (a all) prefix(n int) int {
	if a {
		return n
	}
	return 0
}

type namesOnly struct{}

func (namesOnly) write(data []byte, _ write) []byte { return data }
func (namesOnly) naming() bool                      { return true }
func (namesOnly) prefix(n int) int                  { return n / 2 }

type dataOnly struct{}

func (dataOnly) write(data []byte, w write) []byte { return w.apply(data) }
func (dataOnly) naming() bool                      { return false }
func (dataOnly) prefix(n int) int                  { return n - min(n, 1) }

type lengths struct{}

func (lengths) write(data []byte, w write) []byte {
	w.data = make([]byte, len(w.data))
	return w.apply(data)
}
func (lengths) naming() bool     { return true }
func (lengths) prefix(n int) int { return min(n, 1) }

// Some lets chance decide, for every change and, within a write, for every
// sector, whose size varies from one byte to a page: it is there, or not, or
// replaced by zeros or by something else.
func Some(rng *rand.Rand) Survival { return some{rng} }

type some struct{ rng *rand.Rand }

var sectors = [...]int{1, 7, 64, 512, 4096}

func (s some) write(data []byte, w write) []byte {
	switch s.rng.IntN(4) {
	case 0:
		return data
	case 1:
		return w.apply(data)
	}
	if w.truncate {
		return data
	}
	sector := sectors[s.rng.IntN(len(sectors))]
	for at := 0; at < len(w.data); {
		// Sectors lie where the disk has them, not where a write begins.
		end := min(len(w.data), at+sector-int(w.offset+int64(at))%sector)
		part := write{offset: w.offset + int64(at), data: append([]byte(nil), w.data[at:end]...)}
		switch s.rng.IntN(8) {
		case 0, 1:
			part.data = nil
		case 2:
			clear(part.data)
		case 3:
			for i := range part.data {
				part.data[i] = byte(s.rng.Uint32())
			}
		}
		if part.data != nil {
			data = part.apply(data)
		}
		at = end
	}
	return data
}

func (s some) naming() bool     { return s.rng.IntN(2) == 0 }
func (s some) prefix(n int) int { return s.rng.IntN(n + 1) }
