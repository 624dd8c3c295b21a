//go:build wasip1

package network

import (
	"context"
	"time"
)

func (d *Dialer) link(ctx context.Context, to *remote, until time.Time) (link, error) {
	conn := hostDial(to.network + "://" + to.address)
	if conn < 0 {
		return nil, refused(conn)
	}
	if d.Blocking {
		c := &blocking{conn: conn, until: until}
		if err := c.ready(); err != nil {
			_ = c.Close()
			return nil, err
		}
		c.until = time.Time{}
		return c, nil
	}
	c, err := poll(conn)
	if err != nil {
		importClose(conn)
		return nil, err
	}
	_ = c.SetWriteDeadline(until)
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { _ = c.SetWriteDeadline(past) })
		defer stop()
	}
	if err = c.ready(); err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	_ = c.SetWriteDeadline(time.Time{})
	return c, nil
}
