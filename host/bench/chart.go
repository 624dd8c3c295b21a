package main

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
)

// chart is a chart of lines with logarithmic axes.
type chart struct {
	x, y  string
	lines []chartLine
}

type chartLine struct {
	name   string
	points [][2]float64
}

// add adds a point to the line of that name.
func (c *chart) add(line string, x, y float64) {
	i := slices.IndexFunc(c.lines, func(l chartLine) bool { return l.name == line })
	if i < 0 {
		i, c.lines = len(c.lines), append(c.lines, chartLine{name: line})
	}
	c.lines[i].points = append(c.lines[i].points, [2]float64{x, y})
}

// Sizes of a chart, in pixels.
const (
	chartWidth, chartHeight = 740, 340
	chartLeft, chartRight   = 64, 240 // the right has the names of the lines
	chartTop, chartBottom   = 16, 48
	chartInnerWidth         = chartWidth - chartLeft - chartRight
	chartInnerHeight        = chartHeight - chartTop - chartBottom
)

// The colours of lines are legible on white and on black. Lines also differ in their dashes.
var (
	chartColours = []string{"#2f7ed8", "#d9663a", "#2f9e6e", "#b05fc4", "#a08a1c"}
	chartDashes  = []string{"", "6 3", "2 3", "8 3 2 3", "1 4"}
)

// svg draws the chart.
func (c *chart) svg() []byte {
	var out bytes.Buffer
	xs, ys := c.values(0), c.values(1)
	xScale := axis{low: slices.Min(xs), high: slices.Max(xs), from: chartLeft, to: chartLeft + chartInnerWidth}
	yScale := axis{low: roundDown(slices.Min(ys)), high: roundUp(slices.Max(ys)), from: chartTop + chartInnerHeight, to: chartTop}
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">
<style>text{fill:#333}.grid{stroke:#ccc;stroke-width:.6}.axis{stroke:#333}@media (prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}.axis{stroke:#ddd}}</style>
`, chartWidth, chartHeight)
	for _, x := range slices.Compact(slices.Sorted(slices.Values(xs))) {
		at := xScale.at(x)
		fmt.Fprintf(&out, `<path class="grid" d="M%.1f %d V%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			at, chartTop, chartTop+chartInnerHeight, at, chartTop+chartInnerHeight+16, grouped(x))
	}
	for _, y := range yScale.marks() {
		at := yScale.at(y)
		fmt.Fprintf(&out, `<path class="grid" d="M%d %.1f H%d"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			chartLeft, at, chartLeft+chartInnerWidth, chartLeft-6, at+4, grouped(y))
	}
	fmt.Fprintf(&out, `<path class="axis" fill="none" d="M%d %d V%d H%d"/>`+"\n", chartLeft, chartTop, chartTop+chartInnerHeight, chartLeft+chartInnerWidth)
	fmt.Fprintf(&out, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", chartLeft+chartInnerWidth/2, chartHeight-8, c.x)
	fmt.Fprintf(&out, `<text transform="translate(14 %d) rotate(-90)" text-anchor="middle">%s</text>`+"\n", chartTop+chartInnerHeight/2, c.y)
	for i, l := range c.lines {
		colour, dash := chartColours[i%len(chartColours)], chartDashes[i%len(chartDashes)]
		var path strings.Builder
		for j, p := range l.points {
			command := "L"
			if j == 0 {
				command = "M"
			}
			fmt.Fprintf(&path, "%s%.1f %.1f ", command, xScale.at(p[0]), yScale.at(p[1]))
			fmt.Fprintf(&out, `<circle cx="%.1f" cy="%.1f" r="2.5" fill="%s"/>`+"\n", xScale.at(p[0]), yScale.at(p[1]), colour)
		}
		fmt.Fprintf(&out, `<path fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s" d="%s"/>`+"\n", colour, dash, strings.TrimSpace(path.String()))
		at := chartTop + 14 + 20*i
		left := chartLeft + chartInnerWidth + 14
		fmt.Fprintf(&out, `<path stroke="%s" stroke-width="2" stroke-dasharray="%s" d="M%d %d h24"/><text x="%d" y="%d">%s</text>`+"\n",
			colour, dash, left, at-4, left+30, at, l.name)
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// table is the chart as a Markdown table, a row for each line.
func (c *chart) table() string {
	xs := slices.Compact(slices.Sorted(slices.Values(c.values(0))))
	out, rule := "| "+c.y, "|---"
	for _, x := range xs {
		out += " | " + grouped(x)
		rule += "|---:"
	}
	out += " |\n" + rule + "|\n"
	for _, l := range c.lines {
		out += "| " + l.name
		for _, x := range xs {
			cell := ""
			for _, p := range l.points {
				if p[0] == x {
					cell = short3(p[1])
				}
			}
			out += " | " + cell
		}
		out += " |\n"
	}
	return out
}

func (c *chart) values(i int) (all []float64) {
	for _, l := range c.lines {
		for _, p := range l.points {
			all = append(all, p[i])
		}
	}
	return all
}

// axis is a logarithmic axis.
type axis struct{ low, high, from, to float64 }

func (a axis) at(v float64) float64 {
	if a.high == a.low {
		return a.from
	}
	return a.from + (a.to-a.from)*math.Log(v/a.low)/math.Log(a.high/a.low)
}

// marks are the round numbers from the lowest to the highest: 1, 2 and 5 times powers of ten,
// or only these where there would be too many.
func (a axis) marks() (all []float64) {
	steps := []float64{1, 2, 5}
	if a.high/a.low > 1000 {
		steps = steps[:1]
	}
	for power := math.Pow(10, math.Floor(math.Log10(a.low))); power <= a.high; power *= 10 {
		for _, s := range steps {
			if v := s * power; v >= a.low*0.999 && v <= a.high*1.001 {
				all = append(all, v)
			}
		}
	}
	return all
}

// roundDown and roundUp return the next of the numbers 1, 2, 5, 10, 20...
func roundDown(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, s := range []float64{5, 2, 1} {
		if s*power <= v {
			return s * power
		}
	}
	return power
}

func roundUp(v float64) float64 {
	if down := roundDown(v); down == v {
		return v
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, s := range []float64{2, 5, 10} {
		if s*power >= v {
			return s * power
		}
	}
	return 10 * power
}

// short3 has about three digits.
func short3(v float64) string {
	switch {
	case v >= 100:
		return grouped(math.Round(v))
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// grouped separates thousands.
func grouped(v float64) string {
	text := fmt.Sprint(v)
	if v >= 1 && v == math.Trunc(v) {
		text = fmt.Sprintf("%.0f", v)
		for at := len(text) - 3; at > 0; at -= 3 {
			text = text[:at] + "," + text[at:]
		}
	}
	return text
}
