package guest_test

import (
	"fmt"

	"github.com/waddle-sessions/waddle/guest"
)

// shelf is a whole storage plugin: a map that forgets what has expired. In a
// plugin, the rest of the main package is
//
//	func init() { guest.Register(&shelf{}, guest.Info{Name: "shelf", Version: "1.0", CAS: true}) }
//
//	func main() {}
type shelf struct {
	books map[string]book
	most  int64
}

type book struct {
	value   []byte
	expires int64
}

func (s *shelf) Open(config *guest.Config) error {
	s.books = make(map[string]book)
	s.most = config.Int("max_entries", 1000, 1)
	return nil
}

func (s *shelf) find(key []byte, now int64) (book, bool) {
	b, ok := s.books[string(key)]
	return b, ok && !guest.Expired(b.expires, now)
}

func (s *shelf) Get(key []byte, now int64) ([]byte, error) {
	b, ok := s.find(key, now)
	if !ok {
		return nil, guest.ErrNotFound
	}
	return b.value, nil
}

func (s *shelf) Set(w guest.Write) error {
	b, ok := s.find(w.Key, w.Now)
	if err := w.Check(b.value, ok); err != nil {
		return err
	}
	if w.Expired() {
		delete(s.books, string(w.Key))
		return nil
	}
	if !ok && int64(len(s.books)) >= s.most {
		return guest.Fail(guest.ErrNoSpace, "the shelf is full: raise max_entries")
	}
	s.books[string(w.Key)] = book{append([]byte(nil), w.Value...), w.Expires}
	return nil
}

func (s *shelf) Delete(key []byte, _ int64) error { delete(s.books, string(key)); return nil }
func (s *shelf) Clear(int64) error                { clear(s.books); return nil }
func (s *shelf) Save(int64) error                 { return nil }

func Example() {
	// NewHarness runs an engine in a native test the way a host runs the module.
	shelf := guest.NewHarness(&shelf{}, guest.Info{Name: "shelf", Version: "1.0", CAS: true})
	if err := shelf.Open("max_entries", "1"); err != nil {
		fmt.Println(err)
	}

	const now = 1767225600000
	fmt.Println(shelf.Set(guest.Write{Key: []byte("a"), Value: []byte("first"), Expires: now + 60_000, Now: now}))
	fmt.Println(shelf.Set(guest.Write{Key: []byte("a"), Value: []byte("second"), Now: now, Expect: -1}))
	fmt.Println(shelf.Set(guest.Write{Key: []byte("b"), Value: []byte("third"), Now: now}))

	value, err := shelf.Get([]byte("a"), now+59_999)
	fmt.Printf("%s %v\n", value, err)
	_, err = shelf.Get([]byte("a"), now+60_000)
	fmt.Println(err)

	// Output:
	// <nil>
	// guest: CONFLICT
	// guest: NO_SPACE: the shelf is full: raise max_entries
	// first <nil>
	// guest: NOT_FOUND
}

func ExampleConfig() {
	config := guest.NewConfig("max_age", "1h30m", "max_bytes", "64MiB", "max_entires", "100")
	fmt.Println(config.Bytes("max_bytes", 0), config.Duration("max_age", 0), config.Int("max_entries", 10, 1))
	fmt.Println(config.Err())

	// Output:
	// 67108864 5400000 10
	// guest: INVALID: the setting max_entires is unknown: this engine has max_bytes, max_age, max_entries
}

func ExampleFail() {
	err := guest.Fail(guest.ErrUnavailable, "the server closed the connection")
	fmt.Println(err)

	// Output: guest: UNAVAILABLE: the server closed the connection
}
