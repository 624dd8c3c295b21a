package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// commands by their names. Each is given an address, or another word, and the rest of the line.
var commands map[string]func(address, words string) (string, error)

var (
	kept       net.Conn
	keptDialed []dialed
	background []string
)

func init() {
	commands = map[string]func(address, words string) (string, error){
		// With the functions of the host alone.
		"call": func(address, words string) (string, error) {
			c, err := dial(address)
			if err != nil {
				return "", err
			}
			defer c.Close()
			return echo(c, words)
		},
		"upgrade": func(address, words string) (string, error) {
			name, words, _ := strings.Cut(words, " ")
			c, err := dial(address)
			if err != nil {
				return "", err
			}
			defer c.Close()
			if text, err := echo(c, "STARTTLS"); err != nil || text != "STARTTLS" {
				return "", fmt.Errorf("%q: %w", text, err)
			}
			if err := c.startTLS(name); err != nil {
				return "", err
			}
			return echo(c, words)
		},
		"leak": func(address, words string) (string, error) {
			n, _ := strconv.Atoi(words)
			for range n {
				c, err := dial(address)
				if err != nil {
					return "", err
				}
				keptDialed = append(keptDialed, c)
			}
			return fmt.Sprint(len(keptDialed)), nil
		},
		"wait": func(address, words string) (string, error) { // for what never comes
			c, err := dial(address)
			if err != nil {
				return "", err
			}
			defer c.Close()
			ms, _ := strconv.ParseInt(words, 10, 64)
			_, err = c.read(make([]byte, 1), ms)
			return "", err
		},
		"persist": func(address, words string) (string, error) { // whatever it is told
			c, err := dial(address)
			if err != nil {
				return "", err
			}
			for n := 0; ; n++ {
				if _, err := c.read(make([]byte, 1), -1); err == io.EOF {
					return "", err
				}
			}
		},

		// By Go's own poller.
		"poll": func(address, words string) (string, error) {
			c, err := connect(address)
			if err != nil {
				return "", err
			}
			defer c.Close()
			return echo(c, words)
		},
		"many": func(address, words string) (string, error) {
			n, _ := strconv.Atoi(words)
			errs := make([]error, n)
			var wait sync.WaitGroup
			for i := range n {
				wait.Go(func() {
					c, err := connect(address)
					if err != nil {
						errs[i] = err
						return
					}
					defer c.Close()
					for round := range 3 {
						want := fmt.Sprintf("%d of %d", round, i)
						got, err := echo(c, want)
						if err == nil && got != want {
							err = fmt.Errorf("%q came back as %q", want, got)
						}
						if err != nil {
							errs[i] = err
							return
						}
					}
				})
			}
			wait.Wait()
			return fmt.Sprint(n), errors.Join(errs...)
		},
		"deadline": func(address, words string) (string, error) {
			ms, _ := strconv.Atoi(words)
			c, err := connect(address)
			if err != nil {
				return "", err
			}
			defer c.Close()
			began := time.Now()
			c.SetReadDeadline(began.Add(time.Duration(ms) * time.Millisecond))
			_, err = c.Read(make([]byte, 1))
			var timeout net.Error
			if !errors.As(err, &timeout) || !timeout.Timeout() {
				return "", err
			}
			return fmt.Sprint(time.Since(began).Milliseconds()), nil
		},
		"stall": func(address, words string) (string, error) { // without a deadline
			c, err := connect(address)
			if err != nil {
				return "", err
			}
			defer c.Close()
			_, err = c.Read(make([]byte, 1))
			return "", err
		},
		"keep": func(address, words string) (string, error) {
			var err error
			if kept, err = connect(address); err != nil {
				return "", err
			}
			go func(c net.Conn) { // which has time only while something waits
				lines := bufio.NewScanner(c)
				for lines.Scan() {
					background = append(background, lines.Text())
				}
			}(kept)
			return "", nil
		},
		"send": func(words, more string) (string, error) {
			_, err := io.WriteString(kept, words+"\n")
			return "", err
		},
		"heard": func(string, string) (string, error) { return strings.Join(background, " "), nil },

		"sleep": func(words, _ string) (string, error) {
			ms, _ := strconv.Atoi(words)
			began := time.Now()
			time.Sleep(time.Duration(ms) * time.Millisecond)
			return fmt.Sprint(time.Since(began).Milliseconds()), nil
		},
		"compute": func(words, _ string) (string, error) {
			n, _ := strconv.Atoi(words)
			x := uint64(1)
			for range n {
				x = x*6364136223846793005 + 1442695040888963407
			}
			return fmt.Sprint(x), nil
		},
		"atsave": func(words, more string) (string, error) {
			atSave = words + " " + more
			return "", nil
		},
		"idle": func(words, more string) (string, error) { // how often from now on, and what to do then
			idleWants, _ = strconv.ParseInt(words, 10, 64)
			atIdle = nil
			if more != "" {
				atIdle = idles[more]
			}
			return fmt.Sprint(idled), nil
		},
		"idled": func(string, string) (string, error) { return fmt.Sprint(idled), nil },
	}
}

// idles are what the guest does when it is idle.
var idles = map[string]func(){
	"park": func() { time.Sleep(time.Millisecond) },
	"trap": func() { panic("in the background") },
}

// echo sends a line and returns the line that comes back.
func echo(c io.ReadWriter, words string) (string, error) {
	if _, err := io.WriteString(c, words+"\n"); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err
}
