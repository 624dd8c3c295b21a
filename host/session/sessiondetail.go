package session

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/waddle-sessions/waddle/host/store"
)

// SessionDetail is all that is stored of a session, for those who run the
// application. Like SessionInfo it has nothing by which somebody could act as the
// session; but its values are the visitor's, and may be personal.
type SessionDetail struct {
	SessionInfo

	// Revision counts the session's changes; it does not begin at 1 after a new id.
	Revision uint64

	// Issued is when the session got its id.
	Issued time.Time

	// LoggedIn and Note are those of [UserSession], zero if it is bound to nobody.
	LoggedIn time.Time
	Note     map[string]string

	// Persistence says whether the session's cookie ends with the browser.
	Persistence Persistence

	// Values are the application's values by name, as JSON. A value of codec JSON is as it
	// was stored. Other codecs write some values that JSON does not have: bytes become
	// base64, times text as in RFC 3339, numbers that are not finite "NaN", "+Inf" and
	// "-Inf", keys of maps text, and bytes of text that are not UTF-8 become U+FFFD.
	Values map[string]json.RawMessage

	// Unreadable are the names of values that cannot be shown, in order: the manager does
	// not have the codec that wrote them, or the codec cannot read them.
	Unreadable []string
}

// SessionByHandle returns all that is stored of the session with a handle of
// [Manager.AllSessions] or [Manager.UserSessionInfos]. It does not count as an access:
// neither the session's expiry nor LastSeen changes. As [Manager.RevokeHandle] does, it
// follows a session that was bound to a user or renewed since, whose detail has the new
// handle.
//
// It returns [store.ErrNotFound] if there is no such session, or none that counts
// any more; ErrRenewed for one whose id was renewed by age; ErrDecode or
// [store.ErrCorrupt] for a record that cannot be read; and the errors of the
// storage.
func (m *Manager) SessionByHandle(ctx context.Context, handle string) (SessionDetail, error) {
	none := fmt.Errorf("%w: no session has the handle", store.ErrNotFound)
	key, ok := keyOfHandle(handle)
	if !ok {
		return SessionDetail{}, none
	}
	for range maxLeads + maxMoves {
		r, info, ok, err := m.infoOf(ctx, key)
		switch {
		case err != nil:
			return SessionDetail{}, err
		case ok:
			return m.detail(ctx, &r, info)
		case r.State == RecordMoved:
			return SessionDetail{}, fmt.Errorf("%w; list the sessions again", ErrRenewed)
		}
		if key, ok = r.successor(); !ok || r.State != RecordEnded {
			return SessionDetail{}, none
		}
	}
	return SessionDetail{}, fmt.Errorf("%w; list the sessions again", ErrRenewed)
}

// detail describes a session that was loaded.
func (m *Manager) detail(ctx context.Context, r *Record, info SessionInfo) (SessionDetail, error) {
	d := SessionDetail{
		SessionInfo: info,
		Revision:    r.Revision,
		Issued:      r.Issued.Time(),
		Persistence: r.Persistence,
		Values:      make(map[string]json.RawMessage),
	}
	if b, bound := bindingOf(&overlay{}, r.Values); bound {
		list, err := m.loadIndex(ctx, b.user, m.now())
		if err != nil {
			return SessionDetail{}, err
		}
		d.LoggedIn, d.Note = list.entries[b.publicID].since.Time(), b.note
	}
	others, _ := r.Values.lookup(codecsKey)
	for name, value := range r.Values.All() {
		if reserved(name) {
			continue
		}
		text, err := m.shown(value, codecIn(others, name, r.Codec))
		if err != nil {
			d.Unreadable = append(d.Unreadable, name)
			continue
		}
		d.Values[name] = text
	}
	slices.Sort(d.Unreadable)
	return d, nil
}

// shown returns a value as JSON.
func (m *Manager) shown(data []byte, id uint8) (json.RawMessage, error) {
	codec := m.codec(id)
	if codec == nil {
		return nil, errors.New("session: the codec is unknown")
	}
	return shownBy(codec, data)
}

// shownBy is shown for a value that a codec wrote.
func shownBy(codec Codec, data []byte) (json.RawMessage, error) {
	var v any
	switch codec.(type) {
	case jsonCodec:
		if err := codec.Unmarshal(data, &v); err != nil {
			return nil, err
		}
		return slices.Clone(data), nil
	case cborCodec:
		// Not all that the codec writes can be read into an any: maps may have other keys
		// than text.
		if err := boundCBOR(data); err != nil {
			return nil, err
		}
		if err := cborShown.Unmarshal(data, &v); err != nil {
			return nil, err
		}
	default:
		if err := codec.Unmarshal(data, &v); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // people read it
	err := e.Encode(showable(v))
	return bytes.TrimSpace(b.Bytes()), err
}

// cborShown decodes for people: it takes all that [CBOR] writes.
var cborShown = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DefaultMapType:   reflect.TypeFor[map[any]any](),
		MaxArrayElements: maxItems,
		MaxMapPairs:      maxItems,
		MaxNestedLevels:  maxNesting * (1 + maxTags),
		IndefLength:      cbor.IndefLengthForbidden,
		UTF8:             cbor.UTF8DecodeInvalid,
		IntDec:           cbor.IntDecConvertSignedOrBigInt,
	}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

// showable returns a decoded value in a form that package json writes.
func showable(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case big.Int:
		return &v
	case cbor.Tag:
		return map[string]any{"tag": v.Number, "content": showable(v.Content)}
	case []any:
		for i := range v {
			v[i] = showable(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = showable(v[name])
		}
	case map[any]any:
		named := make(map[string]any, len(v))
		for key, value := range v {
			named[shownKey(key)] = showable(value)
		}
		return named
	}
	return v
}

// shownKey returns the key of a map as text.
func shownKey(key any) string {
	switch key := key.(type) {
	case string:
		return key
	case cbor.ByteString:
		return base64.StdEncoding.EncodeToString([]byte(key))
	case time.Time:
		return key.Format(time.RFC3339Nano)
	}
	return fmt.Sprint(key)
}
