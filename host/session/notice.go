package session

import (
	"context"
	"fmt"
	"sync/atomic"
)

// notice is something about a program's setup that requests show and that is
// reported once.
type notice uint8

const (
	noticeNotSecure notice = iota
	noticeSilentProxy
	noticeDomain
	noticeCookieFor
	noticeUnbelieved // from here on, one for each class of peers
	notices          = noticeUnbelieved + notice(peerClasses)
)

// saidNotices are the notices that a manager has given.
type saidNotices [notices]atomic.Bool

// sayOnce reports something that the settings do not fit. It is for the people
// who run the program: no request fails because of it.
func (m *Manager) sayOnce(ctx context.Context, n notice, format string, args ...any) {
	if m.said[n].Load() || m.said[n].Swap(true) {
		return
	}
	m.event(ctx, Event{Kind: EventMisconfigured, Err: fmt.Errorf("%w: "+format, append([]any{ErrSettings}, args...)...)})
}
