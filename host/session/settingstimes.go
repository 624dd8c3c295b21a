package session

import "time"

// checkTimes returns what is wrong with the times beside each other: one that
// has no effect is not what somebody meant who set it.
func (s *Settings) checkTimes() error {
	for _, t := range []struct {
		name   setting
		value  time.Duration
		before setting // what ends the session by then
		end    time.Duration
		hint   string
	}{
		{"AnonymousDuration", s.AnonymousDuration, "Duration", s.Duration, "; sessions without a user are to live shorter than others"},
		{"AnonymousDuration", s.AnonymousDuration, "AbsoluteTimeout", s.AbsoluteTimeout, ""},
		{"IdleTimeout", s.IdleTimeout, "Duration", s.Duration, "; sessions that live longer than others can have a timeout of their own, by Session.SetIdleTimeout"},
		{"IdleTimeout", s.IdleTimeout, "AbsoluteTimeout", s.AbsoluteTimeout, ""},
		{"SeenEvery", s.SeenEvery, "Duration", s.Duration, ""},
		{"SeenEvery", s.SeenEvery, "IdleTimeout", s.IdleTimeout, ""},
		{"SeenEvery", s.SeenEvery, "AbsoluteTimeout", s.AbsoluteTimeout, ""},
		{"RotateEvery", s.RotateEvery, "AbsoluteTimeout", s.AbsoluteTimeout, ""},
	} {
		if t.value != 0 && t.end != 0 && t.value >= t.end {
			return wrong("%s is %v and has no effect, since %s, %v, ends sessions before; set it below that, or to 0%s",
				t.name, t.value, t.before, t.end, t.hint)
		}
	}
	if s.Rolling && s.AnonymousDuration == 0 && s.AbsoluteTimeout != 0 && s.AbsoluteTimeout <= s.Duration {
		return wrong("%s has no effect, since %s, %v, ends sessions before %s, %v; shorten that, or have sessions not roll",
			setting("Rolling"), setting("AbsoluteTimeout"), s.AbsoluteTimeout, setting("Duration"), s.Duration)
	}
	if s.RotateEvery != 0 && s.RotateGrace > s.RotateEvery {
		return wrong("%s is %v, and the most is %s, %v", setting("RotateGrace"), s.RotateGrace, setting("RotateEvery"), s.RotateEvery)
	}
	return nil
}
