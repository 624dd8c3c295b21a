package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/adapt/takeover"
	"github.com/waddle-sessions/waddle/host/session"
)

// records are where express-session keeps sessions, as JSON by their ids. For
// connect-redis they are GET and DEL of "sess:" and the id.
type records interface {
	read(ctx context.Context, id string) ([]byte, error) // nil for one that is not there
	remove(ctx context.Context, id string) error
}

// library reads the sessions of express-session. Copy it into your program. The
// secrets are those that express-session has, all of which may have signed a cookie.
func library(cookie string, secrets []string, kept records) takeover.Library {
	return takeover.Library{
		Cookie: http.Cookie{Name: cookie, Path: "/", HttpOnly: true},
		Token:  func(value string) (string, bool) { return signed(value, secrets) },
		Read: func(r *http.Request, id string) (map[string]any, bool, error) {
			record, err := kept.read(r.Context(), id)
			if err != nil || record == nil {
				return nil, false, err
			}
			return decode(record)
		},
		Own: func(_ *session.Session, values map[string]any) {
			delete(values, "cookie")
			delete(values, "__lastAccess")
		},
		Remove: func(r *http.Request, id string) error { return kept.remove(r.Context(), id) },
	}
}

// signed returns the id in a cookie's value, which is "s:", the id, a dot and the
// signature of the id.
func signed(value string, secrets []string) (id string, ok bool) {
	plain, err := url.PathUnescape(value)
	if err != nil {
		return "", false
	}
	plain, ok = strings.CutPrefix(plain, "s:")
	dot := strings.LastIndexByte(plain, '.')
	if !ok || dot <= 0 {
		return "", false
	}
	id = plain[:dot]
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(id))
		if hmac.Equal([]byte(base64.RawStdEncoding.EncodeToString(mac.Sum(nil))), []byte(plain[dot+1:])) {
			return id, true
		}
	}
	return "", false
}

// decode returns the values of a record, and false if the session has expired.
func decode(record []byte) (values map[string]any, found bool, err error) {
	var cookie struct {
		Cookie struct {
			Expires *time.Time `json:"expires"`
		} `json:"cookie"`
	}
	exact := json.NewDecoder(bytes.NewReader(record))
	exact.UseNumber()
	if err := errors.Join(json.Unmarshal(record, &cookie), exact.Decode(&values)); err != nil {
		return nil, false, fmt.Errorf("a session of express-session that cannot be read: %w", err)
	}
	if until := cookie.Cookie.Expires; until != nil && !time.Now().Before(*until) {
		return nil, false, nil
	}
	return numbers(values).(map[string]any), true, nil
}

// numbers makes whole numbers of those that have no fraction: JavaScript has one kind.
func numbers(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name := range v {
			v[name] = numbers(v[name])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case json.Number:
		if whole, err := v.Int64(); err == nil {
			return whole
		}
		fraction, err := v.Float64()
		if err != nil {
			return v.String() // larger than any number of JavaScript
		}
		return fraction
	}
	return value
}

// fileStore are the files of session-file-store.
type fileStore struct{ dir string }

func (s fileStore) path(id string) string { return filepath.Join(s.dir, filepath.Base(id)+".json") }

func (s fileStore) read(_ context.Context, id string) ([]byte, error) {
	record, err := os.ReadFile(s.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return record, err
}

func (s fileStore) remove(_ context.Context, id string) error {
	if err := os.Remove(s.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
