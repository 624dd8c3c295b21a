package main

import (
	"fmt"
	"slices"
	"strings"
)

// diagram shows messages between actors, from the top down.
type diagram struct {
	file   string // the picture
	title  string // what a reader who cannot see it is told
	actors []actor
	steps  []step
}

type actor struct{ name, title string }

// step is a message, something that one actor does, or a heading.
type step struct {
	from, to int // the same if one of them does something
	dashed   bool
	heading  bool
	lines    []string
}

func parse(text string) (diagram, error) {
	var d diagram
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if err := d.parseLine(line); err != nil {
			return d, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if d.file == "" || d.title == "" || len(d.actors) < 2 {
		return d, fmt.Errorf("there must be the lines file, title, and actors with two or more of them")
	}
	return d, nil
}

func (d *diagram) parseLine(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "file":
		d.file = rest
		return nil
	case "title":
		d.title = rest
		return nil
	case "actors":
		for one := range strings.SplitSeq(rest, " / ") {
			name, title, _ := strings.Cut(one, "=")
			d.actors = append(d.actors, actor{name, title})
		}
		return nil
	case "==":
		d.steps = append(d.steps, step{heading: true, lines: []string{rest}})
		return nil
	}
	who, said, ok := strings.Cut(line, ": ")
	if !ok {
		return fmt.Errorf("found %q, expected a colon and a text", line)
	}
	s := step{lines: strings.Split(said, " | ")}
	from, to, message := strings.Cut(who, " -> ")
	if !message {
		if from, to, message = strings.Cut(who, " --> "); message {
			s.dashed = true
		} else {
			to = from
		}
	}
	var err error
	if s.from, err = d.actor(from); err != nil {
		return err
	}
	if s.to, err = d.actor(to); err != nil {
		return err
	}
	d.steps = append(d.steps, s)
	return nil
}

func (d *diagram) actor(name string) (int, error) {
	i := slices.IndexFunc(d.actors, func(a actor) bool { return a.name == name })
	if i < 0 {
		return 0, fmt.Errorf("%q takes no part: the actors are %v", name, d.actors)
	}
	return i, nil
}
