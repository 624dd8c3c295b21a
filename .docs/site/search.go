package site

import (
	"encoding/json"
	"fmt"
)

// found is a section as the search in the browser has it.
type found struct {
	Page    int    `json:"p"` // its index in the list of pages
	ID      string `json:"a,omitempty"`
	Heading string `json:"h"`
	Text    string `json:"t,omitempty"`
}

func (s *site) sections() []found {
	var all []found
	for i, p := range s.pages {
		for _, t := range p.texts {
			all = append(all, found{i, t.id, t.heading, t.text})
		}
	}
	return all
}

// searchIndex returns a script, and not JSON, because a page from a file may load
// scripts but fetch nothing.
func (s *site) searchIndex() ([]byte, error) {
	type listed struct {
		URL   string `json:"u"`
		Title string `json:"t"`
		Part  string `json:"s"`
	}
	var pages []listed
	for _, p := range s.pages {
		pages = append(pages, listed{p.url, p.title, p.part})
	}
	data, err := json.Marshal(map[string]any{"pages": pages, "sections": s.sections()})
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "window.searchIndex=%s;\n", data), nil
}
