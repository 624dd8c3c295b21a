package site

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strings"
)

// Sizes of a plot, in pixels.
const (
	barsWidth = 820
	barsLeft  = 250 // the names of the subjects
	barsRight = 80  // the times behind the longest bar
	barHeight = 26
	barsTop   = 8
	barsFoot  = 24
)

// bars draws times as bars along a logarithmic axis. The page's style gives the colours.
func bars(title string, rows []measured) string {
	low, high := math.Inf(1), 0.0
	for _, m := range rows {
		low, high = min(low, m.time()), max(high, m.time())
	}
	// The shortest bar is seen as well: the axis begins below it.
	from, to := math.Floor(math.Log10(low)-0.3), math.Ceil(math.Log10(high))
	x := func(ns float64) float64 {
		return barsLeft + (math.Log10(ns)-from)/(to-from)*(barsWidth-barsLeft-barsRight)
	}
	bottom := barsTop + barHeight*len(rows)
	var out bytes.Buffer
	fmt.Fprintf(&out, `<div class="wide"><svg class="plot" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n", barsWidth, bottom+barsFoot, html.EscapeString(title))
	for power := from; power <= to; power++ {
		at := x(math.Pow(10, power))
		fmt.Fprintf(&out, `<path class="grid" d="M%.1f %d V%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			at, barsTop, bottom, at, bottom+16, short(math.Pow(10, power)))
	}
	for i, m := range rows {
		y := barsTop + i*barHeight
		class := "bar"
		if strings.HasPrefix(m.Subject, "waddle") {
			class = "bar ours"
		}
		end := x(m.time())
		fmt.Fprintf(&out, `<text x="%d" y="%d" text-anchor="end">%s</text><rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="3"/><text x="%.1f" y="%d">%s</text>`+"\n",
			barsLeft-8, y+17, html.EscapeString(m.Subject), class, barsLeft, y+4, end-barsLeft, barHeight-8, end+6, y+17, short(m.time()))
	}
	out.WriteString("</svg></div>\n")
	return out.String()
}
