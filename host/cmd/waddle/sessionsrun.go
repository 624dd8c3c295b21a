package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/keepers"
	"github.com/waddle-sessions/waddle/host/internal/printable"
)

// sessionsRun is the verb sessions at work.
type sessionsRun struct {
	flags  sessionsFlags
	keeper keepers.Keeper
	env    *environment
	bar    *progress
}

// sortFields are what a list can be sorted by.
var sortFields = []string{"created", "last-seen", "expires", "size", "user"}

func (s *sessionsRun) count(ctx context.Context) error {
	var n int64
	var err error
	if s.flags.user != "" {
		var list []keepers.Session
		list, _, err = s.keeper.List(ctx, s.flags.user, 0)
		n = int64(len(list))
	} else {
		n, err = s.keeper.Count(ctx)
	}
	s.bar.Done()
	if err != nil {
		return err
	}
	if s.flags.json {
		return s.json(struct {
			Sessions int64 `json:"sessions"`
		}{n})
	}
	_, err = fmt.Fprintln(s.env.stdout, n)
	return err
}

func (s *sessionsRun) json(v any) error {
	e := json.NewEncoder(s.env.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (s *sessionsRun) list(ctx context.Context) error {
	limit := s.flags.limit
	if s.flags.sort != "" {
		limit = 0 // all must be known to tell which come first
	}
	list, more, err := s.keeper.List(ctx, s.flags.user, limit)
	s.bar.Done()
	if err != nil {
		return err
	}
	if s.flags.sort != "" {
		if more {
			fmt.Fprintf(s.env.stderr, "waddle: warning: the server lists %s sessions at most; others may come before these\n", grouped(int64(len(list))))
		}
		sortSessions(list, s.flags.sort)
		if n := s.flags.limit; n > 0 && len(list) > n {
			list, more = list[:n], true
		}
	}
	if s.flags.json {
		for _, one := range list {
			if err := s.json(one); err != nil {
				return err
			}
		}
	} else if err := s.table(list); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(s.env.stderr, "waddle: there are more than these %s sessions; --limit 0 lists all, and --user those of one user\n", grouped(int64(len(list))))
	}
	return nil
}

func sortSessions(list []keepers.Session, by string) {
	slices.SortStableFunc(list, func(a, b keepers.Session) int {
		order := 0
		switch by {
		case "created":
			order = b.Created.Compare(a.Created)
		case "last-seen":
			order = b.LastSeen.Compare(a.LastSeen)
		case "expires":
			order = b.Expires.Compare(a.Expires)
		case "size":
			order = cmp.Compare(b.Size, a.Size)
		case "user":
			order = strings.Compare(a.User, b.User)
		}
		return cmp.Or(order, strings.Compare(a.Handle, b.Handle))
	})
}

// userWidth is how much of a user's name a table shows: with it a line has 80 columns.
const userWidth = 19

// table writes a list for people.
func (s *sessionsRun) table(list []keepers.Session) error {
	if len(list) == 0 {
		fmt.Fprintln(s.env.stderr, "waddle: there are no such sessions")
		return nil
	}
	now := time.Now()
	_, err := fmt.Fprintf(s.env.stdout, "%-43s  %-5s  %-7s  %s\n", "HANDLE", "SEEN", "ENDS IN", "USER")
	for _, one := range list {
		if err == nil {
			_, err = fmt.Fprintf(s.env.stdout, "%-43s  %-5s  %-7s  %s\n", one.Handle, span(now.Sub(one.LastSeen)), span(one.Expires.Sub(now)), cut(one.User, userWidth))
		}
	}
	return err
}

// span writes a duration in the largest unit that it fills.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return "now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d < 1000*day:
		return fmt.Sprintf("%dd", d/day)
	}
	return fmt.Sprintf("%dy", d/(365*day))
}

// cut shortens a text that somebody else chose, and takes what would move a terminal's
// cursor out of it.
func cut(text string, width int) string {
	runes := []rune(printable.Clean(text))
	if len(runes) <= width {
		return string(runes)
	}
	return string(runes[:width-1]) + "…"
}

func (s *sessionsRun) show(ctx context.Context, handle string) error {
	d, err := s.keeper.Show(ctx, handle)
	if err != nil {
		return err
	}
	if s.flags.json {
		return s.json(d)
	}
	w := s.env.stdout
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-12s %s\n", name, value)
		}
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Local().Format("2006-01-02 15:04:05 MST")
	}
	line("handle", d.Handle)
	line("user", printable.Clean(d.User))
	line("public id", d.PublicID)
	line("logged in", at(d.LoggedIn))
	line("created", at(d.Created))
	line("id since", at(d.Issued))
	line("last seen", at(d.LastSeen))
	line("expires", at(d.Expires)+", in "+span(time.Until(d.Expires)))
	line("cookie", map[string]string{"default": "", "browser": "ends with the browser", "persist": "stays"}[d.Persistence])
	line("revision", fmt.Sprint(d.Revision))
	line("size", grouped(int64(d.Size))+" bytes")
	for _, name := range slices.Sorted(maps.Keys(d.Note)) {
		line("note", printable.Clean(name+": "+d.Note[name]))
	}
	line("unreadable", printable.Clean(strings.Join(d.Unreadable, ", ")))
	fmt.Fprintln(w)
	if len(d.Values) == 0 {
		_, err := fmt.Fprintln(w, "no values")
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(d.Values)) {
		if _, err := fmt.Fprintf(w, "%s = %s\n", printable.Clean(name), printable.Clean(string(d.Values[name]))); err != nil {
			return err
		}
	}
	return nil
}

func (s *sessionsRun) end(ctx context.Context, handle string) error {
	if err := s.confirm("End the session " + printable.Clean(handle) + "?"); err != nil {
		return err
	}
	ended, err := s.keeper.End(ctx, handle)
	if err == nil && !ended {
		err = keepers.ErrNone
	}
	if err != nil {
		return err
	}
	return s.ended(1)
}

func (s *sessionsRun) endUser(ctx context.Context) error {
	if !s.flags.yes {
		list, _, err := s.keeper.List(ctx, s.flags.user, 0)
		s.bar.Done()
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return s.ended(0)
		}
		if err := s.confirm(fmt.Sprintf("End the %s sessions of %s?", grouped(int64(len(list))), printable.Clean(s.flags.user))); err != nil {
			return err
		}
	}
	n, err := s.keeper.EndUser(ctx, s.flags.user)
	if err != nil {
		return errors.Join(err, errors.New("some sessions may have been ended: do it again"))
	}
	return s.ended(n)
}

func (s *sessionsRun) ended(n int) error {
	if s.flags.json {
		return s.json(struct {
			Ended int `json:"ended"`
		}{n})
	}
	what := "sessions"
	if n == 1 {
		what = "session"
	}
	_, err := fmt.Fprintf(s.env.stdout, "%s %s ended\n", grouped(int64(n)), what)
	return err
}
