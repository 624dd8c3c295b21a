// Command program does what makes Go's compiler and runtime use all that they have, and
// prints what comes out.
package main

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"math/bits"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	debug.SetGCPercent(10)
	for _, part := range []struct {
		name string
		do   func() any
	}{
		{"goroutines", goroutines}, {"selects", selects}, {"panics", panics}, {"deferred", deferred}, {"deep", func() any { return deep(30_000, [4]int{}) }},
		{"jumps", jumps}, {"switches", switches}, {"garbage", garbage}, {"numbers", numbers}, {"strings", texts}, {"methods", methods},
		{"callers", callers}, {"goexit", goexit}, {"iterators", iterators}, {"sleepers", sleepers},
	} {
		fmt.Println(part.name, part.do())
	}
	fmt.Fprintln(os.Stderr, "done")
}

// goroutines are switched in the middle of calls, with values of all kinds alive.
func goroutines() any {
	ping, pong := make(chan int), make(chan int)
	go func() {
		for n := range ping {
			pong <- n*n + 1
		}
		close(pong)
	}()
	sum, product := 0, 1.0
	for n := range 1000 {
		ping <- n
		sum = sum*31 + <-pong
		product *= 1 + float64(n%7)/1e3
	}
	close(ping)
	_, open := <-pong
	var mu sync.Mutex
	var wait sync.WaitGroup
	total := 0
	for n := range 50 {
		wait.Go(func() {
			for k := range 20 {
				mu.Lock()
				before := total
				runtime.Gosched()
				total = before + n*k
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return fmt.Sprint(sum, product, open, total)
}

func selects() any {
	a, b, quit := make(chan int), make(chan string, 3), make(chan struct{})
	var counts [4]int
	go func() {
		for n := range 300 {
			if n%3 == 0 {
				b <- strconv.Itoa(n)
			} else {
				a <- n
			}
		}
		close(quit)
	}()
	for {
		select {
		case n := <-a:
			counts[0] += n
		case s := <-b:
			counts[1] += len(s)
		case <-quit:
			for range len(b) {
				counts[1] += len(<-b)
			}
			return counts[:2]
		}
	}
}

type shape interface{ area() float64 }
type square float64
type circle struct{ r float64 }

func (s square) area() float64  { return float64(s * s) }
func (c *circle) area() float64 { return math.Pi * c.r * c.r }

func panics() any {
	var out []string
	try := func(f func()) {
		defer func() {
			if r := recover(); r != nil {
				out = append(out, fmt.Sprint(r))
			} else {
				out = append(out, "nothing")
			}
		}()
		f()
	}
	list, zero := []int{1, 2, 3}, 0
	var p *circle
	var s shape
	var m map[string]int
	for n := range 6 {
		try(func() { _ = list[n] })
	}
	try(func() { _ = list[1:][:n()] })
	try(func() { _ = 5 / zero })
	try(func() { _ = p.area() })
	try(func() { _ = s.area() })
	try(func() { m["x"] = 1 })
	try(func() { s = square(2); _ = s.(*circle) })
	try(func() { _ = any("x").(fmt.Stringer) })
	try(func() { panic(errors.New("an error")) })
	try(func() { try(func() { panic("inner") }); panic("outer") })
	try(func() { _ = [4]int(list) })
	try(func() { _ = make([]int, zero-1) })
	try(func() { close(make(chan int)) })
	try(func() { var c chan int; close(c) })
	return strings.Join(out, "; ")
}

func n() int { return 9 }

func deferred() (out any) {
	order := ""
	defer func() {
		r := recover()
		out = fmt.Sprint(order, r)
	}()
	for n := range 5 {
		defer func() { order += strconv.Itoa(n) }()
	}
	func() {
		defer func() { order += fmt.Sprint(recover()) + "," }()
		for n := range 10 {
			defer func() {
				runtime.Gosched()
				order += string(rune('a' + n))
			}()
			if n == 7 {
				panic("seven")
			}
		}
	}()
	panic("last")
}

// deep makes the stack grow, which moves it.
func deep(n int, from [4]int) [4]int {
	if n == 0 {
		return from
	}
	from[n%4] += n
	local := [8]int{n}
	at := &local[n%8]
	*at += 3
	out := deep(n-1, from)
	out[n%4] ^= local[n%8] + *at
	return out
}

// jumps has loops within loops that are left and gone on with from within.
func jumps() any {
	sum := 0
outer:
	for a := 0; a < 40; a++ {
		for b := 0; ; b++ {
			switch {
			case a*b > 100:
				continue outer
			case a*b == 77:
				break outer
			case b > a:
				if sum%3 == 0 {
					continue outer
				}
				sum += a
			}
			for c := b; c > 0; c /= 2 {
				if c%5 == 0 {
					sum += c
					continue
				}
				sum ^= c
			}
			if b > 50 {
				break
			}
		}
	}
	return sum*1000 + tangled(7) + tangled(12) + tangled(999)
}

// tangled has a way into a loop other than to its beginning.
func tangled(n int) int {
	sum := 0
	if n%2 == 1 {
		goto middle
	}
again:
	sum += n
	if sum > 10_000 {
		return sum
	}
middle:
	sum = sum*3 + 1
	n--
	if n > 0 {
		goto again
	}
	if sum < 500 {
		goto middle
	}
	return sum
}

func switches() any {
	h := fnv.New64a()
	for n := range 3000 {
		var s string
		switch n % 37 {
		case 0, 5, 9:
			s = "a"
		case 1:
			s = "bb"
		case 2, 3, 4, 6, 7, 8:
			s = strconv.Itoa(n)
		case 11, 13, 17, 19, 23, 29, 31:
			s = "prime"
		case 36:
			continue
		default:
			switch s = fmt.Sprint(n); s {
			case "10", "100", "1000":
				s = "round"
			case "12":
				s = "dozen"
			}
		}
		h.Write([]byte(s))
	}
	return h.Sum64()
}

type tree struct {
	left, right *tree
	key         int
	value       string
}

func (t *tree) insert(key int) *tree {
	if t == nil {
		return &tree{key: key, value: strconv.Itoa(key)}
	}
	if key < t.key {
		t.left = t.left.insert(key)
	} else {
		t.right = t.right.insert(key)
	}
	return t
}

func (t *tree) sum() int {
	if t == nil {
		return 0
	}
	return t.left.sum() + t.right.sum() + t.key*len(t.value)
}

func garbage() any {
	sum := 0
	m := make(map[string][]byte)
	for round := range 30 {
		var root *tree
		x := uint32(round + 1)
		for range 300 {
			x = x*1664525 + 1013904223
			root = root.insert(int(x >> 16))
		}
		sum += root.sum()
		for k := range 100 {
			m[strconv.Itoa(k*round%777)] = make([]byte, k*10)
		}
		if round%7 == 0 {
			runtime.GC()
		}
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		sum = sum*7 + len(m[k])
	}
	return sum
}

func numbers() any {
	h := fnv.New64a()
	f := 1.5
	for n := range 2000 {
		f = math.Sqrt(f*float64(n)+2) + math.Sin(f) - math.Floor(f/3)
		u := uint64(n) * 0x9e3779b97f4a7c15
		hi, lo := bits.Mul64(u, math.Float64bits(f))
		i := int32(lo) >> (n % 40)
		c := complex(f, float64(i))
		fmt.Fprint(h, hi, lo, i, bits.LeadingZeros64(lo), bits.RotateLeft32(uint32(hi), n), real(c*c), int8(n), uint16(lo), math.MaxInt64/int64(n+1)%7)
	}
	return h.Sum64()
}

func texts() any {
	var b strings.Builder
	for n, r := range "häusle, 世界 \xff!" {
		fmt.Fprintf(&b, "%d:%q ", n, r)
	}
	words := strings.Fields("the quick brown fox jumps over the lazy dog and then the dog jumps over the fox")
	sort.Slice(words, func(i, j int) bool { return words[i] < words[j] || words[i] == words[j] && i < j })
	return b.String() + strings.Join(slices.Compact(words), "+") + strings.Repeat("ab", 50)[37:61]
}

func methods() any {
	shapes := []shape{square(2), &circle{1}, square(0.5)}
	fs := []func() float64{}
	for _, s := range shapes {
		fs = append(fs, s.area)
	}
	sum := 0.0
	for n := range 100 {
		sum += fs[n%3]() * float64(n)
	}
	return fmt.Sprint(sum, largest(3, 9, 4), largest("a", "c", "b"))
}

func largest[T int | string](all ...T) (l T) {
	for _, x := range all {
		l = max(l, x)
	}
	return l
}

func callers() any {
	var out []string
	var walk func(n int)
	walk = func(n int) {
		if n > 0 {
			walk(n - 1)
			return
		}
		pcs := make([]uintptr, 10)
		frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
		for f, more := frames.Next(); more; f, more = frames.Next() {
			out = append(out, fmt.Sprint(f.Function, ":", f.Line))
		}
	}
	walk(3)
	return strings.Join(out, " ")
}

func goexit() any {
	done := make(chan string, 2)
	go func() {
		defer func() { done <- "left" }()
		defer func() { done <- fmt.Sprint(recover()) }()
		func() {
			for n := range 10 {
				if n == 4 {
					runtime.Goexit()
				}
			}
		}()
		done <- "not left"
	}()
	return <-done + " " + <-done
}

func iterators() any {
	count := func(yield func(int, string) bool) {
		for n := 0; ; n++ {
			runtime.Gosched()
			if !yield(n, strings.Repeat("x", n%5)) {
				return
			}
		}
	}
	sum := 0
	for n, s := range count {
		if n%3 == 0 {
			continue
		}
		if sum += n * len(s); sum > 5000 {
			return sum
		}
	}
	return "endless"
}

func sleepers() any {
	var ran atomic.Int64
	var wait sync.WaitGroup
	for n := range 20 {
		wait.Go(func() {
			time.Sleep(time.Duration(n%4) * time.Millisecond)
			ran.Add(int64(n))
		})
	}
	wait.Wait()
	timer := time.NewTimer(time.Millisecond)
	select {
	case <-timer.C:
	case <-make(chan int):
	}
	return ran.Load()
}
