package modgen

import "math/rand/v2"

// choices decide everything that is random about a module: bytes given by a fuzzer as
// long as there are any, and then a sequence that a seed determines.
type choices struct {
	given []byte
	rng   *rand.Rand
}

func newChoices(seed uint64, given []byte) *choices {
	return &choices{given, rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))}
}

// n returns a number below n, which is at most 256 where a byte can decide it.
func (c *choices) n(n int) int {
	if len(c.given) > 0 && n <= 256 {
		b := c.given[0]
		c.given = c.given[1:]
		return int(b) % n
	}
	return c.rng.IntN(n)
}

// one of so many times.
func (c *choices) oneIn(n int) bool { return c.n(n) == 0 }

// between returns a number from low to high.
func (c *choices) between(low, high int) int { return low + c.n(high-low+1) }

// bits returns a number that is often near a boundary.
func (c *choices) bits() uint64 {
	switch c.n(8) {
	case 0:
		return 0
	case 1:
		return uint64(c.n(256))
	case 2:
		return -uint64(c.n(256))
	case 3:
		return 1 << c.n(64)
	case 4:
		return 1<<c.n(64) - 1
	case 5:
		return uint64(c.rng.Uint32())
	}
	return c.rng.Uint64()
}

func pick[T any](c *choices, from []T) T { return from[c.n(len(from))] }

// weighted is a list of things of which some are chosen more often.
type weighted[T any] []struct {
	weight int
	thing  T
}

func (w weighted[T]) pick(c *choices) T {
	total := 0
	for _, e := range w {
		total += e.weight
	}
	at := c.n(total)
	for _, e := range w {
		if at -= e.weight; at < 0 {
			return e.thing
		}
	}
	panic("unreachable")
}
