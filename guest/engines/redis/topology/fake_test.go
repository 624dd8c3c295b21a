package topology_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// fake is a server that answers as it is told, with the bytes of an answer; "" answers
// nothing and hangs up.
func fake(t *testing.T, answer func(args []string) string) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	var mu sync.Mutex
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					args, err := readCommand(r)
					if err != nil {
						return
					}
					mu.Lock()
					text := answer(args)
					mu.Unlock()
					if text == "" {
						return
					}
					if _, err := io.WriteString(conn, text); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func readCommand(r *bufio.Reader) ([]string, error) {
	var n int
	if _, err := fmt.Fscanf(r, "*%d\r\n", &n); err != nil {
		return nil, err
	}
	args := make([]string, n)
	for i := range args {
		var length int
		if _, err := fmt.Fscanf(r, "$%d\r\n", &length); err != nil {
			return nil, err
		}
		body := make([]byte, length+2)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, err
		}
		args[i] = string(body[:length])
	}
	return args, nil
}

func addressReply(address string) string {
	host, port, _ := net.SplitHostPort(address)
	return fmt.Sprintf("*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(host), host, len(port), port)
}

// slotsReply is an answer to CLUSTER SLOTS that gives each of the addresses an equal part.
func slotsReply(addresses ...string) string {
	text := fmt.Sprintf("*%d\r\n", len(addresses))
	for i, address := range addresses {
		host, port, _ := net.SplitHostPort(address)
		first, last := i*16384/len(addresses), (i+1)*16384/len(addresses)-1
		text += fmt.Sprintf("*3\r\n:%d\r\n:%d\r\n*3\r\n$%d\r\n%s\r\n:%s\r\n$2\r\nid\r\n", first, last, len(host), host, port)
	}
	return text
}

func itoa(n int) string { return strconv.Itoa(n) }
