package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A whole run, short enough for a test: every curve has all of its points, and the page has
// every curve.
func TestScale(t *testing.T) {
	tiny := plan{rounds: 1, span: 200 * time.Microsecond}
	rows, err := runScale(t.Context(), scaleEffort{plan: tiny, cores: tiny, sessions: []int{10, 300}, sizes: []int{100, 1_000_000}, values: []int{1, 30}, shards: []int{1, 2}})
	require.NoError(t, err)
	points := map[string]int{}
	for _, r := range rows {
		points[r.Curve]++
		require.Positive(t, r.NS)
		require.Positive(t, r.Ratio)
		if r.Curve != curveCores {
			require.Greater(t, r.Memory, 0.0)
		}
		if r.Curve == curveSessions {
			require.Positive(t, r.Share)
		}
	}
	require.Equal(t, map[string]int{curveSessions: 8, curveSize: 8, curveValues: 8, curveShards: 4, curveCores: 5 * len(coreCounts)}, points)

	page := filepath.Join(t.TempDir(), "SCALE.md")
	committed, err := os.ReadFile("SCALE.md")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(page, committed, 0o644))
	require.NoError(t, writeScale(page, machine{CPU: "A Processor"}, rows))
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(text), "A Processor, ")
	require.Contains(t, string(text), "| µs for a request | 100 | 1,000,000 |")
	require.Equal(t, prose(t, string(committed)), prose(t, string(text)), "what is not between markers stays")
	charts, err := filepath.Glob(filepath.Join(filepath.Dir(page), "scale", "*.svg"))
	require.NoError(t, err)
	require.Len(t, charts, len(scaleCurves))
	for _, path := range charts {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		reader := xml.NewDecoder(strings.NewReader(string(data)))
		for err == nil {
			_, err = reader.Token()
		}
		require.True(t, errors.Is(err, io.EOF), "%s: %v", path, err)
		require.NotContains(t, string(data), "NaN")
		require.NotContains(t, string(data), "Inf")
	}
}

// prose is the text outside of the markers.
func prose(t *testing.T, text string) string {
	for _, c := range append([]string{"machine", "allocations"}, curveNames()...) {
		var err error
		text, err = between(text, c, "")
		require.NoError(t, err)
	}
	return text
}

func curveNames() (names []string) {
	for _, c := range scaleCurves {
		names = append(names, c.name)
	}
	return names
}

func TestPageWithoutMarkers(t *testing.T) {
	_, err := between("<!-- size -->\n", "size", "x")
	require.ErrorContains(t, err, "the page has no lines <!-- size --> and <!-- /size -->")
}

func TestChart(t *testing.T) {
	c := &chart{x: "things", y: "cost"}
	c.add("a", 1, 3)
	c.add("a", 1000, 0.5)
	c.add("b", 10, 12_345)
	require.Equal(t, "| cost | 1 | 10 | 1,000 |\n|---|---:|---:|---:|\n| a | 3.00 |  | 0.50 |\n| b |  | 12,345 |  |\n", c.table())
	svg := string(c.svg())
	require.Contains(t, svg, ">cost</text>")
	require.Contains(t, svg, ">1,000</text>")

	a := axis{low: 1, high: 100, from: 0, to: 200}
	require.InDelta(t, 0, a.at(1), 1e-9)
	require.InDelta(t, 100, a.at(10), 1e-9)
	require.InDelta(t, 200, a.at(100), 1e-9)
	require.InDeltaSlice(t, []float64{1, 2, 5, 10, 20, 50, 100}, a.marks(), 1e-9)
	require.InDeltaSlice(t, []float64{1, 10, 100, 1000, 10_000}, axis{low: 1, high: 10_000}.marks(), 1e-9)
	for _, each := range []struct{ v, down, up float64 }{{3, 2, 5}, {5, 5, 5}, {7, 5, 10}, {0.03, 0.02, 0.05}, {120, 100, 200}} {
		require.InDelta(t, each.down, roundDown(each.v), 1e-9)
		require.InDelta(t, each.up, roundUp(each.v), 1e-9)
	}
}
