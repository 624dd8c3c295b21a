package storetest

import "slices"

// shrink makes a list for which fails holds as short, and its items as simple,
// as it can with that many trials. It leaves out parts, halves first and single
// items last, and then replaces the remaining items by simpler ones. Its result
// fails, or is the list itself.
func shrink[T any](items []T, simpler func(T) []T, fails func([]T) bool, trials int) []T {
	try := func(candidate []T) bool {
		if trials <= 0 {
			return false
		}
		trials--
		return fails(candidate)
	}
	for changed := true; changed && trials > 0; {
		changed = false
		for part := max(1, len(items)/2); part >= 1; part /= 2 {
			// From the end: what comes after the fault is useless.
			for end := len(items); end > 0; {
				start := max(0, end-part)
				candidate := slices.Delete(slices.Clone(items), start, end)
				if len(candidate) > 0 && try(candidate) {
					items, changed = candidate, true
				}
				end = min(start, len(items))
			}
		}
		for i := range items {
			for _, other := range simpler(items[i]) {
				candidate := slices.Clone(items)
				candidate[i] = other
				if try(candidate) {
					items, changed = candidate, true
					break
				}
			}
		}
	}
	return items
}
