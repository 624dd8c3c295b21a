package session_test

import (
	"bytes"
	"container/list"
	"context"
	"database/sql"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"image/color"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unique"
	"unsafe"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// langTag has its content in unexported fields and writes it as text, as
// language.Tag of golang.org/x/text does.
type langTag struct{ base, region string }

func (l langTag) MarshalText() ([]byte, error) { return []byte(l.base + "-" + l.region), nil }

func (l *langTag) UnmarshalText(text []byte) error {
	l.base, l.region, _ = strings.Cut(string(text), "-")
	return nil
}

// uid writes itself as bytes and as text, as types of UUID packages do.
type uid [16]byte

func (u uid) MarshalBinary() ([]byte, error) { return u[:], nil }
func (u *uid) UnmarshalBinary(b []byte) error {
	copy(u[:], b)
	return nil
}
func (u uid) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", u[:]), nil }
func (u *uid) UnmarshalText(b []byte) error {
	_, err := hex.Decode(u[:], b)
	return err
}

// jsonDate has only JSON methods.
type jsonDate struct{ day int }

func (d jsonDate) MarshalJSON() ([]byte, error)  { return json.Marshal(d.day) }
func (d *jsonDate) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &d.day) }

// jsonHalf has a field that only its JSON methods know.
type jsonHalf struct {
	Shown  int
	hidden int
}

func (d jsonHalf) MarshalJSON() ([]byte, error) { return json.Marshal([]int{d.Shown, d.hidden}) }
func (d *jsonHalf) UnmarshalJSON(b []byte) error {
	var both [2]int
	err := json.Unmarshal(b, &both)
	d.Shown, d.hidden = both[0], both[1]
	return err
}

// jsonView writes JSON for an API. Nothing reads it back.
type jsonView struct{ Name string }

func (v jsonView) MarshalJSON() ([]byte, error) { return json.Marshal("Mx " + v.Name) }

// redacted hides itself from logs and cannot be read back.
type redacted string

func (redacted) MarshalText() ([]byte, error) { return []byte("***"), nil }

// code is a string that is written in a different form.
type code string

func (c code) MarshalText() ([]byte, error) { return []byte("code " + string(c)), nil }
func (c *code) UnmarshalText(b []byte) error {
	*c = code(strings.TrimPrefix(string(b), "code "))
	return nil
}

type (
	money   struct{ *big.Int }
	moneyOf struct {
		*big.Int
		Currency string
	}
	stamped struct {
		time.Time
		By string
	}
	stampOnly struct{ time.Time }
	stampOwn  struct {
		time.Time
		By string
	}
	stamp    time.Time
	twoTexts struct {
		time.Time
		langTag
	}
	textless struct{ encoding.TextMarshaler }

	guarded struct {
		sync.Mutex
		N int
	}
	hidden  struct{ n int }
	omitted struct {
		N int `json:"-"`
	}
	partly struct {
		N     int
		cache int
	}
	nothing struct{}
	blank   struct {
		_ struct{}
		N int
	}
	sameName struct {
		A int `json:"x"`
		B int `cbor:"x"`
	}
	base   struct{ ID, Note string }
	shadow struct {
		base
		ID string
	}
	twoBases struct {
		base
		Base
	}
	embeds struct {
		base
		N int
	}
	embedsPointer struct{ *base }
	Base          struct{ ID string }
	embedsBase    struct {
		*Base
		N int
	}
	selfEmbed struct {
		*selfEmbed
		N int
	}
	chain struct {
		Next *chain
		N    int
	}
	holder struct {
		Name string
		Lang opaqueTag
	}
	opaqueTag struct{ tag string }
	nestedIn  struct{ List []map[string]*holder }
	withErr   struct {
		N   int
		Err error
	}
	withAny    struct{ V any }
	intKeys    map[int]string
	structKeys map[struct{ A, B int }]string
	textKeys   map[langTag]int
	addrKeys   map[netip.Addr]int
	bigValues  map[string]big.Int
	keyAsInt   struct {
		N int `cbor:"1,keyasint" json:"n"`
	}
)

// These fields exist because nothing reads them.
var _ = []any{partly{}.cache, selfEmbed{}.selfEmbed}

func (s stampOwn) MarshalText() ([]byte, error) { return s.MarshalBinary() }
func (s stampOwn) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{s.Time, s.By})
}
func (s stampOwn) MarshalBinary() ([]byte, error)  { return json.Marshal([]any{s.Time, s.By}) }
func (s *stampOwn) UnmarshalBinary(b []byte) error { return json.Unmarshal(b, &[]any{&s.Time, &s.By}) }
func (s *stampOwn) UnmarshalJSON(b []byte) error   { return s.UnmarshalBinary(b) }
func (s *stampOwn) UnmarshalText(b []byte) error   { return s.UnmarshalBinary(b) }

type ctxKey struct{}

const (
	comes  = iota // it comes back equal
	looser        // it comes back as one of the codec's own types, because an interface held it
	refuse        // Set refuses it
)

// TestNothingIsStoredAsNothing: a value of each type comes back equal, or Set
// refuses it and names its type and the path to it.
func TestNothingIsStoredAsNothing(t *testing.T) {
	day := time.Date(2026, 5, 4, 3, 2, 1, 123456789, time.UTC)
	addr := netip.MustParseAddr("2001:db8::1%eth0")
	link := must(url.Parse("https://u:p@example.org/a?b=c#d"))
	var atom atomic.Int64
	atom.Store(7)
	var lock sync.Mutex
	var cyclic chain
	cyclic.Next = &cyclic
	pcg := rand.NewPCG(1, 2)
	pcg.Uint64()
	deep := map[string]any{}
	for at, i := deep, 0; i < 20_000; i++ {
		next := map[string]any{}
		at["a"] = next
		at = next
	}
	for _, c := range []struct {
		name       string
		v          any
		cbor, json int
		says       []string // contained in each refusal
	}{
		{"text", langTag{"pl", "PL"}, comes, comes, nil},
		{"text, by pointer", &langTag{"pl", "PL"}, comes, comes, nil},
		{"text, no pointer", (*langTag)(nil), comes, comes, nil},
		{"text in a struct", struct{ Lang langTag }{langTag{"pl", "PL"}}, comes, comes, nil},
		{"text in a slice", []langTag{{"pl", "PL"}}, comes, comes, nil},
		{"text in a map", map[string]langTag{"a": {"pl", "PL"}}, comes, comes, nil},
		{"text as a key", textKeys{{"pl", "PL"}: 1}, comes, comes, nil},
		{"strings that have text, as keys", map[code]int{"a": 1}, comes, refuse, []string{"map[session_test.code]int", "MarshalText"}},
		{"and far below", struct{ M []map[code]int }{[]map[code]int{{"a": 1}}}, comes, refuse, []string{".M[] of type map[session_test.code]int"}},
		{"strings that have text", []code{"a"}, comes, comes, nil},
		{"bytes and text", uid{1, 2}, comes, comes, nil},
		{"JSON only", jsonDate{7}, refuse, comes, []string{"jsonDate", "MarshalJSON"}},
		{"JSON only, in part", jsonHalf{1, 2}, refuse, comes, []string{"jsonHalf", "MarshalJSON"}},
		{"JSON for others", jsonView{"Ada"}, comes, refuse, []string{"jsonView", "UnmarshalJSON"}},
		{"redacted text", redacted("x"), refuse, refuse, []string{"redacted", "UnmarshalText"}},
		{"redacted text within", struct{ P redacted }{"x"}, refuse, refuse, []string{".P of type", "redacted"}},

		{"a struct of its own", holder{"a", opaqueTag{"x"}}, refuse, refuse, []string{"holder.Lang of type session_test.opaqueTag", "no exported fields"}},
		{"and far below", nestedIn{[]map[string]*holder{{"a": {}}}}, refuse, refuse, []string{"nestedIn.List[][].Lang of type session_test.opaqueTag"}},
		{"and below any", map[string]any{"a": []any{1, opaqueTag{"x"}}}, refuse, refuse, []string{"[][1] of type session_test.opaqueTag"}},
		{"and below any, by pointer", withAny{&opaqueTag{"x"}}, refuse, refuse, []string{"withAny.V of type session_test.opaqueTag"}},
		{"hidden", hidden{1}, refuse, refuse, []string{"hidden"}},
		{"all left out", omitted{1}, refuse, refuse, []string{"omitted"}},
		{"partly hidden", partly{N: 1}, comes, comes, nil},
		{"empty", nothing{}, comes, comes, nil},
		{"blank", blank{N: 1}, comes, comes, nil},

		{"embedded number", money{big.NewInt(5)}, refuse, refuse, []string{"money", "*big.Int"}},
		{"embedded number and more", moneyOf{big.NewInt(5), "PLN"}, refuse, refuse, []string{"moneyOf", "*big.Int"}},
		{"embedded time and more", stamped{day, "ada"}, refuse, refuse, []string{"stamped", "time.Time"}},
		{"embedded time", stampOnly{day}, comes, comes, nil},
		{"embedded time with a form of its own", stampOwn{day, "ada"}, comes, comes, nil},
		{"a type made of time", stamp(day), refuse, refuse, []string{"stamp", "no exported fields"}},
		{"embedded twice", twoTexts{day, langTag{"pl", "PL"}}, refuse, refuse, []string{"twoTexts"}},
		{"embedded interface", textless{langTag{"pl", "PL"}}, refuse, refuse, []string{"textless"}},
		{"embedded mutex", guarded{N: 1}, refuse, refuse, []string{"guarded.Mutex of type sync.Mutex", `"-"`}},
		{"two of one name", twoBases{base{"a", "b"}, Base{"c"}}, refuse, refuse, []string{"twoBases.base.ID", "twoBases.Base.ID"}},
		{"one name twice", sameName{1, 2}, refuse, comes, []string{"sameName.A", "sameName.B", `"x"`}},
		{"a name in the way", shadow{base{"a", "b"}, "c"}, refuse, refuse, []string{"shadow.base.ID", "shadow.ID"}},
		{"embedded", embeds{base{"a", "b"}, 1}, comes, comes, nil},
		{"embedded pointer nobody can set", embedsPointer{&base{"a", "b"}}, refuse, refuse, []string{"embedsPointer.base"}},
		{"embedded pointer", embedsBase{&Base{"a"}, 1}, comes, comes, nil},
		{"embedded pointer to nothing", embedsBase{nil, 1}, comes, comes, nil},
		{"embedded in itself", selfEmbed{N: 1}, refuse, refuse, []string{"selfEmbed"}},

		{"chain", chain{&chain{nil, 2}, 1}, comes, comes, nil},
		{"chain without end", cyclic, refuse, refuse, []string{"refers to itself"}},
		{"too deep", deep, refuse, refuse, []string{"deep"}},
		{"error", errors.New("x"), refuse, refuse, []string{"*errors.errorString"}},
		{"error in a field", withErr{1, io.EOF}, refuse, refuse, []string{"withErr.Err of type error"}},
		{"no error in a field", withErr{1, nil}, comes, comes, nil},
		{"chan", make(chan int), refuse, refuse, []string{"chan int"}},
		{"func", func() {}, refuse, refuse, []string{"func()"}},
		{"complex", 1i, refuse, refuse, []string{"complex128"}},
		{"unsafe pointer", unsafe.Pointer(&lock), refuse, refuse, []string{"unsafe.Pointer"}},
		{"int keys", intKeys{1: "a"}, comes, comes, nil},
		{"int keys below any", map[string]any{"m": intKeys{1: "a"}}, refuse, looser, []string{"[] of type session_test.intKeys", "key"}},
		{"struct keys", structKeys{{1, 2}: "a"}, comes, refuse, []string{"structKeys", "key"}},
		{"any keys", map[any]int{"a": 1, true: 2}, comes, refuse, []string{"key"}},
		{"any keys that become one", map[any]int{int8(1): 1, uint(1): 2}, refuse, refuse, []string{"key"}},
		{"fields by number", keyAsInt{1}, comes, comes, nil},
		{"fields by number below any", withAny{keyAsInt{1}}, refuse, looser, []string{"withAny.V of type session_test.keyAsInt"}},

		{"time", day, comes, comes, nil},
		{"time that text cannot say", time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC), refuse, refuse, nil},
		{"time.Duration", time.Hour, comes, comes, nil},
		{"time.Month", time.May, comes, comes, nil},
		{"time.Location", time.UTC, refuse, refuse, []string{"time.Location"}},
		{"big.Int", *big.NewInt(-5), comes, comes, nil},
		{"big.Int, large", new(big.Int).Lsh(big.NewInt(-1), 200), comes, comes, nil},
		{"big.Int, by pointer", big.NewInt(5), comes, comes, nil},
		{"big.Int in a map", bigValues{"a": *big.NewInt(5)}, comes, refuse, []string{"bigValues[] of type big.Int", "pointer"}},
		{"big.Int in a slice", []big.Int{*big.NewInt(5)}, comes, comes, nil},
		{"big.Int in a struct", struct{ N big.Int }{*big.NewInt(5)}, comes, comes, nil},
		{"big.Rat", big.NewRat(1, 3), comes, comes, nil},
		{"big.Float", big.NewFloat(1.5), comes, comes, nil},
		{"netip.Addr", addr, comes, comes, nil},
		{"netip.Addr as a key", addrKeys{addr: 1}, comes, comes, nil},
		{"netip.AddrPort", netip.AddrPortFrom(addr, 80), comes, comes, nil},
		{"netip.Prefix", netip.MustParsePrefix("10.0.0.0/8"), comes, comes, nil},
		{"net.IP", net.IPv4(10, 0, 0, 1), comes, comes, nil},
		{"net.IPNet", net.IPNet{IP: net.IPv4(10, 0, 0, 0), Mask: net.CIDRMask(8, 32)}, comes, comes, nil},
		{"net.TCPAddr", &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1}, comes, comes, nil},
		{"net.HardwareAddr", net.HardwareAddr{1, 2}, comes, comes, nil},
		{"url.URL", link, comes, refuse, []string{"URL.User of type url.Userinfo"}},
		{"url.Userinfo", url.UserPassword("u", "p"), refuse, refuse, []string{"url.Userinfo"}},
		{"url.Values", url.Values{"a": {"b"}}, comes, comes, nil},
		{"http.Header", http.Header{"A": {"b"}}, comes, comes, nil},
		{"http.Cookie", &http.Cookie{Name: "a", Expires: day}, comes, comes, nil},
		{"http.Request", &http.Request{}, refuse, refuse, []string{"http.Request"}},
		{"mail.Address", mail.Address{Name: "a", Address: "b"}, comes, comes, nil},
		{"regexp", regexp.MustCompile("a+"), comes, comes, nil},
		{"slog.Level", slog.LevelWarn, comes, comes, nil},
		{"template.HTML", template.HTML("<b>"), comes, comes, nil},
		{"color.RGBA", color.RGBA{1, 2, 3, 4}, comes, comes, nil},
		{"fs.FileMode", fs.ModeDir | 0o755, comes, comes, nil},
		{"fs.PathError", &fs.PathError{Op: "open", Path: "x", Err: os.ErrNotExist}, refuse, refuse, []string{"PathError.Err of type error"}},
		{"sql.NullString", sql.NullString{String: "a", Valid: true}, comes, comes, nil},
		{"sql.NullTime", sql.NullTime{Time: day, Valid: true}, comes, comes, nil},
		{"sql.Null", sql.Null[langTag]{V: langTag{"a", "b"}, Valid: true}, comes, comes, nil},
		{"json.RawMessage", json.RawMessage(`{"a":1}`), comes, comes, nil},
		{"json.Number", json.Number("1.50"), comes, comes, nil},
		{"bytes.Buffer", bytes.NewBufferString("x"), refuse, refuse, []string{"bytes.Buffer"}},
		{"strings.Builder", new(strings.Builder), refuse, refuse, []string{"strings.Builder"}},
		{"strings.Reader", strings.NewReader("x"), refuse, refuse, []string{"strings.Reader"}},
		{"list.List", list.New(), refuse, refuse, []string{"list.List"}},
		{"atomic.Int64", &atom, refuse, refuse, []string{"atomic.Int64"}},
		{"atomic.Value", new(atomic.Value), refuse, refuse, []string{"atomic.Value"}},
		{"atomic.Pointer", new(atomic.Pointer[int]), refuse, refuse, []string{"atomic.Pointer"}},
		{"sync.Mutex", &lock, refuse, refuse, []string{"sync.Mutex"}},
		{"sync.Map", new(sync.Map), refuse, refuse, []string{"sync.Map"}},
		{"sync.WaitGroup", new(sync.WaitGroup), refuse, refuse, []string{"sync.WaitGroup"}},
		{"unique.Handle", unique.Make("x"), refuse, refuse, []string{"unique.Handle"}},
		{"reflect.Value", reflect.ValueOf(1), refuse, refuse, []string{"reflect.Value"}},
		{"rand.PCG", pcg, comes, refuse, []string{"rand.PCG"}},
		{"context", context.WithValue(ctx, ctxKey{}, 1), refuse, refuse, []string{"valueCtx"}},
		{"template", template.Must(template.New("").Parse("a")), refuse, refuse, []string{"template.Template"}},
		{"a struct below any", withAny{profile{"ada", []string{"a"}, map[string]int{"n": 1}}}, looser, looser, nil},
		{"text below any", withAny{langTag{"pl", "PL"}}, looser, looser, nil},
		{"uintptr", uintptr(5), refuse, comes, []string{"uintptr"}},
		{"NaN", math.Inf(1), comes, refuse, nil},
		{"text that is not UTF-8", "\xff", comes, refuse, []string{"UTF-8"}},
		{"text that only looks like it", `\ufffd \\ufffd ` + "\ufffd", comes, comes, nil},
		{"nil", nil, comes, comes, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, codec := range []struct {
				session.Codec
				name string
				want int
			}{{session.CBOR, "CBOR", c.cbor}, {session.JSON, "JSON", c.json}} {
				t.Run(codec.name, func(t *testing.T) {
					s := openSession(t, codec.Codec)
					err := s.Set("k", c.v)
					if codec.want == refuse {
						require.ErrorIs(t, err, session.ErrEncode)
						require.Less(t, len(err.Error()), 800)
						for _, says := range c.says {
							require.ErrorContains(t, err, says)
						}
						has, err := s.Has("k")
						require.NoError(t, err)
						require.False(t, has, "what was refused is not stored")
						return
					}
					require.NoError(t, err)
					into := reflect.New(reflect.TypeFor[any]())
					if c.v != nil {
						into = reflect.New(reflect.TypeOf(c.v))
					}
					ok, err := s.Get("k", into.Interface())
					require.NoError(t, err)
					require.True(t, ok)
					if codec.want == looser {
						require.NotEqual(t, c.v, into.Elem().Interface())
						require.NotRegexp(t, `map\[\]|<nil>|\{\}`, fmt.Sprintf("%+v", into.Elem().Interface()))
						return
					}
					requireSame(t, c.v, into.Elem().Interface())
				})
			}
		})
	}
}

// requireSame compares by value, since pointers and internal caches differ.
func requireSame(t *testing.T, want, got any) {
	t.Helper()
	switch want := want.(type) {
	case *big.Float:
		require.Zero(t, want.Cmp(got.(*big.Float)))
	case *regexp.Regexp:
		require.Equal(t, want.String(), got.(*regexp.Regexp).String())
	case *http.Cookie:
		require.Equal(t, want.String(), got.(*http.Cookie).String())
	default:
		require.Equal(t, want, got)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func openSession(t *testing.T, c session.Codec) *session.Session {
	t.Helper()
	settings := session.Defaults()
	settings.Codec = c
	m, err := session.New(store.NewMemory(), settings)
	require.NoError(t, err)
	return m.Session(ctx, "")
}

// TestWholeNumbersOfUnknownTypeHaveOneType, whatever their sign and position.
func TestWholeNumbersOfUnknownTypeHaveOneType(t *testing.T) {
	s := openSession(t, session.CBOR)
	require.NoError(t, s.Set("n", map[string]any{"a": 1, "b": []any{-1, uint8(2), map[string]any{"c": uint64(math.MaxInt64)}}, "d": int64(math.MinInt64)}))
	var got any
	ok, err := s.Get("n", &got)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, map[string]any{
		"a": int64(1), "b": []any{int64(-1), int64(2), map[string]any{"c": int64(math.MaxInt64)}}, "d": int64(math.MinInt64),
	}, got)

	require.NoError(t, s.Set("n", uint64(1<<63)))
	ok, err = s.Get("n", &got)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, *new(big.Int).Lsh(big.NewInt(1), 63), got, "beyond int64")

	s = openSession(t, session.JSON)
	require.NoError(t, s.Set("n", []any{1, -1, 1.5, uint64(1 << 63)}))
	ok, err = s.Get("n", &got)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, []any{json.Number("1"), json.Number("-1"), json.Number("1.5"), json.Number("9223372036854775808")}, got)
}

// TestFlashesAndUpdatesRefuseAsSetDoes, so there is no other way in.
func TestFlashesAndUpdatesRefuseAsSetDoes(t *testing.T) {
	s := openSession(t, session.CBOR)
	require.ErrorIs(t, session.NewFlash[hidden]("f").Add(s, hidden{1}), session.ErrEncode)
	_, err := session.NewKey[hidden]("k").Update(s, func(hidden) (hidden, error) { return hidden{1}, nil })
	require.ErrorIs(t, err, session.ErrEncode)
	exists, err := s.Exists()
	require.NoError(t, err)
	require.False(t, exists)
}

// TestChecksAreSafeForManyGoroutines, with types that none of them has met
// before.
func TestChecksAreSafeForManyGoroutines(t *testing.T) {
	type a struct{ N []any }
	type b struct {
		A map[string]a
		B *b
	}
	s := openSession(t, session.CBOR)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := s.Set("k", b{A: map[string]a{"x": {[]any{1}}}, B: &b{}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
