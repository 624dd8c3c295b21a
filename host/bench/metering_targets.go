package main

import "fmt"

// Targets of metering, as ratios to unmetered, and for an empty call in nanoseconds.
const (
	targetMetered   = 1.10
	targetMeteredGo = 1.15
	targetCompile   = 1.15
	targetEmpty     = 10.0
	targetNeighbour = 1.5
)

// judgeMetering gives a verdict on each target of metering.
func judgeMetering(m *meteringResult, add func(met bool, target, found string, args ...any)) {
	for _, g := range m.Guests {
		want, name := targetMetered, g.Language
		switch name {
		case guestGo:
			want = targetMeteredGo
		case nameWasmCall: // in Go, too
			want, name = targetMeteredGo, "the bundled memory engine"
		}
		add(g.MeteredGet <= want && g.MeteredSet <= want, fmt.Sprintf("%s: get and set metered within %g times of unmetered", name, want),
			"%.2f and %.2f times; close-on-done %.2f and %.2f", g.MeteredGet, g.MeteredSet, g.CloseGet, g.CloseSet)
		add(g.Compile <= targetCompile, fmt.Sprintf("%s: compiling metered within %g times of unmetered", name, targetCompile), "%.2f times", g.Compile)
	}
	more := m.Empty.Metered - m.Empty.Unmetered
	add(more <= targetEmpty, fmt.Sprintf("an empty call metered at most %g ns more", targetEmpty), "%.1f ns more than %.0f", more, m.Empty.Unmetered)
	if n := m.Neighbour; n != nil {
		add(n.Ratio <= targetNeighbour, fmt.Sprintf("beside an endless guest, the 99th of a hundred operations within %g times of alone", targetNeighbour), "%.2f times", n.Ratio)
	}
}
