package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// kept is a connection that outlives a call, and what has been read from it in the
// background.
type kept struct {
	conn net.Conn
	mu   sync.Mutex
	read []string
}

// short is a time that a server lets pass.
const short = 30 * time.Millisecond

var scenes = map[string]func(*play){
	"echo": func(p *play) {
		conn := p.dial()
		if conn == nil {
			return
		}
		for n := range 50 {
			if !p.exchange(conn, "line "+strconv.Itoa(n)) {
				return
			}
		}
		p.tell("%s %s from %s %s", conn.RemoteAddr().Network(), conn.RemoteAddr(), conn.LocalAddr().Network(), conn.LocalAddr())
		_, err := conn.Write(nil)
		p.fails("write nothing", err)
		_, err = io.WriteString(conn, "bye\n")
		p.fails("write", err)
		_, err = conn.Read(make([]byte, 1))
		p.fails("read", err)
		p.fails("close", conn.Close())
		_, err = conn.Read(make([]byte, 1))
		p.fails("read", err)
		_, err = conn.Write([]byte("x"))
		p.fails("write", err)
		p.fails("set", conn.SetDeadline(time.Time{}))
		p.fails("close", conn.Close())
		p.tell("alive: %v", conn.Alive())
	},
	// More than any buffer takes goes both ways at once.
	"large": func(p *play) {
		conn := p.dial()
		if conn == nil {
			return
		}
		defer conn.Close()
		const size = 4 << 20
		sent := bytes.Repeat(append(bytes.Repeat([]byte("x"), 1023), '\n'), size>>10)
		if p.dialer.Blocking { // which cannot do both at once
			for part := sent; len(part) > 0; part = part[min(len(part), 32<<10):] {
				piece := part[:min(len(part), 32<<10)]
				_, err := conn.Write(piece)
				p.failsNot("write", err)
				got := make([]byte, len(piece))
				_, err = io.ReadFull(conn, got)
				p.failsNot("read", err)
				if !bytes.Equal(got, piece) {
					p.tell("read something else")
				}
			}
			return
		}
		var wait sync.WaitGroup
		wait.Go(func() {
			_, err := conn.Write(sent)
			p.failsNot("write", err)
		})
		got := make([]byte, size)
		_, err := io.ReadFull(conn, got)
		p.failsNot("read", err)
		wait.Wait()
		if !bytes.Equal(got, sent) {
			p.tell("read something else")
		}
	},
	// As drivers that pipeline: one goroutine reads, one writes, and many wait.
	"pipeline": func(p *play) {
		conn := p.dial()
		if conn == nil {
			return
		}
		defer conn.Close()
		lines := make(chan string, 100)
		answers := make(chan chan string, 100)
		go func() {
			for line := range lines {
				_, err := io.WriteString(conn, line)
				p.failsNot("write", err)
			}
		}()
		go func() {
			in := bufio.NewReader(conn)
			for answer := range answers {
				line, err := in.ReadString('\n')
				p.failsNot("read", err)
				answer <- line
			}
		}()
		var wait sync.WaitGroup
		for n := range 100 {
			line, answer := fmt.Sprintf("line %d\n", n), make(chan string)
			lines <- line
			answers <- answer
			wait.Go(func() {
				if got := <-answer; got != line {
					p.tell("got %q, want %q", got, line)
				}
			})
		}
		wait.Wait()
		close(lines)
		close(answers)
	},
	"pool": func(p *play) {
		var wait sync.WaitGroup
		for n := range 16 {
			wait.Go(func() {
				if conn := p.dial(); conn != nil {
					defer conn.Close()
					for m := range 10 {
						p.exchange(conn, fmt.Sprint(n, "/", m))
					}
				}
			})
		}
		wait.Wait()
	},
	"deadline": func(p *play) {
		conn := p.dial()
		if conn == nil {
			return
		}
		defer conn.Close()
		began := time.Now()
		p.fails("set", conn.SetReadDeadline(began.Add(short)))
		_, err := conn.Read(make([]byte, 1))
		p.fails("read", err)
		if took := time.Since(began); took < short {
			p.tell("it took only %v", took)
		}
		_, err = conn.Read(make([]byte, 1))
		p.fails("read", err)
		p.fails("set", conn.SetDeadline(time.Time{}))
		p.exchange(conn, "and it is of use again")
		p.fails("set", conn.SetWriteDeadline(time.Now().Add(-time.Second)))
		_, err = conn.Write([]byte("x"))
		p.fails("write", err)
	},
	// A server that stops reading: a write stands until its deadline.
	"full": func(p *play) {
		conn := p.dial()
		if conn == nil {
			return
		}
		defer conn.Close()
		_, err := io.WriteString(conn, "deaf\n")
		p.failsNot("write", err)
		p.fails("set", conn.SetWriteDeadline(time.Now().Add(4*short)))
		for n := 0; n < 1000 && err == nil; n++ {
			_, err = conn.Write(make([]byte, 1<<20))
		}
		p.fails("write", err)
	},
	// Nothing but the host's bound of the call ends this.
	"stall": func(p *play) {
		conn := p.dial()
		if conn == nil {
			return
		}
		defer conn.Close()
		_, err := io.WriteString(conn, "silence\n")
		p.failsNot("write", err)
		_, err = conn.Read(make([]byte, 1))
		p.fails("read", err)
		_, err = conn.Read(make([]byte, 1))
		p.fails("read", err)
	},
	"dial": func(p *play) {
		if conn := p.dial(); conn != nil {
			p.tell("connected")
			conn.Close()
		}
	},
	"timeout": func(p *play) {
		p.dialer.Timeout = short
		p.dial()
	},
	"context": func(p *play) {
		ctx, cancel := context.WithTimeout(context.Background(), short)
		defer cancel()
		_, err := p.dialer.DialContext(ctx, p.network, p.address)
		p.fails("dial", err)
	},
	"cancel": func(p *play) {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(short, cancel)
		began := time.Now()
		_, err := p.dialer.DialContext(ctx, p.network, p.address)
		p.fails("dial", err)
		p.tell("cause: %v", context.Cause(ctx))
		if took := time.Since(began); took > 100*short {
			p.tell("it took %v", took)
		}
	},
	"starttls": func(p *play) {
		conn := p.dial()
		if conn == nil {
			return
		}
		defer conn.Close()
		_, err := io.WriteString(conn, "upgrade\n")
		p.failsNot("write", err)
		_, err = io.ReadFull(conn, make([]byte, len("ready\n")))
		p.failsNot("read", err)
		err = conn.StartTLS(p.more)
		if p.fails("start", err); err != nil {
			return
		}
		if p.exchange(conn, "secret") {
			p.tell("secret")
		}
	},
	"alive": func(p *play) {
		conn := p.dial()
		if conn == nil {
			return
		}
		defer conn.Close()
		p.exchange(conn, "hello")
		p.tell("%v", conn.Alive())
		_, err := io.WriteString(conn, "bye\n")
		p.failsNot("write", err)
		for began := time.Now(); conn.Alive() && time.Since(began) < 5*time.Second; {
			time.Sleep(time.Millisecond)
		}
		p.tell("%v", conn.Alive())
		_, err = conn.Read(make([]byte, 1))
		p.fails("read", err)
	},
	// What reads in the background goes on when the call has ended.
	"listen": func(p *play) {
		conn := p.dial()
		if conn == nil {
			return
		}
		k := &kept{conn: conn}
		p.engine.kept["listen"] = k
		_, err := io.WriteString(conn, "later\n")
		p.failsNot("write", err)
		go func() {
			in := bufio.NewReader(conn)
			for {
				line, err := in.ReadString('\n')
				k.mu.Lock()
				k.read = append(k.read, fmt.Sprintf("%q %v", line, err))
				k.mu.Unlock()
				if err != nil {
					return
				}
			}
		}()
	},
	"heard": func(p *play) {
		k := p.engine.kept["listen"]
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, line := range k.read {
			p.tell("%s", line)
		}
		p.tell("idles: %v", p.engine.idles > 0)
	},
	"allocations": func(p *play) {
		conn := p.dial()
		if conn == nil {
			return
		}
		defer conn.Close()
		line := []byte("a line of some length\n")
		var before, after runtime.MemStats
		const rounds = 500
		for n := range rounds + 10 {
			if n == 10 {
				runtime.ReadMemStats(&before)
			}
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			if _, err := conn.Write(line); err != nil {
				p.fails("write", err)
				return
			}
			for got := 0; got < len(line); {
				n, err := conn.Read(line[got:])
				if err != nil {
					p.fails("read", err)
					return
				}
				got += n
			}
		}
		runtime.ReadMemStats(&after)
		p.tell("%.2f", float64(after.Mallocs-before.Mallocs)/rounds)
	},
}

func (p *play) failsNot(what string, err error) {
	if err != nil {
		p.fails(what, err)
	}
}
