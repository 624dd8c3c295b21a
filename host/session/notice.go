package session

import (
	"context"
	"fmt"
	"sync/atomic"
)

// notice is something about how a program is set up that requests show, and
// that is said once.
type notice uint8

const (
	noticeNotSecure notice = iota
	noticeSilentProxy
	noticeDomain
	noticeCookieFor
	noticeUnbelieved // and as many more as there are classes of peers
	notices          = noticeUnbelieved + notice(peerClasses)
)

// saidNotices are the notices that a manager has given.
type saidNotices [notices]atomic.Bool

// sayOnce tells of something that the settings do not fit to. It is for
// whoever runs the program: no request fails by it.
func (m *Manager) sayOnce(ctx context.Context, n notice, format string, args ...any) {
	if m.said[n].Load() || m.said[n].Swap(true) {
		return
	}
	m.event(ctx, Event{Kind: EventMisconfigured, Err: fmt.Errorf("%w: "+format, append([]any{ErrSettings}, args...)...)})
}
