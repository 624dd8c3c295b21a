package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// program is a running waddle.
type program struct {
	cmd       *exec.Cmd
	addresses []string // where it listens, in the order in which it says so
}

// start starts the program, without the settings of this process, and waits until it listens.
func start(waddle, dir string, addresses int, args ...string) (*program, error) {
	path, err := filepath.Abs(waddle)
	if err != nil {
		return nil, err
	}
	p := &program{cmd: exec.Command(path, args...)}
	p.cmd.Dir = dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SESSION_") && !strings.HasPrefix(v, "WADDLE_") {
			p.cmd.Env = append(p.cmd.Env, v)
		}
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for len(p.addresses) < addresses {
		if !lines.Scan() {
			p.stop()
			return nil, fmt.Errorf("%s ended before it listened", waddle)
		}
		if address := regexp.MustCompile(`http://\S+`).FindString(lines.Text()); address != "" {
			p.addresses = append(p.addresses, strings.TrimRight(address, ".,"))
		}
	}
	return p, nil
}

func (p *program) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// visit sends a number of visitors to a tenant, as soon as it is deployed.
func visit(site, host string, visitors int) error {
	began := time.Now()
	for visitors > 0 {
		r, err := http.NewRequest(http.MethodPost, site+"/api/session/visits/increment", nil)
		if err != nil {
			return err
		}
		r.Host = host
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		switch {
		case resp.StatusCode == http.StatusOK:
			visitors--
		case time.Since(began) > time.Minute:
			return fmt.Errorf("%s still answers %s", host, resp.Status)
		default:
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}
