package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gofiber/fiber/v3"
	old "github.com/gofiber/fiber/v3/middleware/session"
	"github.com/waddle-sessions/waddle/examples/moving/internal/shop"
	"github.com/waddle-sessions/waddle/host/adapt/fibersession"
	"github.com/waddle-sessions/waddle/host/adapt/takeover"
	"github.com/waddle-sessions/waddle/host/session"
)

// takeOver is middleware behind fibersession's that goes on with the sessions which
// fiber's own middleware keeps in a store. Copy it into your program.
func takeOver(kept *old.Store, cookie string) fiber.Handler {
	return func(c fiber.Ctx) error {
		id := string([]byte(c.Cookies(cookie))) // fiber uses the memory again
		if id == "" {
			return c.Next()
		}
		fibersession.From(c).TakeOver(session.OldSession{
			Token: id, Until: shop.Until, Cookie: &http.Cookie{Name: cookie, Path: "/", HttpOnly: true},
			Fill: func(ctx context.Context, fresh *session.Session) (found bool, err error) {
				values, err := read(ctx, kept, id)
				if err != nil || values == nil {
					return false, err
				}
				if left := takeover.Plain(fresh, values); len(left) > 0 {
					return false, fmt.Errorf("values of fiber's session that cannot be taken over: %q", left)
				}
				if user := shop.User(values); user != "" {
					return true, fresh.LogIn(user, nil)
				}
				return true, nil
			},
			Remove: func(ctx context.Context) error { return kept.Delete(ctx, id) },
		})
		return c.Next()
	}
}

// read returns the values of fiber's session that have a name, or nil if there is no
// session.
func read(ctx context.Context, kept *old.Store, id string) (map[string]any, error) {
	s, err := kept.GetByID(ctx, id)
	if errors.Is(err, old.ErrSessionIDNotFoundInStore) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer s.Release()
	values := make(map[string]any)
	for _, key := range s.Keys() {
		if name, ok := key.(string); ok {
			values[name] = s.Get(key)
		}
	}
	return values, nil
}
