package main

import (
	"bytes"
	"fmt"
	"html"
)

// Sizes in pixels.
const (
	width      = 880
	head       = 56 // the actors' boxes
	lineHeight = 16
	gap        = 14
	boxWidth   = 150
	letter     = 6.2 // about the width of one, to give notes their size
)

const style = `<style>
text{font:12px system-ui,"Segoe UI",Helvetica,Arial,sans-serif;fill:#1b2b2c}.over{paint-order:stroke;stroke:#fff;stroke-width:5px;stroke-linejoin:round}
.who{font-weight:600;fill:#08565a}.box{fill:#e0f0ee;stroke:#0c6b6e}.life{stroke:#9fb5b2;stroke-dasharray:3 4}
.way{stroke:#0c6b6e;stroke-width:1.5;fill:none}.tip{fill:#0c6b6e}.note{fill:#f1f5f3;stroke:#c8d6d1}.part{font-weight:600;fill:#566a6b}.rule{stroke:#c8d6d1}.ground{fill:#fff}
@media (prefers-color-scheme:dark){text{fill:#e6efed}.who{fill:#7ad5d0}.box{fill:#173435;stroke:#57c2bd}.life{stroke:#4b6162}
.way{stroke:#57c2bd}.tip{fill:#57c2bd}.note{fill:#111c1d;stroke:#2a3a3b}.part{fill:#9bb0af}.rule{stroke:#2a3a3b}.ground{fill:#172324}.over{stroke:#172324}}
</style>
`

func (d *diagram) svg() []byte {
	var body bytes.Buffer
	y := head + gap
	for _, s := range d.steps {
		switch {
		case s.heading:
			y += gap
			fmt.Fprintf(&body, `<path class="rule" d="M8 %d H%d"/>`+"\n", y, width-8)
			y += lineHeight
			text(&body, 12, y, "start", "part over", s.lines[0])
			y += gap / 2
		case s.from == s.to:
			y = d.note(&body, s, y)
		default:
			y = d.message(&body, s, y)
		}
	}
	height := y + gap
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n", width, height, html.EscapeString(d.title))
	fmt.Fprintf(&out, "<title>%s</title>\n%s", html.EscapeString(d.title), style)
	fmt.Fprintf(&out, `<rect class="ground" width="%d" height="%d" rx="10"/>`+"\n", width, height)
	for i, a := range d.actors {
		x := d.x(i)
		fmt.Fprintf(&out, `<path class="life" d="M%d %d V%d"/>`+"\n", x, head, height-gap/2)
		fmt.Fprintf(&out, `<rect class="box" x="%d" y="14" width="%d" height="%d" rx="8"/>`+"\n", x-boxWidth/2, boxWidth, head-22)
		text(&out, x, 36, "middle", "who", a.title)
	}
	out.Write(body.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// x is the middle of an actor's column.
func (d *diagram) x(i int) int {
	column := width / len(d.actors)
	return column/2 + i*column
}

// message draws an arrow with its text above.
func (d *diagram) message(out *bytes.Buffer, s step, y int) int {
	from, to := d.x(s.from), d.x(s.to)
	for _, line := range s.lines {
		y += lineHeight
		text(out, (from+to)/2, y, "middle", "over", line)
	}
	y += 7
	dash, tip := "", 8
	if s.dashed {
		dash = ` stroke-dasharray="5 4"`
	}
	if to < from {
		tip = -8
	}
	fmt.Fprintf(out, `<path class="way" d="M%d %d H%d"%s/><path class="tip" d="M%d %d l%d -4 v8 z"/>`+"\n", from, y, to-tip, dash, to, y, -tip)
	return y + gap/2
}

// note draws what an actor does, in a box over its line, which stays within the picture.
func (d *diagram) note(out *bytes.Buffer, s step, y int) int {
	long := 0
	for _, line := range s.lines {
		long = max(long, len([]rune(line)))
	}
	w := int(float64(long)*letter) + 20
	x := min(max(d.x(s.from)-w/2, 8), width-8-w)
	y += gap / 2
	h := len(s.lines)*lineHeight + 10
	fmt.Fprintf(out, `<rect class="note" x="%d" y="%d" width="%d" height="%d" rx="6"/>`+"\n", x, y, w, h)
	for i, line := range s.lines {
		text(out, x+w/2, y+17+i*lineHeight, "middle", "", line)
	}
	return y + h + gap/2
}

func text(out *bytes.Buffer, x, y int, anchor, class, line string) {
	if class != "" {
		class = ` class="` + class + `"`
	}
	fmt.Fprintf(out, `<text x="%d" y="%d" text-anchor="%s"%s>%s</text>`+"\n", x, y, anchor, class, html.EscapeString(line))
}
