package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/host/store"
)

func keyTests() []Test {
	distinct := "keys are any bytes, and two keys are the same only if all of their bytes are"
	return []Test{
		{Name: "key/prefixes", Section: secLimits, Requires: distinct,
			Run: func(p *Probe) {
				var keys [][]byte
				for n := 1; n <= 64; n++ {
					keys = append(keys, bytes.Repeat([]byte("k"), n))
				}
				apart(p, keys)
			}},
		{Name: "key/common-prefix", Section: secLimits, Requires: distinct,
			Run: func(p *Probe) {
				var keys [][]byte
				for n := 1; n <= 64; n++ {
					for _, last := range []string{"a", "b"} {
						keys = append(keys, []byte(strings.Repeat("p", n-1)+last))
					}
				}
				apart(p, keys)
			}},
		{Name: "key/common-suffix", Section: secLimits, Requires: distinct,
			Run: func(p *Probe) {
				var keys [][]byte
				for n := 1; n <= 64; n++ {
					for _, first := range []string{"a", "b"} {
						keys = append(keys, []byte(first+strings.Repeat("s", n-1)))
					}
				}
				apart(p, keys)
			}},
		{Name: "key/one-bit", Section: secLimits, Requires: distinct,
			Run: func(p *Probe) {
				base := filled(7, 32)
				keys := [][]byte{base}
				for bit := range 8 * len(base) {
					other := bytes.Clone(base)
					other[bit/8] ^= 1 << (bit % 8)
					keys = append(keys, other)
				}
				apart(p, keys)
			}},
		{Name: "key/nul", Section: secLimits, Requires: distinct + "; NUL is a byte like any other",
			Run: func(p *Probe) {
				apart(p, [][]byte{k("a"), k("a\x00"), k("a\x00\x00"), k("a\x00b"), k("a\x00c"), k("\x00"), k("\x00\x00"),
					k("\x00a"), k("\x00b"), bytes.Repeat([]byte{0}, 32), bytes.Repeat([]byte{0}, 64)})
			}},
		{Name: "key/one-byte", Section: secLimits, Requires: distinct + "; a key has at least one",
			Run: func(p *Probe) {
				var keys [][]byte
				for i := range 256 {
					keys = append(keys, []byte{byte(i)})
				}
				apart(p, keys)
			}},
		{Name: "key/high-bytes", Section: secLimits, Requires: distinct,
			Run: func(p *Probe) {
				var keys [][]byte
				for _, n := range []int{1, 2, 3, 4, 7, 8, 9, 16, 31, 32, 33, 64} {
					keys = append(keys, bytes.Repeat([]byte{0xff}, n), bytes.Repeat([]byte{0x80}, n), bytes.Repeat([]byte{0x7f}, n))
				}
				apart(p, keys)
			}},
		{Name: "key/case", Section: secLimits, Requires: distinct,
			Run: func(p *Probe) {
				apart(p, [][]byte{k("key"), k("Key"), k("KEY"), k("kEY"), k("straße"), k("strasse"), k("STRASSE"),
					k("\u00e9"), k("e\u0301"), k("\xe9")})
			}},
		{Name: "key/paths", Section: secLimits, Requires: distinct + "; they mean nothing as a path, a pattern or a number",
			Run: func(p *Probe) {
				apart(p, [][]byte{k("/"), k("//"), k("."), k(".."), k("../key"), k("a/b"), k("a//b"), k("a/./b"), k("/a"), k("a/"),
					k("a"), k("a "), k("a."), k("\\"), k("a\\b"), k("C:\\a"), k("nul"), k("con"), k("*"), k("?"), k("%00"), k("%"),
					k("~"), k("-rf"), k("0"), k("00"), k("1"), k("01"), k("\n"), k("\r\n"), k("\t"), k("'"), k("\""), k("format")})
			}},
		{Name: "key/collisions", Section: secLimits, Requires: distinct + ", whatever a hash makes of them",
			Run: func(p *Probe) { apart(p, colliding()) }},
		{Name: "key/lengths", Section: secLimits, Requires: "a guest takes keys up to 64 bytes, or up to the limit that it describes",
			Run: func(p *Probe) {
				var keys [][]byte
				for n := 1; n <= p.Options().MaxKey; n++ {
					if n <= 130 || n%64 < 2 || n == p.Options().MaxKey {
						keys = append(keys, filled(uint64(n), n))
					}
				}
				apart(p, keys)
			}},
		{Name: "key/long", Section: secLimits, Requires: distinct + ", including those after the first 64",
			Run: func(p *Probe) {
				var keys [][]byte
				for _, n := range []int{65, 66, 72, 100, 128, 129, 200, 256, 257, 511, 512, 1000, 1023, 1024} {
					if n = min(n, p.Options().MaxKey); n <= 64 {
						p.Skip(fmt.Sprintf("not checked: max_key is %d", p.Options().MaxKey))
					}
					base := bytes.Repeat([]byte("long"), n/4+1)[:n]
					keys = append(keys, base)
					for _, at := range []int{0, 31, 32, 63, 64, n / 2, n - 2, n - 1} {
						other := bytes.Clone(base)
						other[at] ^= 0x20
						keys = append(keys, other)
					}
				}
				apart(p, keys)
			}},
		{Name: "key/many", Section: secLimits, Requires: distinct,
			Run: func(p *Probe) {
				var keys [][]byte
				random := p.Random()
				for i := range 1000 {
					key := make([]byte, 32)
					for j := range key {
						key[j] = byte(random.Uint32())
					}
					keys = append(keys, key, fmt.Appendf(nil, "session %d", i))
				}
				apart(p, keys)
			}},
	}
}

// colliding returns pairs of keys for which well-known 32-bit hash functions, or
// sums of bytes in any order, are equal.
func colliding() [][]byte {
	var keys [][]byte
	for _, pair := range hashPairs {
		keys = append(keys, k(pair.a), k(pair.b))
	}
	return keys
}

// hashPairs are pairs of keys with the same hash, with the function's name. A
// test computes the hashes it can.
var hashPairs = []struct{ hash, a, b string }{
	{"fnv-1a", "costarring", "liquid"},
	{"fnv-1a", "declinate", "macallums"},
	{"fnv-1a", "altarage", "zinke"},
	{"fnv-1", "creamwove", "quists"},
	{"crc-32", "plumless", "buckeroo"},
	{"djb2", "hetairas", "mentioner"},
	{"djb2", "heliotropes", "neurospora"},
	{"times 31", "Aa", "BB"},
	{"times 31", "AaAa", "BBBB"},
	{"sum", "ab", "ba"},
	{"sum", "ad", "bc"},
	{"xor", "abab12", "12"},
	{"xor of words", "12345678abcdefghABCDEFGH", "ABCDEFGHabcdefgh12345678"},
}

// apart stores a value under every key, and then checks that each operation on
// one of them leaves the others alone.
func apart(p *Probe, keys [][]byte) {
	keys = slices.CompactFunc(slices.SortedFunc(slices.Values(keys), bytes.Compare), bytes.Equal)
	p.Random().Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	// A store that holds fewer keys gets them in parts.
	for part := range slices.Chunk(keys, p.Records(len(keys), 1)) {
		p.forget()
		apartAtOnce(p, part)
	}
}

func apartAtOnce(p *Probe, keys [][]byte) {
	s := p.Store()
	body := func(i, turn int) []byte { return filled(uint64(i+1), 9+(i+turn)%23) }
	for i, key := range keys {
		s.Absent(key, Now)
		s.Set(store.Write{Key: key, Value: body(i, 0), Now: Now, Expect: store.Absent})
		s.Get(key, Now, body(i, 0))
	}
	for i, key := range keys {
		s.Get(key, Now, body(i, 0))
	}
	// Every other one is replaced, and every fourth removed.
	for i, key := range keys {
		switch i % 4 {
		case 1, 3:
			s.Put(key, body(i, 7))
		case 2:
			s.Delete(key, Now)
		}
	}
	for i, key := range keys {
		switch i % 4 {
		case 0:
			s.Get(key, Now, body(i, 0))
		case 1, 3:
			s.Get(key, Now, body(i, 7))
		case 2:
			s.Absent(key, Now)
		}
	}
	if p.suite.have&needKeys != 0 {
		var left [][]byte
		for i, key := range keys {
			if i%4 != 2 {
				left = append(left, key)
			}
		}
		s.HasExactly(s.Keys(Now, nil), left...)
	}
}

func limitTests() []Test {
	return []Test{
		{Name: "limits/least", Section: secLimits, Requires: "a guest takes keys up to 64 bytes and values up to 4 KiB",
			Run: func(p *Probe) {
				s := p.Store()
				key, v := filled(1, 64), filled(2, 4096)
				s.Put(key, v)
				s.Get(key, Now, v)
				s.retime(key, v, Now+1, Now)
				s.Get(key, Now, v)
				s.Delete(key, Now)
				s.Absent(key, Now)
			}},
		{Name: "limits/largest-key", Section: secLimits, Requires: "a guest takes keys up to the limit that it describes, or 1024 bytes",
			Run: func(p *Probe) {
				s := p.Store()
				key := filled(1, p.Options().MaxKey)
				last := bytes.Clone(key)
				last[len(last)-1] ^= 1
				s.Put(key, value(1, "one"))
				s.Absent(last, Now)
				s.Put(last, value(2, "two"))
				s.Get(key, Now, value(1, "one"))
				s.Get(last, Now, value(2, "two"))
				s.retime(key, value(1, "one"), Now+5, Now)
				s.Delete(last, Now)
				s.Absent(last, Now)
				s.Get(key, Now+4, value(1, "one"))
				s.Absent(key, Now+5)
			}},
		{Name: "limits/largest-value", Section: secLimits, Requires: "a guest takes values up to the limit that it describes, or 16 MiB, if it holds nothing else; over another value it may answer NO_SPACE, and then has changed nothing",
			Run: func(p *Probe) {
				s := p.Open(Setup{Shards: 1, MemoryLimit: 256 << 20})
				most := p.Options().MaxValue
				if told := p.Options().Bytes; told > 0 {
					most = min(most, told)
				}
				held := filled(2, most-1)
				s.Put(k("key"), held)
				s.Get(k("key"), Now, held)
				for i := range 2 {
					v := filled(uint64(i+3), most)
					if s.fits(store.Write{Key: k("key"), Value: v, Now: Now}) {
						held = v
					}
					s.Get(k("key"), Now, held)
				}
				s.Put(k("key"), value(9, "small"))
				s.Get(k("key"), Now, value(9, "small"))
				s.Delete(k("key"), Now)
				s.Absent(k("key"), Now)
				// A neighbour may be evicted to make room. Otherwise it is
				// unchanged.
				s.Put(k("neighbour"), filled(1, 100))
				fits := s.fits(store.Write{Key: k("key"), Value: held, Now: Now})
				s.getOrGone(k("neighbour"), Now, filled(1, 100), true)
				if fits {
					s.Get(k("key"), Now, held)
				} else {
					s.Absent(k("key"), Now)
				}
			}},
		{Name: "limits/key-too-large", Section: secLimits, Requires: "above its own limits a guest answers TOO_LARGE",
			Run: func(p *Probe) {
				s := p.Store()
				key := filled(1, p.Options().MaxKey+1)
				s.Put(key[:len(key)-1], value(1, "kept"))
				s.SetFails(store.Write{Key: key, Value: value(2, "x"), Now: Now}, store.ErrTooLarge)
				s.Get(key[:len(key)-1], Now, value(1, "kept"))
			}},
		{Name: "limits/value-too-large", Section: secLimits, Requires: "above its own limits a guest answers TOO_LARGE, and changes nothing",
			Run: func(p *Probe) {
				s := p.Store()
				large := filled(2, p.Options().MaxValue+1)
				s.Set(store.Write{Key: k("key"), Value: value(1, "kept"), Expires: Now + 10, Now: Now})
				s.SetFails(store.Write{Key: k("key"), Value: large, Now: Now}, store.ErrTooLarge)
				s.SetFails(store.Write{Key: k("new"), Value: large, Now: Now}, store.ErrTooLarge)
				s.Get(k("key"), Now+9, value(1, "kept"))
				s.Absent(k("new"), Now)
				s.Absent(k("key"), Now+10)
			}},
		{Name: "limits/no-key", Section: secLimits, Requires: "a key has 1 to 1024 bytes",
			Run: func(p *Probe) {
				s := p.Store()
				_, err := s.TryGet(nil, Now)
				s.want(err, store.ErrInvalid)
				s.SetFails(store.Write{Value: value(1, "x"), Now: Now}, store.ErrInvalid)
				if p.has(needTouch) {
					s.TouchFails(nil, Now+1, Now, store.ErrInvalid)
				}
				s.want(s.TryDelete(nil, Now), store.ErrInvalid)
			}},
	}
}
